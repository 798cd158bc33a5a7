"""CUDA graphs over static buffers, one per shape: what the `torch` and the `tensorrt` backend replay.

After PyTorch's notes on CUDA graphs: warm up on a side stream, capture, then copy in, replay, copy out.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import torch

from engines.backends.buckets import Piece, pieces
from engines.spec import EngineSpec

Tensors = dict[str, torch.Tensor]
Launch = Callable[[Tensors], Tensors]
"""Puts a network's work on the current stream: no host synchronisation, no change of addresses between calls."""
WARM_UPS = 3
MAX_GRAPHS = 32
"""Graphs kept at once; beyond them the one unused for longest goes, with its buffers."""


@dataclass(frozen=True, slots=True)
class _Captured:
    graph: torch.cuda.CUDAGraph
    inputs: Tensors
    outputs: Tensors
    launch: Launch
    """Held, because a graph replays into what it owns (a TensorRT context's memory)."""


class GraphRunner:
    """Captures a network once for each bucket of its batch axis (and each size of its other axes), then replays.

    make: a launcher of its own for each graph. buckets: sizes of the batch axis; a batch between two is padded with
    zeros, one beyond the largest runs in pieces. Empty: a graph for every size that comes.
    """

    def __init__(
        self, spec: EngineSpec, make: Callable[[], Launch], device: torch.device, buckets: tuple[int, ...] = ()
    ) -> None:
        self._spec, self._make, self._device = spec, make, device
        self._buckets = buckets if spec.batch else ()
        self._kept: OrderedDict[tuple[tuple[int, ...], ...], _Captured] = OrderedDict()
        self._pool = torch.cuda.graph_pool_handle()
        self._side = torch.cuda.Stream(device)
        """All graphs of the pool are captured on it, as memory shared between captures wants."""
        self._done = torch.cuda.Event()

    @property
    def captured(self) -> int:
        """Graphs kept now."""
        return len(self._kept)

    def run(self, inputs: Tensors, sizes: dict[str, int]) -> Tensors:
        """Outputs for inputs on this runner's device, on the current stream; the caller's own copies.

        sizes: of the dynamic axes, as `spec.measure` tells."""
        with torch.cuda.device(self._device):
            if not self._spec.batch:
                return self._piece(inputs, None)
            parts = [self._piece(inputs, p) for p in pieces(sizes[self._spec.batch], self._buckets)]
        return {t.name: self._join(t.shape, [p[t.name] for p in parts]) for t in self._spec.outputs}

    def _piece(self, inputs: Tensors, piece: Piece | None) -> Tensors:
        cut = {t.name: self._cut(inputs[t.name], t.shape, piece) for t in self._spec.inputs}
        shapes = tuple(self._padded(cut[t.name].shape, t.shape, piece) for t in self._spec.inputs)
        stream = torch.cuda.current_stream()
        stream.wait_event(self._done)  # another stream may still be reading or writing the buffers
        captured = self._graph(shapes, cut)
        for name, tensor in cut.items():
            _corner(captured.inputs[name], tensor.shape).copy_(tensor, non_blocking=True)
        captured.graph.replay()
        out = {
            t.name: self._cut(captured.outputs[t.name], t.shape, piece and Piece(0, piece.count, piece.bucket)).clone()
            for t in self._spec.outputs
        }
        self._done.record(stream)
        return out

    def _graph(self, shapes: tuple[tuple[int, ...], ...], like: Tensors) -> _Captured:
        if shapes in self._kept:
            self._kept.move_to_end(shapes)
            return self._kept[shapes]
        static = {
            t.name: torch.zeros(shape, dtype=like[t.name].dtype, device=self._device)
            for t, shape in zip(self._spec.inputs, shapes, strict=True)
        }
        for name, tensor in like.items():
            _corner(static[name], tensor.shape).copy_(tensor)
        launch, graph, side = self._make(), torch.cuda.CUDAGraph(), self._side
        side.wait_stream(torch.cuda.current_stream())
        with torch.no_grad(), torch.cuda.stream(side):
            for _ in range(WARM_UPS):
                launch(static)
        torch.cuda.current_stream().wait_stream(side)
        # Other threads (a decoder) may allocate meanwhile: only this one's calls are watched.
        how = {"pool": self._pool, "stream": side, "capture_error_mode": "thread_local"}
        with torch.no_grad(), torch.cuda.graph(graph, **how):
            outputs = launch(static)
        self._kept[shapes] = _Captured(graph, static, outputs, launch)
        if len(self._kept) > MAX_GRAPHS:
            torch.cuda.synchronize()
            self._kept.popitem(last=False)
        return self._kept[shapes]

    def _padded(self, size: torch.Size, shape: tuple[int | str, ...], piece: Piece | None) -> tuple[int, ...]:
        """A tensor's size with its batch axis as large as the bucket."""
        return tuple(piece.bucket if piece and d == self._spec.batch else n for n, d in zip(size, shape, strict=True))

    def _cut(self, tensor: torch.Tensor, shape: tuple[int | str, ...], piece: Piece | None) -> torch.Tensor:
        if piece is None or self._spec.batch not in shape:
            return tensor
        return tensor.narrow(shape.index(self._spec.batch), piece.start, piece.count)

    def _join(self, shape: tuple[int | str, ...], parts: list[torch.Tensor]) -> torch.Tensor:
        if len(parts) == 1 or self._spec.batch not in shape:
            return parts[0]
        return torch.cat(parts, dim=shape.index(self._spec.batch))


def _corner(buffer: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """The first rows of a buffer, of this shape."""
    for dim, size in enumerate(shape):
        buffer = buffer.narrow(dim, 0, size)
    return buffer
