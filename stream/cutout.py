"""An entity cut out of a frame: the picture that a report and the viewer show of it."""

from __future__ import annotations

import cv2
import numpy as np

from engines.crops import U8
from kernels import rle
from stream.events import MaskletFrame


def cut_out(rgb: U8, frame: MaskletFrame, *, side: int = 360) -> bytes:
    """An entity cut out of a frame [H, W, 3] by its mask: a PNG with transparency, `side` pixels at most."""
    mask = rle.decode(frame.rle.counts, frame.rle.size)
    x0, y0, x1, y1 = (int(v) for v in frame.bbox)
    x0, y0, x1, y1 = max(0, x0 - 4), max(0, y0 - 4), min(rgb.shape[1], x1 + 4), min(rgb.shape[0], y1 + 4)
    alpha = cv2.GaussianBlur(mask[y0:y1, x0:x1].astype(np.uint8) * 255, (3, 3), 0)
    picture = np.dstack([rgb[y0:y1, x0:x1, ::-1], alpha])
    k = min(1.0, side / max(picture.shape[:2]))
    if k < 1:
        size = (max(1, round(picture.shape[1] * k)), max(1, round(picture.shape[0] * k)))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return bytes(cv2.imencode(".png", picture)[1])
