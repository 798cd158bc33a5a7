"""SAM 2.1 for whoever has frames, boxes and masks as NumPy arrays: one frame in hand, objects followed by number."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engines.digest import sha256
from engines.sam2.build import Sam2, build
from engines.sam2.encoder import Features
from engines.sam2.graphs import GraphTracker
from engines.sam2.prompt import Prompt, answer
from engines.sam2.tracker import Tracker
from kernels.preprocess import preprocess

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
Bool = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Seen:
    """One object on the frame in hand. logits: [s/4, s/4] float32 over the whole frame, stretched. score: over 0 where
    it is to be seen."""

    logits: F32
    score: float


class Segmenter:
    """A tracker that takes frames as they come. Objects of all feeds share it; a frame belongs to one of them.

    slots: objects at most. name, backend, sha256: for `feed.started`; sha256 is the weights', "" where they are drawn.
    """

    def __init__(self, model: Sam2, *, name: str, sha256: str, slots: int = 64) -> None:
        cuda = model.device.startswith("cuda")
        self._tracker = GraphTracker(model, slots=slots) if cuda else Tracker(model, slots=slots)
        self._model, self._slots = model, slots
        self._features: Features | None = None
        self._size = (0, 0)
        self.name, self.sha256 = name, sha256
        self.backend = "torch/CUDA graphs" if cuda else "torch/CPU"

    @property
    def free(self) -> int:
        """Objects for which there is room."""
        return self._slots - len(self._tracker.objects)

    def look(self, rgb: U8) -> None:
        """Take a frame [H, W, 3] uint8 RGB in hand; what follows is about it."""
        frame = torch.from_numpy(np.ascontiguousarray(rgb))[None].to(self._model.device)
        self._features = self._tracker.encode(preprocess([frame], self._model.side, dtype=self._model.dtype))
        self._size = (int(rgb.shape[0]), int(rgb.shape[1]))

    @torch.no_grad()
    def outline(self, box: F32) -> Seen:
        """What a box (xyxy pixels of the frame) holds; nothing is remembered of it."""
        frame, (h, w) = self._frame(), self._size
        x, y = self._model.side / w, self._model.side / h
        x0, y0, x1, y1 = (float(v) for v in box)
        found = answer(self._model, frame, Prompt(box=(x0 * x, y0 * y, x1 * x, y1 * y)))
        return Seen(_host(found.logits[0, 0]), float(found.score[0, 0]))

    def begin(self, mask: Bool) -> int:
        """Follow what `mask` [H, W] bool of the frame in hand holds, from the next frame on: its slot."""
        return self._tracker.add(self._frame(), 0, Prompt(mask=torch.from_numpy(np.ascontiguousarray(mask))))[0]

    def follow(self, slots: Sequence[int]) -> list[Seen]:
        """Where these objects are in the frame in hand, all in one batch."""
        if not slots:
            return []
        out = self._tracker.step(self._frame(), dict.fromkeys(slots, 0))
        logits, scores = _host(out.logits), _host(out.score)
        return [Seen(logits[i], float(scores[i])) for i in range(len(slots))]

    def forget(self, slots: Sequence[int]) -> None:
        for slot in slots:
            self._tracker.remove(slot)

    def _frame(self) -> Features:
        if self._features is None:
            raise ValueError("no frame was looked at yet")
        return self._features


def load(variant: str, *, size: int | None = None, weights: Path | None = None, slots: int = 64) -> Segmenter:
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
    return Segmenter(model, name=name, sha256=sha256(weights) if weights else "", slots=slots)


def _host(tensor: Any) -> F32:
    found: F32 = tensor.float().cpu().numpy()
    return found
