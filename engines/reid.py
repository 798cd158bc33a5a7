"""Person re-identification (Open Model Zoo's person-reidentification-retail-0287): 256 numbers that tell people apart.

Input [1, 256, 128, 3] BGR 0..255. The background is painted grey by the mask so that only the person counts.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.backends import Session
from engines.crops import F32, U8


class ReidNet:
    name = "person-reid-0287"

    def __init__(self, session: Session) -> None:
        self._session = session

    def embed(self, rgb: U8, box: NDArray[np.floating]) -> F32:
        """[256] float32 of length 1 for the person in `box` (xyxy pixels) of a frame [H, W, 3]."""
        h, w = rgb.shape[:2]
        x0, y0 = max(0, int(box[0])), max(0, int(box[1]))
        x1, y1 = min(w, int(np.ceil(box[2]))), min(h, int(np.ceil(box[3])))
        crop = cv2.resize(rgb[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)], (128, 256), interpolation=cv2.INTER_LINEAR)
        v: F32 = self._session.run(crop[:, :, ::-1][None].astype(np.float32))[0].reshape(-1)
        return v / np.float32(max(1e-6, float(np.linalg.norm(v))))
