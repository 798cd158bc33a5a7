"""From frames to detections by an engine that decodes its own boxes (engines.detectors.modules).

Frames are resized on the engine's device, all of a batch at once, and only what was found comes back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch

from engines.backends import Engine
from engines.detections import U8, Detections
from kernels.preprocess import fit, placed, preprocess

Picture: TypeAlias = U8 | torch.Tensor
LEAST = 0.3
"""Score from which a detection counts."""
SMALLEST_PX = 2


class EngineDetector:
    """One network, for one set of labels.

    labels: name of each of the engine's labels, "" for one that is none. given: the engine's inputs that are the same
    for all frames. corner: frames keep their shape, in the top left of the network's square, and the engine is told
    `extent`, the rest being 0; else they are stretched over all of it. device: where the engine runs.
    """

    def __init__(
        self, name: str, engine: Engine, labels: Sequence[str], *, least: float = LEAST, device: str = "cpu",
        given: Mapping[str, torch.Tensor] | None = None, corner: bool = False,
    ) -> None:  # fmt: skip
        self.name, self.backend = name, engine.backend
        self._engine, self._labels, self._least, self._device = engine, tuple(labels), least, device
        self._given, self._corner = dict(given or {}), corner
        self._side = int(engine.spec.inputs[0].shape[-1])
        self._most = engine.spec.rows.most

    def detect(self, rgb: Picture) -> Detections:
        return self.detect_many([rgb])[0]

    def detect_many(self, frames: Sequence[Picture]) -> list[Detections]:
        """Of each frame [H, W, 3] uint8 RGB, of any size and wherever it lies: its detections, highest score first. One
        run, or as many as the engine's largest batch asks for."""
        found: list[Detections] = []
        for start in range(0, len(frames), self._most):
            batch = frames[start : start + self._most]
            out = self._engine.run(self._given | prepare(batch, self._side, corner=self._corner, device=self._device))
            boxes, scores, labels = (out[name].cpu().numpy() for name in ("boxes", "scores", "labels"))
            found += [self._read(*row) for row in zip(batch, boxes, scores, labels, strict=True)]
        return found

    def _read(self, frame: Picture, boxes: Any, scores: Any, labels: Any) -> Detections:
        h, w = frame.shape[:2]
        boxes = np.clip(boxes, 0, np.array([w, h, w, h], np.float32)).astype(np.float32)
        names = tuple(self._labels[i] if 0 <= i < len(self._labels) else "" for i in labels.tolist())
        wide = ((boxes[:, 2:] - boxes[:, :2]) >= SMALLEST_PX).all(axis=1)
        keep = [i for i, name in enumerate(names) if name and wide[i] and scores[i] >= self._least]
        return Detections(boxes, scores.astype(np.float32), names).take(keep)


def prepare(
    frames: Sequence[Picture], side: int, *, corner: bool = False, device: str = "cpu"
) -> dict[str, torch.Tensor]:
    """What an engine is told of these frames: `frames` [n, 3, side, side], normalised, `size` [n, 2], and with `corner`
    their `extent` [n, 2]: rows and columns that they fill."""
    sizes = [(int(f.shape[0]), int(f.shape[1])) for f in frames]
    there = [placed(f, device) for f in frames]
    made = preprocess(there, side, letterbox=corner)
    inputs = {"frames": made, "size": torch.tensor(sizes, dtype=torch.float32, device=device)}
    if not corner:
        return inputs
    places = [fit((h, w), side, letterbox=True) for h, w in sizes]
    for picture, place in zip(made, places, strict=True):
        kept = picture[:, place.top :, place.left :][:, : place.height, : place.width].clone()
        picture.zero_()
        picture[:, : place.height, : place.width] = kept
    extent = [(p.height, p.width) for p in places]
    return inputs | {"extent": torch.tensor(extent, dtype=torch.float32, device=device)}
