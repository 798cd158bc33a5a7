"""Optical flow between neighbouring frames (DIS: Kroeger et al., ECCV 2016) and masks carried along it."""

from __future__ import annotations

from functools import cached_property, lru_cache

import cv2
import numpy as np

from engines.crops import shrink
from stream.patch import F32, HALF, U8, Patch, intersect

WIDTH = 480
"""Pixels of the longer side at which flow is computed."""

LEAST_SIDE = 32
"""Pixels of either side at least: on strips of 20 to 31 OpenCV's DIS flow ends the process (a segmentation fault)."""

_FINE = 400
"""Pixels: above it the quickest preset is exact enough (1.2 ms against 2.7), below it the finer one is needed."""


def small_image(rgb: U8) -> U8:
    """A frame [H, W, 3] at the size at which flow, cuts and the background are computed."""
    h, w = rgb.shape[:2]
    k = min(1.0, WIDTH / max(h, w))
    return shrink(rgb, (max(LEAST_SIDE, round(w * k)), max(LEAST_SIDE, round(h * k))))


def flow_image(small: U8) -> U8:
    """The grey image [h, w] of a small one, from which flow is computed and which the look-back keeps."""
    return cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)  # type: ignore[no-any-return]


class Flow:
    """For every pixel of frame `to` where it was in frame `come`: [h, w, 2] float32 at the flow image's size."""

    def __init__(self, to: U8, come: U8, size: tuple[int, int]) -> None:
        preset = cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST if max(to.shape) > _FINE else cv2.DISOPTICAL_FLOW_PRESET_FAST
        self.field: F32 = cv2.DISOpticalFlow_create(preset).calc(to, come, None)  # type: ignore[attr-defined]
        self._size = size
        self.coarse: F32 = np.ascontiguousarray(self.field[::2, ::2])
        """Every second vector of both axes, for what needs no detail."""
        self.kx, self.ky = size[1] / to.shape[1], size[0] / to.shape[0]
        self._motions: dict[int, tuple[Patch, tuple[float, float]]] = {}

    @cached_property
    def camera(self) -> tuple[float, float]:
        """Median motion of the frame's rim in pixels a frame (x, y): what the camera does."""
        f = self.coarse
        r = max(2, min(f.shape[:2]) // 10)
        rim = np.concatenate(
            [f[:r].reshape(-1, 2), f[-r:].reshape(-1, 2), f[:, :r].reshape(-1, 2), f[:, -r:].reshape(-1, 2)]
        )
        m = np.median(rim, axis=0)
        return -float(m[0]) * self.kx, -float(m[1]) * self.ky

    def carry(self, patch: Patch) -> Patch:
        """The patch one frame on: each pixel takes the probability of the place it came from."""
        h, w = self._size
        fh, fw = self.field.shape[:2]
        x0, y0, x1, y1 = patch.window
        fx0, fx1 = max(0, int(x0 / self.kx) - 8), min(fw, int(np.ceil(x1 / self.kx)) + 8)
        fy0, fy1 = max(0, int(y0 / self.ky) - 8), min(fh, int(np.ceil(y1 / self.ky)) + 8)
        reach_x = _largest(self.field[fy0:fy1, fx0:fx1, 0])
        reach_y = _largest(self.field[fy0:fy1, fx0:fx1, 1])
        # The block of the field in which the patch can be now, and the frame's pixels under it.
        fx0, fx1 = max(0, int(x0 / self.kx - reach_x) - 1), min(fw, int(x1 / self.kx + reach_x) + 2)
        fy0, fy1 = max(0, int(y0 / self.ky - reach_y) - 1), min(fh, int(y1 / self.ky + reach_y) + 2)
        x0, x1, y0, y1 = round(fx0 * self.kx), round(fx1 * self.kx), round(fy0 * self.ky), round(fy1 * self.ky)
        come = cv2.multiply(self.field[fy0:fy1, fx0:fx1], (self.kx, self.ky, 0, 0))
        come = cv2.add(come, (x0 - patch.x0, y0 - patch.y0, 0, 0))
        come = cv2.resize(come, (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR)
        cv2.add(come, _places(w, h)[: y1 - y0, : x1 - x0], dst=come)
        return Patch(x0, y0, cv2.remap(patch.prob, come, None, cv2.INTER_LINEAR)).trim()

    def carry_whole(self, patch: Patch, *, like: Patch | None = None) -> Patch:
        """The patch one frame on as one piece: moved and scaled as its pixels (or those of `like`) are in the median.
        Flow spills over a thing's edge and tears at what has no texture; what is rigid keeps its shape."""
        like = like or patch
        places, steps = self._inside(like)
        if len(steps) < 16:
            return self.carry(patch)
        h, w = self._size
        x, y = (float(v) for v in np.median(places, axis=0))
        dx, dy = self.motion(like)
        k = 1 + float(np.clip(np.mean([_growth(places[:, i], steps[:, i]) for i in (0, 1)]), -0.05, 0.05))
        # The middle (x, y) of what is there now was at (x - dx, y - dy); what was one pixel wide is 1 / k pixels now.
        left, top, right, bottom = (
            (p - m) / k + m + d for p, m, d in zip(patch.window, (x, y, x, y), (dx, dy, dx, dy), strict=True)
        )
        window = intersect((int(left) - 2, int(top) - 2, int(right) + 3, int(bottom) + 3), (0, 0, w, h))
        if window is None:
            return Patch(patch.x0, patch.y0, np.zeros((1, 1), np.uint8))
        x0, y0, x1, y1 = window
        come = np.array([
            [k, 0, k * (x0 - x - dx) + x - patch.x0],
            [0, k, k * (y0 - y - dy) + y - patch.y0],
        ])  # fmt: skip
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return Patch(x0, y0, cv2.warpAffine(patch.prob, come, (x1 - x0, y1 - y0), flags=flags)).trim()

    def motion(self, patch: Patch) -> tuple[float, float]:
        """Median motion of a patch (of frame `to`) in pixels a frame (x, y)."""
        if id(patch) not in self._motions:  # several stages ask for the same one
            steps = self._inside(patch)[1]
            m = np.median(steps, axis=0) if len(steps) else (0.0, 0.0)
            self._motions[id(patch)] = patch, (-float(m[0]), -float(m[1]))
        return self._motions[id(patch)][1]

    def _inside(self, patch: Patch) -> tuple[F32, F32]:
        """Where the field's points inside the mask are, and their steps: [N, 2] float32 each, in frame pixels."""
        h, w = self.field.shape[:2]
        small = cv2.resize(
            patch.prob, (max(1, round(patch.prob.shape[1] / self.kx)), max(1, round(patch.prob.shape[0] / self.ky)))
        )
        x0, y0 = min(w - 1, round(patch.x0 / self.kx)), min(h - 1, round(patch.y0 / self.ky))
        part = self.field[y0 : y0 + small.shape[0], x0 : x0 + small.shape[1]]
        ys, xs = np.nonzero(small[: part.shape[0], : part.shape[1]] >= HALF)
        k = np.array([self.kx, self.ky], np.float32)
        return np.stack([xs + x0, ys + y0], axis=1).astype(np.float32) * k, part[ys, xs] * k


def _growth(places: F32, steps: F32) -> float:
    """By how much steps grow with places along one axis: the slope between the medians of the two outer thirds."""
    low, high = np.quantile(places, (1 / 3, 2 / 3))
    a, b = places <= low, places >= high
    return float((np.median(steps[b]) - np.median(steps[a])) / max(1.0, np.median(places[b]) - np.median(places[a])))


def _largest(steps: F32) -> float:
    """The longest of steps along one axis, no longer than a fifth of the field."""
    return min(0.2 * max(steps.shape), float(max(-steps.min(), steps.max()))) if steps.size else 0.0


@lru_cache(maxsize=4)
def _places(w: int, h: int) -> F32:
    """[h, w, 2] float32: every pixel's own (x, y)."""
    return np.dstack(np.meshgrid(np.arange(w, dtype=np.float32), np.arange(h, dtype=np.float32)))
