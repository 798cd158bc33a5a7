"""SAM 2.1 for whoever has frames, boxes and masks as NumPy arrays, from one thread a feed; objects are numbers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engines.digest import sha256
from engines.sam2.build import Sam2, build
from engines.sam2.calls import calls
from engines.sam2.encoder import Features, gather
from engines.sam2.graphs import SIZES, GraphTracker
from engines.sam2.prompt import Prompt, answer
from engines.sam2.tracker import Tracker
from engines.together import BatchCounts, Together
from engines.work import Call
from kernels.preprocess import preprocess

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
Bool = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Seen:
    """One object on a frame. logits: [s/4, s/4] float32 over the whole frame, stretched. score: over 0 where it is to
    be seen."""

    logits: F32
    score: float


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame that was looked at: row `index` of features, which frames of other feeds share; size: its (H, W)."""

    features: Features
    index: int
    size: tuple[int, int]


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

    def look(self, rgb: U8) -> Frame:
        """Takes a frame [H, W, 3] uint8 RGB in."""
        return self._together.ask(self._look, rgb)

    @torch.no_grad()
    def outline(self, frame: Frame, box: F32) -> Seen:
        """What a box (xyxy pixels of the frame) holds; nothing is remembered of it."""
        h, w = frame.size
        x, y = self._model.side / w, self._model.side / h
        x0, y0, x1, y1 = (float(v) for v in box)
        with self._together.alone():
            found = answer(self._model, frame.features[frame.index], Prompt(box=(x0 * x, y0 * y, x1 * x, y1 * y)))
            return Seen(_host(found.logits[0, 0]), float(found.score[0, 0]))

    def begin(self, frame: Frame, mask: Bool) -> int:
        """Follow what `mask` [H, W] bool of the frame holds, from its feed's next frame on: its slot."""
        prompt = Prompt(mask=torch.from_numpy(np.ascontiguousarray(mask)))
        with self._together.alone():
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

    def _look(self, frames: Sequence[U8]) -> list[Frame]:
        self._counts.add("sam2-encode", len(frames))
        tensors = [torch.from_numpy(np.ascontiguousarray(rgb))[None].to(self._model.device) for rgb in frames]
        features = self._tracker.encode(preprocess(tensors, self._model.side, dtype=self._model.dtype))
        return [Frame(features, i, (int(rgb.shape[0]), int(rgb.shape[1]))) for i, rgb in enumerate(frames)]

    def _follow(self, asked: Sequence[tuple[Frame, Sequence[int]]]) -> list[list[Seen]]:
        features, at = gather([(frame.features, frame.index) for frame, _ in asked])
        wanted = {slot: i for i, (_, slots) in zip(at, asked, strict=True) for slot in slots}
        self._counts.add("sam2-step", len(wanted))
        out = self._tracker.step(features, wanted)
        logits, scores = _host(out.logits), _host(out.score)
        seen = iter([Seen(logits[i], float(scores[i])) for i in range(len(wanted))])
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


def _host(tensor: Any) -> F32:
    found: F32 = tensor.float().cpu().numpy()
    return found
