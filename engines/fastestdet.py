"""FastestDet, COCO-80 (github.com/dog-qiuqiu/FastestDet, BSD-3): the smallest detector of the catalogue.

Input [1, 3, 352, 352] float32, BGR / 255, stretched by area. Output [1, 85, 22, 22]: objectness, tanh dx, tanh dy,
sigmoid w, sigmoid h, 80 class scores; score = objectness^0.6 x class^0.4.
"""

from __future__ import annotations

import cv2
import numpy as np

from engines.backends import Session
from engines.detections import U8, Detections, suppress
from engines.labels import COCO

SIZE, GRID = 352, 22


class FastestDetDetector:
    name = "fastestdet"

    def __init__(self, session: Session, *, score: float = 0.35, iou: float = 0.45) -> None:
        self._session, self._score, self._iou = session, score, iou

    def detect(self, rgb: U8) -> Detections:
        h, w = rgb.shape[:2]
        small = cv2.resize(rgb, (SIZE, SIZE), interpolation=cv2.INTER_AREA)[:, :, ::-1].astype(np.float32) / 255
        out = self._session.run(np.ascontiguousarray(small.transpose(2, 0, 1)[None]))[0][0].reshape(85, -1).T
        ys, xs = np.divmod(np.arange(GRID * GRID), GRID)
        cx, cy = (xs + np.tanh(out[:, 1])) / GRID, (ys + np.tanh(out[:, 2])) / GRID
        bw, bh = 1 / (1 + np.exp(-out[:, 3])), 1 / (1 + np.exp(-out[:, 4]))
        boxes = np.stack([cx - bw / 2, cy - bh / 2, cx + bw / 2, cy + bh / 2], axis=1)
        boxes = (boxes * np.array([w, h, w, h])).astype(np.float32)
        best = out[:, 5:].argmax(axis=1)
        cls = out[np.arange(len(best)), 5 + best]
        scores = (np.clip(out[:, 0], 0, 1) ** 0.6 * np.clip(cls, 0, 1) ** 0.4).astype(np.float32)
        return suppress(boxes, scores, [COCO[i] for i in best], score=self._score, iou=self._iou, size=(h, w))
