"""Detection: when to look, by which detector, and what of its findings can be believed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engines.backends.shared import SharedDetector
from engines.crops import U8
from engines.detections import Detections, Detector
from kernels.iou import box_iou
from stream.entity import GROUPS
from stream.region import Polygon, inside

FOLLOWED = frozenset().union(*GROUPS) | {"boat", "airplane", "object"}
"""Categories that act or are acted upon; furniture and tableware are scenery."""

_LEAST = dict.fromkeys(("frisbee", "kite", "sports ball", "boat", "airplane"), 0.5)
"""Things small detectors see everywhere: only sure ones count."""


def is_due(now_us: int, last_us: int, interval_us: int) -> bool:
    """Whether `interval_us` has passed since the last look (a tenth of tolerance for uneven frame times)."""
    return last_us < 0 or now_us - last_us >= interval_us * 9 // 10


class Detect:
    """One detector, its findings cleaned: scenery dropped, one box per thing across categories.

    asked: what is no scenery, for somebody asked for it.
    """

    def __init__(
        self, detector: Detector | None, *, asked: Sequence[str] = (), same_iou: float = 0.65, least: float = 0.1
    ) -> None:
        self._detector, self._same, self._least = detector, same_iou, least
        self._followed = FOLLOWED.union(asked)

    def look(self, rgb: U8, picture: Any = None) -> Detections:
        """Detections of a frame [H, W, 3] uint8 RGB, best first. picture: the same on the device that decoded it, for a
        detector that takes it there."""
        if self._detector is None:
            return Detections.none()
        there = picture is not None and isinstance(self._detector, SharedDetector)
        found = self._detector.detect(picture if there else rgb)
        h, w = rgb.shape[:2]
        sides = found.boxes[:, 2:] - found.boxes[:, :2]
        keep: list[int] = []
        for i in range(len(found)):
            wide, high = (float(v) for v in sides[i])
            if found.categories[i] not in self._followed or found.scores[i] < _LEAST.get(
                found.categories[i], self._least
            ):
                continue
            if wide * high > 0.95 * h * w or max(wide, high) < 0.02 * max(h, w):
                continue
            if keep and box_iou(found.boxes[i : i + 1], found.boxes[keep]).max() > self._same:
                continue
            keep.append(i)
        return found.take(keep)


def merge(first: Detections, second: Detections, *, iou: float = 0.3) -> Detections:
    """`first` and what of `second` lies elsewhere."""
    if not len(second):
        return first
    inside = covered(second.boxes, first.boxes)
    new = [i for i in range(len(second)) if inside[i] < iou]
    more = second.take(new)
    return Detections(
        np.concatenate([first.boxes, more.boxes]),
        np.concatenate([first.scores, more.scores]),
        first.categories + more.categories,
    )


def within(found: Detections, masks: Sequence[Polygon], size: tuple[int, int]) -> Detections:
    """Those whose centre lies in one of `masks`; all where there is none. size: (H, W) of the frame."""
    if not masks:
        return found
    centres = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2 / np.array([size[1], size[0]], np.float32)
    return found.take([i for i, (x, y) in enumerate(centres.tolist()) if any(inside(m, x, y) for m in masks)])


def covered(boxes: np.ndarray, others: np.ndarray) -> Sequence[float]:
    """For each box the largest share of the smaller of it and another that both hold."""
    if not len(others):
        return [0.0] * len(boxes)
    low, high = np.maximum(boxes[:, None, :2], others[None, :, :2]), np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    both = np.prod(np.clip(high - low, 0, None), axis=2)
    areas = [np.prod(v[:, 2:] - v[:, :2], axis=1) for v in (boxes, others)]
    smaller = np.minimum(areas[0][:, None], areas[1][None])
    return [float(v) for v in (both / np.maximum(smaller, 1)).max(axis=1)]
