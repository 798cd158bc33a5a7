"""Optical flow between neighbouring frames (DIS: Kroeger et al., ECCV 2016) and masks carried along it."""

from __future__ import annotations

import cv2
import numpy as np

from engines.crops import shrink
from stream.patch import F32, U8, Patch, intersect

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
        self._camera: tuple[float, float] | None = None
        self.kx, self.ky = size[1] / to.shape[1], size[0] / to.shape[0]

    def camera(self) -> tuple[float, float]:
        """Median motion of the frame's rim in pixels a frame (x, y): what the camera does."""
        if self._camera is not None:
            return self._camera
        f = self.coarse
        r = max(2, min(f.shape[:2]) // 10)
        rim = np.concatenate(
            [f[:r].reshape(-1, 2), f[-r:].reshape(-1, 2), f[:, :r].reshape(-1, 2), f[:, -r:].reshape(-1, 2)]
        )
        m = np.median(rim, axis=0)
        self._camera = (-float(m[0]) * self.kx, -float(m[1]) * self.ky)
        return self._camera

    def carry(self, patch: Patch) -> Patch:
        """The patch one frame on: each pixel takes the probability of the place it came from."""
        h, w = self._size
        fx0, fx1 = int(patch.x0 / self.kx), int(np.ceil(patch.window[2] / self.kx))
        fy0, fy1 = int(patch.y0 / self.ky), int(np.ceil(patch.window[3] / self.ky))
        near = self.field[max(0, fy0 - 8) : fy1 + 8, max(0, fx0 - 8) : fx1 + 8]
        reach_x = int(min(w // 4, np.abs(near[..., 0]).max(initial=0) * self.kx)) + 2
        reach_y = int(min(h // 4, np.abs(near[..., 1]).max(initial=0) * self.ky)) + 2
        x0, y0, x1, y1 = patch.window
        window = intersect((x0 - reach_x, y0 - reach_y, x1 + reach_x, y1 + reach_y), (0, 0, w, h))
        if window is None:
            return Patch(patch.x0, patch.y0, np.zeros((1, 1), np.uint8))
        x0, y0, x1, y1 = window
        m = np.array([[1 / self.kx, 0, (x0 + 0.5) / self.kx - 0.5], [0, 1 / self.ky, (y0 + 0.5) / self.ky - 0.5]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        field = cv2.warpAffine(self.field, m, (x1 - x0, y1 - y0), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        map_x = field[..., 0] * np.float32(self.kx)
        map_y = field[..., 1] * np.float32(self.ky)
        map_x += np.arange(x0 - patch.x0, x1 - patch.x0, dtype=np.float32)[None]
        map_y += np.arange(y0 - patch.y0, y1 - patch.y0, dtype=np.float32)[:, None]
        return Patch(x0, y0, cv2.remap(patch.prob, map_x, map_y, cv2.INTER_LINEAR)).trim()

    def motion(self, patch: Patch) -> tuple[float, float]:
        """Median motion of a patch (of frame `to`) in pixels a frame (x, y)."""
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
