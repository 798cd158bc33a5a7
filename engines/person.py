"""BlazePose's person detector (Bazarevsky et al., arXiv 2006.10204): the detector that PyPI alone brings.

Input [1, 224, 224, 3] RGB -1..1, letterboxed. Outputs: 2254 anchors of 12 values and their logits. The anchors are
those of an SSD with strides 8, 16, 32, 32, 32, two a cell and layer, all of size 1: a value is an offset in input
pixels from the anchor's centre. Values: box centre and size (the head's), then keypoints: hip centre, a point whose
distance from it is half the full body's square, and two of the upper body.
"""

from __future__ import annotations

import cv2
import numpy as np

from engines.backends import Session
from engines.detections import F32, U8, Detections, suppress

SIZE = 224
_SURENESS = 0.7
"""What a score counts for: it is as sure of a railing as of a person, so that the pose network has to agree."""


def _anchors() -> F32:
    centres = []
    for stride, repeat in ((8, 2), (16, 2), (32, 6)):  # the three layers of stride 32 share one grid
        n = SIZE // stride
        ys, xs = np.mgrid[:n, :n]
        cells = (np.stack([xs, ys], axis=-1).reshape(-1, 2) + 0.5) * stride
        centres.append(np.repeat(cells, repeat, axis=0))
    return np.concatenate(centres).astype(np.float32)


class PersonDetector:
    name = "blazepose-person"

    def __init__(self, session: Session, *, score: float = 0.25, iou: float = 0.4) -> None:
        self._session, self._score, self._iou = session, score, iou
        self._anchors = _anchors()

    def detect(self, rgb: U8) -> Detections:
        h, w = rgb.shape[:2]
        scale = SIZE / max(h, w)
        small = cv2.resize(rgb, (max(1, round(w * scale)), max(1, round(h * scale))), interpolation=cv2.INTER_AREA)
        top, left = (SIZE - small.shape[0]) // 2, (SIZE - small.shape[1]) // 2
        canvas = np.zeros((SIZE, SIZE, 3), np.float32)
        canvas[top : top + small.shape[0], left : left + small.shape[1]] = small
        out = self._session.run((canvas / 127.5 - 1).astype(np.float32)[None])
        by_width = {o.shape[-1]: o[0] for o in out}
        values, logits = by_width[12], by_width[1][:, 0]
        scores = (_SURENESS / (1 + np.exp(-np.clip(logits, -50, 50)))).astype(np.float32)
        keep = np.flatnonzero(scores >= self._score)
        points = values[keep].reshape(-1, 6, 2)
        points[:, [0, 2, 3, 4, 5]] += self._anchors[keep, None]
        points[:, [0, 2, 3, 4, 5]] = (points[:, [0, 2, 3, 4, 5]] - np.array([left, top], np.float32)) / scale
        hip, scope = points[:, 2], points[:, 3]
        reach = np.linalg.norm(scope - hip, axis=1, keepdims=True)  # half the side of the body's square
        boxes = np.concatenate([hip - reach, hip + reach], axis=1)
        boxes[:, 0] += 0.45 * reach[:, 0]  # a standing body fills about half of that square's width
        boxes[:, 2] -= 0.45 * reach[:, 0]
        labels = ["person"] * len(keep)
        return suppress(boxes.astype(np.float32), scores[keep], labels, score=self._score, iou=self._iou, size=(h, w))
