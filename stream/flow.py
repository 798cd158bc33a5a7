"""Optical flow between neighbouring frames (DIS: Kroeger et al., ECCV 2016) and masks carried along it."""

from __future__ import annotations

from functools import cached_property, lru_cache

import cv2
import numpy as np

from engines.crops import shrink
from stream.patch import F32, U8, Patch

WIDTH = 480
"""Pixels of the longer side at which flow is computed."""


_FINE = 400
"""Pixels: above it the quickest preset is exact enough (1.2 ms against 2.7), below it the finer one is needed."""


def small_image(rgb: U8) -> U8:
    """A frame [H, W, 3] at the size at which flow, cuts and the background are computed."""
    h, w = rgb.shape[:2]
    k = min(1.0, WIDTH / max(h, w))
    return shrink(rgb, (max(16, round(w * k)), max(16, round(h * k))))


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

    def motion(self, patch: Patch) -> tuple[float, float]:
        """Median motion of a patch (of frame `to`) in pixels a frame (x, y)."""
        if id(patch) not in self._motions:  # several stages ask for the same one
            self._motions[id(patch)] = patch, self._measure(patch)
        return self._motions[id(patch)][1]

    def _measure(self, patch: Patch) -> tuple[float, float]:
        h, w = self.field.shape[:2]
        small = cv2.resize(
            patch.prob, (max(1, round(patch.prob.shape[1] / self.kx)), max(1, round(patch.prob.shape[0] / self.ky)))
        )
        x0, y0 = min(w - 1, round(patch.x0 / self.kx)), min(h - 1, round(patch.y0 / self.ky))
        part = self.field[y0 : y0 + small.shape[0], x0 : x0 + small.shape[1]]
        inside = part[small[: part.shape[0], : part.shape[1]] >= 128]
        if not len(inside):
            return 0.0, 0.0
        m = np.median(inside, axis=0)
        return -float(m[0]) * self.kx, -float(m[1]) * self.ky


def _largest(steps: F32) -> float:
    """The longest of steps along one axis, no longer than a fifth of the field."""
    return min(0.2 * max(steps.shape), float(max(-steps.min(), steps.max()))) if steps.size else 0.0


@lru_cache(maxsize=4)
def _places(w: int, h: int) -> F32:
    """[h, w, 2] float32: every pixel's own (x, y)."""
    return np.dstack(np.meshgrid(np.arange(w, dtype=np.float32), np.arange(h, dtype=np.float32)))
