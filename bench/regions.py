"""J and F, the DAVIS measures of one masklet (Perazzi et al., CVPR 2016), as MeViS and Ref-YouTube-VOS use them.

J is region IoU. F is the F-measure of boundary pixels matched within 0.8 % of the frame's diagonal, on TrackEval's
boundary map (`JAndF._seg2bmap`) and by its rule; its own loop is not called, since it needs scikit-image for a disc.
A frame in which neither side has anything counts 1.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from trackeval.metrics import JAndF

Bool = NDArray[np.bool_]
BOUND = 0.008
"""Tolerance of boundaries, share of the diagonal."""


def region_j(truth: Bool, said: Bool) -> float:
    """IoU of two masks [H, W]."""
    union = int(np.count_nonzero(truth | said))
    return int(np.count_nonzero(truth & said)) / union if union else 1.0


def boundary_f(truth: Bool, said: Bool) -> float:
    """F-measure of the boundaries of two masks [H, W]."""
    if not truth.any() or not said.any():
        return float(not truth.any() and not said.any())
    radius = int(np.ceil(BOUND * np.linalg.norm(truth.shape)))
    window = _window(truth | said, radius + 2)  # outside of it there is nothing on either side
    lines = [JAndF._seg2bmap(m[window]).astype(np.uint8) for m in (truth, said)]
    if not lines[0].any() or not lines[1].any():  # a mask that fills the frame has no boundary
        return float(not lines[0].any() and not lines[1].any())
    near = [cv2.dilate(line, disc(radius)) for line in lines]
    recall = float((lines[0] * near[1]).sum()) / float(lines[0].sum())
    precision = float((lines[1] * near[0]).sum()) / float(lines[1].sum())
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


@lru_cache(maxsize=8)
def disc(radius: int) -> NDArray[np.uint8]:
    """A filled circle [2r+1, 2r+1], as scikit-image's `disk` makes it."""
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    return np.asarray(x**2 + y**2 <= radius**2, np.uint8)


def _window(mask: Bool, margin: int) -> tuple[slice, slice]:
    ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (
        slice(max(0, int(ys[0]) - margin), int(ys[-1]) + margin + 1),
        slice(max(0, int(xs[0]) - margin), int(xs[-1]) + margin + 1),
    )
