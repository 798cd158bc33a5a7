"""YOLOX-nano, COCO-80 (Ge et al., "YOLOX: Exceeding YOLO Series in 2021", arXiv 2107.08430).

Input [1, 3, 416, 416] float32, BGR 0..255, letterboxed into the top left with 114. Output [1, 3549, 85]: grids of
stride 8, 16, 32; centre = (xy + cell) x stride, size = exp(wh) x stride, score = objectness x class.
"""

from __future__ import annotations

import numpy as np

from engines.backends import Session
from engines.crops import shrink
from engines.detections import F32, U8, Detections, suppress
from engines.labels import COCO

SIZE = 416


class YoloxDetector:
    name = "yolox-nano"

    def __init__(self, session: Session, *, score: float = 0.1, iou: float = 0.5) -> None:
        self._session, self._score, self._iou = session, score, iou
        cells, strides = [], []
        for stride in (8, 16, 32):
            n = SIZE // stride
            ys, xs = np.mgrid[:n, :n]
            cells.append(np.stack([xs, ys], axis=-1).reshape(-1, 2))
            strides.append(np.full((n * n, 1), stride))
        self._cells: F32 = np.concatenate(cells).astype(np.float32)
        self._strides: F32 = np.concatenate(strides).astype(np.float32)

    def detect(self, rgb: U8) -> Detections:
        h, w = rgb.shape[:2]
        scale = min(SIZE / h, SIZE / w)
        small = shrink(rgb, (max(1, round(w * scale)), max(1, round(h * scale))))
        canvas = np.full((SIZE, SIZE, 3), 114, np.float32)
        canvas[: small.shape[0], : small.shape[1]] = small[:, :, ::-1]
        out = self._session.run(np.ascontiguousarray(canvas.transpose(2, 0, 1)[None]))[0][0]
        centre = (out[:, :2] + self._cells) * self._strides
        half = np.exp(out[:, 2:4]) * self._strides / 2
        boxes = np.concatenate([centre - half, centre + half], axis=1) / np.float32(scale)
        scores = out[:, 4:5] * out[:, 5:]
        best = scores.argmax(axis=1)
        top = scores[np.arange(len(best)), best]
        keep = np.flatnonzero(top >= self._score)
        labels = [COCO[i] for i in best[keep]]
        return suppress(
            boxes[keep].astype(np.float32),
            top[keep].astype(np.float32),
            labels,
            score=self._score,
            iou=self._iou,
            size=(h, w),
        )
