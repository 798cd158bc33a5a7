"""The tracker by CUDA graphs: encoding and stepping are each recorded once per batch size and then replayed.

A step of SAM 2 is some six hundred kernels; launched one by one they take longer than they run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from engines.sam2.bank import Plan
from engines.sam2.build import Sam2
from engines.sam2.encoder import Features
from engines.sam2.step import track
from engines.sam2.tracker import Outputs, Tracker, Wanted

SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
"""Batch sizes that are recorded; a batch is padded to the next one."""
WARM_UP = 3


@dataclass(frozen=True, slots=True)
class Recorded:
    """A graph and the tensors that it reads and writes."""

    graph: Any
    inputs: tuple[torch.Tensor, ...]
    outputs: tuple[torch.Tensor, ...]

    def replay(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """New tensors of what it gives for these inputs, of which each may be shorter than recorded."""
        for kept, given in zip(self.inputs, inputs, strict=True):
            kept[: given.shape[0]].copy_(given, non_blocking=True)
        self.graph.replay()
        return tuple(t.clone() for t in self.outputs)


def padded(n: int) -> int:
    """The batch size that n is recorded as. Raises ValueError where n is over the largest."""
    for size in SIZES:
        if n <= size:
            return size
    raise ValueError(f"a batch of {n}: at most {SIZES[-1]} are stepped or encoded together")


class GraphTracker(Tracker):
    """As Tracker, on a CUDA device. The first batch of each size takes seconds, for it is recorded."""

    def __init__(self, model: Sam2, *, slots: int = 64, prompts: int = 1) -> None:
        if not model.device.startswith("cuda"):
            raise ValueError(f"the model is on {model.device}: CUDA graphs are for CUDA devices, take Tracker")
        super().__init__(model, slots=slots, prompts=prompts)
        self._recorded: dict[tuple[str, int, int], Recorded] = {}
        self._pool = torch.cuda.graph_pool_handle()

    def _encode(self, frames: torch.Tensor) -> Features:
        n = len(frames)
        size = padded(n)
        key = ("encode", size, 0)
        if key not in self._recorded:
            room = torch.zeros(size, *frames.shape[1:], dtype=frames.dtype, device=frames.device)
            self._recorded[key] = self._record(self.model.encoder, room)
        return Features(*(t[:n] for t in self._recorded[key].replay(frames)))

    def _run(self, features: Features, wanted: list[Wanted]) -> Outputs:
        n, frames = len(wanted), padded(len(features))
        size = padded(n)
        table, memories, points = self.bank.table(wanted, size, full=True)
        key = ("step", size, frames)
        if key not in self._recorded:
            nobody = self.bank.table([], size, full=True)[0].to(self.model.device)
            room = (torch.zeros_like(t[:1]).expand(frames, *t.shape[1:]).contiguous() for t in _tensors(features))

            def step(top: torch.Tensor, mid: torch.Tensor, high: torch.Tensor, rows: torch.Tensor) -> Outputs:
                return track(self.model, self.bank, Features(top, mid, high), Plan(rows, memories, points))

            self._recorded[key] = self._record(step, *room, nobody)
        logits, score, iou = self._recorded[key].replay(*_tensors(features), table)
        return logits[:n], score[:n], iou[:n]

    def _record(self, work: Callable[..., tuple[torch.Tensor, ...]], *inputs: torch.Tensor) -> Recorded:
        """Runs the work on its own stream until nothing is left to be made, then records it."""
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP):
                work(*inputs)
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        # What another feed's thread does meanwhile (a detector takes memory) must not break the capture.
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            outputs = work(*inputs)
        return Recorded(graph, inputs, tuple(outputs))


def _tensors(features: Features) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return features.top, features.mid, features.high
