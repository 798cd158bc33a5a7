"""Detections: parallel arrays, checked on creation; and what every detector offers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Detections:
    """N detections of one frame.

    boxes: [N, 4] float32, xyxy pixels of the frame. scores: [N] float32 in [0, 1]. categories: N names.
    """

    boxes: F32
    scores: F32
    categories: tuple[str, ...]

    def __post_init__(self) -> None:
        n = len(self.categories)
        if self.boxes.shape != (n, 4) or self.scores.shape != (n,):
            raise ValueError(
                f"{n} categories want boxes [{n}, 4] and scores [{n}], got {self.boxes.shape}, {self.scores.shape}"
            )

    def __len__(self) -> int:
        return len(self.categories)

    def take(self, keep: Sequence[int] | NDArray[np.intp]) -> Detections:
        """The detections at these places, in this order."""
        index = np.asarray(keep, dtype=np.intp)
        return Detections(self.boxes[index], self.scores[index], tuple(self.categories[int(i)] for i in index))

    @classmethod
    def none(cls) -> Detections:
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), ())


class Detector(Protocol):
    name: str

    def detect(self, rgb: U8) -> Detections:
        """Detections of one frame [H, W, 3] uint8 RGB, highest score first."""
        ...


class BatchDetector(Detector, Protocol):
    def detect_many(self, frames: Sequence[U8]) -> list[Detections]:
        """Detections of each frame, in one run of the network; the frames may be of different sizes."""
        ...


def suppress(
    boxes: F32, scores: F32, labels: Sequence[str], *, score: float, iou: float, size: tuple[int, int]
) -> Detections:
    """Class-wise greedy NMS (OpenCV's), boxes clipped to `size` (H, W), highest score first."""
    keep = np.flatnonzero(scores >= score)
    if not len(keep):
        return Detections.none()
    boxes, scores = boxes[keep], scores[keep]
    names = [labels[int(i)] for i in keep]
    ids = [sorted(set(names)).index(n) for n in names]
    xywh = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    kept = cv2.dnn.NMSBoxesBatched(xywh.tolist(), scores.tolist(), ids, score, iou)
    order = sorted((int(i) for i in np.asarray(kept).reshape(-1)), key=lambda i: (-float(scores[i]), i))
    h, w = size
    boxes = np.clip(boxes, 0, np.array([w, h, w, h], np.float32)).astype(np.float32)
    order = [i for i in order if boxes[i, 2] - boxes[i, 0] >= 2 and boxes[i, 3] - boxes[i, 1] >= 2]
    return Detections(boxes, scores.astype(np.float32), tuple(names)).take(order)
