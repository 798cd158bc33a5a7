"""SAM 2.1 for whoever has frames, boxes and masks, from one thread a feed; objects are numbers. Frames may lie on the
device; masks go there and come back as run lengths (`seen`)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from engines.digest import sha256
from engines.sam2.build import Sam2, build
from engines.sam2.calls import calls
from engines.sam2.encoder import Features, gather
from engines.sam2.graphs import SIZES, GraphTracker
from engines.sam2.prompt import Prompt, outlines
from engines.sam2.seen import Box, Seen, cells, crop, read
from engines.sam2.tracker import Tracker
from engines.together import BatchCounts, Together
from engines.work import Call
from kernels.preprocess import placed, preprocess
from kernels.rle import decode_masks, encode

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
Bool = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame that was looked at: row `index` of features, which frames of other feeds share; size: its (H, W);
    full: of the feed's frame that it was made of, at which masks are to be."""

    features: Features
    index: int
    size: tuple[int, int]
    full: tuple[int, int]


class Segmenter:
    """A tracker for many feeds, each in a thread of its own: their frames are encoded in one batch, and so are the
    objects on them followed.

    slots: objects at most. max_batch_wait_s: how long a frame waits for those of other feeds, at most. counts: gets
    the sizes of `sam2-encode` (frames) and `sam2-step` (objects).
    name, backend, sha256: for `feed.started`; sha256 is the weights', "" where they are drawn.
    quick: it runs on a GPU.
    """

    def __init__(
        self,
        model: Sam2,
        *,
        name: str,
        sha256: str,
        slots: int = 64,
        max_batch_wait_s: float = 0.005,
        counts: BatchCounts | None = None,
    ) -> None:
        cuda = model.device.startswith("cuda")
        self._tracker = GraphTracker(model, slots=slots) if cuda else Tracker(model, slots=slots)
        self._model, self._slots = model, slots
        self._counts = counts or BatchCounts()
        self._together = Together(wait_s=max_batch_wait_s, most=SIZES[-1])
        self.name, self.sha256 = name, sha256
        self.backend = "torch/CUDA graphs" if cuda else "torch/CPU"
        self.quick = cuda

    @property
    def free(self) -> int:
        """Objects for which there is room."""
        return self._slots - len(self._tracker.objects)

    def taking_part(self) -> AbstractContextManager[None]:
        """While this thread has a feed in work: batches wait for it."""
        return self._together.taking_part()

    def look(self, picture: U8 | torch.Tensor, full: tuple[int, int] | None = None) -> Frame:
        """Takes a frame in: [H, W, 3] uint8 RGB, in host memory or on the device. full: see `Frame`."""
        size = (int(picture.shape[0]), int(picture.shape[1]))
        return self._together.ask(self._look, (picture, size, full or size))

    def outlines(self, frame: Frame, boxes: Sequence[F32], within: Sequence[Box]) -> list[Seen]:
        """What boxes (xyxy pixels of the frame) hold, each as far as a window of it reaches: without run lengths, and
        nothing is remembered of it. In one batch with what other feeds ask for."""
        return self._together.ask(self._outlines, (frame, boxes, within)) if boxes else []

    def begin(self, frame: Frame, mask: Bool) -> int:
        """Follow what `mask` [H, W] bool of the frame holds, from its feed's next frame on: its slot."""
        size = (int(mask.shape[0]), int(mask.shape[1]))
        with self._together.alone():
            prompt = Prompt(mask=decode_masks([encode(mask)], size, self._model.device)[0])
            return self._tracker.add(frame.features, frame.index, prompt)[0]

    def follow(self, frame: Frame, slots: Sequence[int]) -> list[Seen]:
        """Where these objects are in the frame, in one batch with those of other feeds."""
        return self._together.ask(self._follow, (frame, slots)) if slots else []

    def forget(self, slots: Sequence[int]) -> None:
        with self._together.alone():
            for slot in slots:
                self._tracker.remove(slot)

    def calls(self) -> list[Call]:
        """Its networks, called as they most often were."""
        return calls(self._model, self._counts.usual("sam2-encode"), self._counts.usual("sam2-step"))

    def _look(self, asked: Sequence[tuple[U8 | torch.Tensor, tuple[int, int], tuple[int, int]]]) -> list[Frame]:
        self._counts.add("sam2-encode", len(asked))
        tensors = [placed(picture, self._model.device) for picture, _, _ in asked]
        features = self._tracker.encode(preprocess(tensors, self._model.side, dtype=self._model.dtype))
        return [Frame(features, i, size, full) for i, (_, size, full) in enumerate(asked)]

    @torch.no_grad()
    def _outlines(self, asked: Sequence[tuple[Frame, Sequence[F32], Sequence[Box]]]) -> list[list[Seen]]:
        features, at = gather([(frame.features, frame.index) for frame, _, _ in asked])
        rows = [i for i, (_, boxes, _) in zip(at, asked, strict=True) for _ in boxes]
        side = self._model.side
        scaled = [
            [float(v) * side / n for v, n in zip(box, (*frame.size[::-1], *frame.size[::-1]), strict=True)]
            for frame, boxes, _ in asked
            for box in boxes
        ]
        logits, scores = outlines(self._model, features, rows, scaled)
        grid = int(logits.shape[-1])
        corners, kept = crop(logits, [cells(w, frame.size, grid) for frame, _, within in asked for w in within])
        found = zip(scores.tolist(), corners, kept, strict=True)
        seen = iter([Seen(score, grid, corner, cut) for score, corner, cut in found])
        return [[next(seen) for _ in boxes] for _, boxes, _ in asked]

    def _follow(self, asked: Sequence[tuple[Frame, Sequence[int]]]) -> list[list[Seen]]:
        features, at = gather([(frame.features, frame.index) for frame, _ in asked])
        wanted = {slot: i for i, (_, slots) in zip(at, asked, strict=True) for slot in slots}
        self._counts.add("sam2-step", len(wanted))
        out = self._tracker.step(features, wanted)
        sizes = [frame.full for frame, slots in asked for _ in slots]
        seen = iter(read(out.logits, out.score, sizes))
        return [[next(seen) for _ in slots] for _, slots in asked]


def load(
    variant: str,
    *,
    size: int | None = None,
    weights: Path | None = None,
    slots: int = 64,
    max_batch_wait_s: float = 0.005,
    counts: BatchCounts | None = None,
) -> Segmenter:
    """A segmenter on the GPU where there is one, in bfloat16 at 1024 pixels; else on the CPU, in float32 at 512.

    weights: one of Meta's checkpoints; without, they are drawn. Raises UserError as `build` does. On the CPU PyTorch is
    left all cores but one, which the decoder and the detector need: its waiting threads would take them all.
    """
    cuda = torch.cuda.is_available()
    if not cuda:
        torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) - 1))
    side = size or (1024 if cuda else 512)
    kind = torch.bfloat16 if cuda else torch.float32
    model = build(variant, image_size=side, device="cuda" if cuda else "cpu", dtype=kind, weights=weights)
    name = f"sam2.1-{variant}@{side}" + ("" if weights else " (drawn weights)")
    told = sha256(weights) if weights else ""
    return Segmenter(model, name=name, sha256=told, slots=slots, max_batch_wait_s=max_batch_wait_s, counts=counts)
