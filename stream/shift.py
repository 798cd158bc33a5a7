"""Where a mask's pixels are in another frame: one shift for all of them, wherever enough of them are in sight.

The mean squared difference is taken over the mask's pixels alone and, where the shift brings some beyond the frame,
over those that stay inside, as in masked registration (Padfield, IEEE TIP 2012). Unlike dense optical flow it holds on
to a sliver at the frame's edge that moves by more than its own width.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.patch import F32, U8, Bool, Patch, Window, intersect

LEAST = 12
"""Pixels of the mask that must be in sight at a shift."""
_FLAT, _NOISE = 0.002, 2.0
"""How much more a shift costs a squared pixel from the one expected, and squared grey levels of noise: where nothing
tells shifts apart, the nearest wins."""
_SEEN = 0.5
"""A shift that keeps a share s of the pixels in sight is as good as one whose difference is s to this power of it."""


def shift_of(
    patch: Patch, now: U8, before: U8, expected: NDArray[np.floating], reach: int
) -> NDArray[np.float64] | None:
    """The shift [2] (x, y) in pixels, to a fraction of one, from the mask in `now` to the same pixels in `before`.

    now, before: [H, W] uint8 grey; the mask lies in `now`. The shift is looked for within `reach` pixels of the
    `expected` one in both directions; None where nowhere there enough of the mask would be in sight.
    """
    x0, y0, x1, y1 = patch.window
    inside = patch.mask.astype(np.float32)
    here = now[y0:y1, x0:x1].astype(np.float32)
    middle = np.float32((here * inside).sum() / max(1.0, inside.sum()))  # small numbers keep sums of squares exact
    here -= middle
    ex, ey = (round(float(v)) for v in expected)
    there, seen = _around(before - middle, (x0 + ex - reach, y0 + ey - reach, x1 + ex + reach, y1 + ey + reach))
    count = _correlate(seen, inside)
    if not (in_sight := count >= LEAST).any():
        return None
    square = _correlate(seen, inside * here**2) - 2 * _correlate(there, inside * here) + _correlate(there**2, inside)
    mean = square / np.maximum(count, 1)
    far = np.arange(-reach, reach + 1) ** 2
    cost = (mean + _NOISE) * (1 + _FLAT * (far[:, None] + far))
    cost = np.where(in_sight, cost / np.maximum(count / inside.sum(), 1e-3) ** _SEEN, np.inf)
    row, column = (int(i) for i in np.unravel_index(int(np.argmin(cost)), cost.shape))
    dx, dy = _between(mean[row], in_sight[row], column), _between(mean[:, column], in_sight[:, column], row)
    return np.array([ex + column - reach + dx, ey + row - reach + dy])


def _around(image: F32, window: Window) -> tuple[F32, F32]:
    """The image over a window that may reach beyond it, 0 there, and where the image is (1) and is not (0)."""
    x0, y0, x1, y1 = window
    there, seen = np.zeros((y1 - y0, x1 - x0), np.float32), np.zeros((y1 - y0, x1 - x0), np.float32)
    shared = intersect(window, (0, 0, image.shape[1], image.shape[0]))
    if shared is not None:
        a, b, c, d = shared
        there[b - y0 : d - y0, a - x0 : c - x0] = image[b:d, a:c]
        seen[b - y0 : d - y0, a - x0 : c - x0] = 1
    return there, seen


def _correlate(image: F32, pattern: F32) -> F32:
    return np.asarray(cv2.matchTemplate(image, pattern, cv2.TM_CCORR), np.float32)


def _between(costs: NDArray[np.floating], in_sight: Bool, at: int) -> float:
    """Where between its neighbours the least of costs lies: the vertex of the parabola through three of them."""
    if not 0 < at < len(costs) - 1 or not in_sight[at - 1 : at + 2].all():
        return 0.0
    before, least, after = (float(c) for c in costs[at - 1 : at + 2])
    bend = before - 2 * least + after
    return float(np.clip((before - after) / (2 * bend), -0.5, 0.5)) if bend > 1e-6 else 0.0
