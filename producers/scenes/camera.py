"""A camera that pans and zooms over a drawn world larger than the frame."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from producers.scenes.shapes import F32, Patch

BLUR = 0.12
"""Share of the scene's length over which a camera gathers speed and loses it."""


@dataclass(frozen=True, slots=True)
class Camera:
    """Looks at a world `wide` times the frame in width and height.

    path: (time, x, y, zoom) knots: time a share of the scene's length, (x, y) the middle of what is seen in shares of
        the world, zoom frame pixels of a world's pixel. What is seen never reaches over the world's border.
    """

    wide: float
    path: tuple[tuple[float, float, float, float], ...]

    def world(self, size: tuple[int, int]) -> tuple[int, int]:
        """(width, height) in pixels of the world of a frame of `size`."""
        return round(size[0] * self.wide), round(size[1] * self.wide)

    def view(self, t: float, size: tuple[int, int]) -> tuple[float, float, float]:
        """(left, top, zoom) at the share `t` of the scene: frame pixel = (world pixel - left or top) * zoom."""
        times, *values = np.array(self.path).T
        moments = t + np.linspace(-BLUR / 2, BLUR / 2, 9)
        x, y, zoom = (float(np.interp(moments, times, v).mean()) for v in values)
        zoom = max(zoom, 1 / self.wide)
        (w, h), (world_w, world_h) = size, self.world(size)
        left = float(np.clip(x * world_w - w / zoom / 2, 0, max(0.0, world_w - w / zoom)))
        top = float(np.clip(y * world_h - h / zoom / 2, 0, max(0.0, world_h - h / zoom)))
        return left, top, zoom


def see_ground(ground: F32, view: tuple[float, float, float], size: tuple[int, int]) -> F32:
    """What of a world [H, W, 3] is seen, [h, w, 3] of `size` (width, height)."""
    left, top, zoom = view
    seen = cv2.warpAffine(ground, _matrix(left, top, zoom, 0, 0), size, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(seen, np.float32)


def see_patch(patch: Patch, view: tuple[float, float, float], size: tuple[int, int]) -> Patch | None:
    """A patch of the world as the frame shows it, cut to the frame; None where it is wholly outside."""
    left, top, zoom = view
    height, width = patch.alpha.shape
    x0, y0 = max(0, int((patch.left - left) * zoom) - 1), max(0, int((patch.top - top) * zoom) - 1)
    x1 = min(size[0], int((patch.left + width - left) * zoom) + 2)
    y1 = min(size[1], int((patch.top + height - top) * zoom) + 2)
    if x0 >= x1 or y0 >= y1:
        return None
    # Premultiplied colour and coverage are interpolated alike, so that edges stay right.
    move = _matrix(left - patch.left, top - patch.top, zoom, x0, y0)
    rgb, alpha = (cv2.warpAffine(p, move, (x1 - x0, y1 - y0)) for p in (patch.rgb, patch.alpha))
    return Patch(x0, y0, np.asarray(rgb, np.float32), np.asarray(alpha, np.float32))


def _matrix(left: float, top: float, zoom: float, x0: int, y0: int) -> F32:
    """From pixel centres of the world to those of a window of the frame that begins at (x0, y0)."""
    shift = 0.5 * zoom - 0.5
    return np.array([[zoom, 0, shift - left * zoom - x0], [0, zoom, shift - top * zoom - y0]], np.float32)
