"""Motion: what moves against the camera, as boxes. It finds what no network knows and backs what one half sees."""

from __future__ import annotations

import cv2
import msgspec
import numpy as np

from engines.detections import Detections
from kernels.iou import box_iou
from stream.entity import GROUPS
from stream.flow import Flow
from stream.patch import F32

_SOLID = frozenset().union(*GROUPS[:4])
"""Categories that move by themselves."""


class MotionState(msgspec.Struct):
    energy: np.ndarray | None = None
    """[h, w] float32 at half the flow image's size: how much and how lately each pixel moved, in 0..1."""


class MotionDetector:
    """Moving regions as detections of category `object`.

    A pixel moves where its flow differs from the camera's by more than `speed` (of the flow image's width a second);
    regions smaller than `least_area` of the frame are noise.
    """

    name = "motion"

    def __init__(self, *, speed: float = 0.035, least_area: float = 0.004, memory: float = 0.6) -> None:
        self._speed, self._area, self._memory = speed, least_area, memory

    def step(self, state: MotionState, flow: Flow | None, step_us: int) -> None:
        """Take one frame's flow in; None (a cut, the start) forgets."""
        if flow is None:
            state.energy = None
            return
        field = flow.coarse
        cx, cy = flow.camera
        dx, dy = field[..., 0] + np.float32(cx / flow.kx), field[..., 1] + np.float32(cy / flow.ky)
        least = self._speed * 2 * field.shape[1] * max(1e-3, step_us / 1e6)
        moving = (dx * dx + dy * dy > np.float32(max(0.35, least) ** 2)).astype(np.float32)
        if state.energy is None or state.energy.shape != moving.shape:
            state.energy = moving * np.float32(1 - self._memory)
        else:
            state.energy = np.float32(self._memory) * state.energy + np.float32(1 - self._memory) * moving

    def detect(self, state: MotionState, size: tuple[int, int]) -> Detections:
        """Boxes of what moves, in pixels of a frame of `size` (H, W), largest first."""
        if state.energy is None:
            return Detections.none()
        h, w = state.energy.shape
        mask = (state.energy > 0.5).astype(np.uint8)
        mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
        mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
        if mask.mean() > 0.5:
            return Detections.none()  # the camera's own motion was not understood: everything seems to move
        _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        boxes, scores = [], []
        for x, y, bw, bh, area in sorted(stats[1:].tolist(), key=lambda s: (-s[4], s[0], s[1])):
            fill = area / (bw * bh)
            if area < self._area * h * w or fill < 0.3 or bw > 0.8 * w:
                continue
            boxes.append([x * size[1] / w, y * size[0] / h, (x + bw) * size[1] / w, (y + bh) * size[0] / h])
            scores.append(0.4 + 0.2 * fill)
        if not boxes:
            return Detections.none()
        return Detections(np.array(boxes, np.float32), np.array(scores, np.float32), ("object",) * len(boxes))


def corroborate(found: Detections, moving: Detections, *, gain: float = 0.45) -> Detections:
    """Weak detections that lie where something moves are believed more: nothing drawn on a wall moves."""
    if not len(found) or not len(moving):
        return found
    near = box_iou(found.boxes, moving.boxes).max(axis=1)
    solid = np.array([c in _SOLID for c in found.categories])
    scores: F32 = found.scores + np.where(
        (near > 0.4) & (found.scores < 0.6) & solid, np.float32(gain), np.float32(0)
    ) * near.astype(np.float32)
    order = np.argsort(-scores, kind="stable")
    return Detections(found.boxes, scores.astype(np.float32), found.categories).take(order)
