"""Look-back: an entity that is new, or back, is followed backward to when it could be seen first, within the window.

Strefer tracks from its one start frame in both directions; a stream can only look back a little. The mask is carried
against time by optical flow and given up where forward and backward flow disagree, or it shrinks to nothing.
"""

from __future__ import annotations

import msgspec
import numpy as np

from stream.flow import Flow
from stream.patch import F32, HALF, U8, Patch

LEAST_SHARE, MOST_SHARE = 0.2, 2.0
"""Of the area of the mask that is followed back: less or more than that is something else."""
LEAST = 48
"""Pixels of a mask that can be followed back."""
_DIFFERS = 12.0
"""Grey levels: more than noise and light change between two frames of one thing."""


class Past(msgspec.Struct):
    """The last frames of this shot, oldest first: times and flow images. Bounded by `window_us`."""

    window_us: int = 2_000_000
    times: list[int] = msgspec.field(default_factory=list)
    images: list[np.ndarray] = msgspec.field(default_factory=list)

    def add(self, pts_us: int, image: U8) -> None:
        self.times.append(pts_us)
        self.images.append(image)
        while self.times[0] < pts_us - self.window_us:
            del self.times[0], self.images[0]

    def clear(self) -> None:
        self.times, self.images = [], []


def trace_back(past: Past, patch: Patch, from_us: int, size: tuple[int, int]) -> list[tuple[int, Patch]]:
    """Masks before `from_us`, newest first. patch: the mask at `from_us`; size: (H, W) of the working frame."""
    if from_us not in past.times:
        return []
    out: list[tuple[int, Patch]] = []
    start = patch.area
    for i in range(past.times.index(from_us), 0, -1):
        back = Flow(past.images[i - 1], past.images[i], size)
        forth = Flow(past.images[i], past.images[i - 1], size)
        agreement, difference = _agreement(back, forth, patch, past.images[i], past.images[i - 1])
        if agreement < 0.6 or difference > _DIFFERS:
            break
        patch = back.carry(patch).main_part()
        least = LEAST if patch.at_edge(size) else max(LEAST, LEAST_SHARE * start)  # the rest is beyond the edge
        if not least <= patch.area <= MOST_SHARE * start:
            break
        out.append((past.times[i - 1], patch))
    return out


def _agreement(back: Flow, forth: Flow, patch: Patch, now: U8, before: U8) -> tuple[float, float]:
    """How well the mask's pixels are found in the frame before.

    The share whose flow there and back again ends within a pixel and a half of where it began, and the mean grey
    difference between each pixel and the one it is said to come from.
    """
    h, w = forth.field.shape[:2]
    ys, xs = np.nonzero(patch.prob[::4, ::4] >= HALF)
    if not len(xs):
        return 0.0, 255.0
    fx = np.clip(((xs * 4 + patch.x0) / forth.kx).astype(int), 0, w - 1)
    fy = np.clip(((ys * 4 + patch.y0) / forth.ky).astype(int), 0, h - 1)
    there: F32 = forth.field[fy, fx]
    bx = np.clip(np.rint(fx + there[:, 0]).astype(int), 0, w - 1)
    by = np.clip(np.rint(fy + there[:, 1]).astype(int), 0, h - 1)
    error = np.abs(there + back.field[by, bx]).max(axis=1)
    change = np.abs(now[fy, fx].astype(np.int16) - before[by, bx].astype(np.int16))
    return float((error < 1.5).mean()), float(change.mean())
