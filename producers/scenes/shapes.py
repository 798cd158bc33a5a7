"""Shaded, textured, anti-aliased shapes drawn onto RGBA patches by their distance fields."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
Colour = tuple[int, int, int]
Texture = Callable[[F32, F32], F32]
"""Brightness factor at (along, across), both in pixels of the figure, so that a pattern moves with its limb."""


@dataclass(slots=True)
class Patch:
    """A piece of image to draw on: premultiplied RGB [H, W, 3] float32 0..255 and coverage [H, W] float32 0..1,
    its top left corner at (left, top) of the frame."""

    left: int
    top: int
    rgb: F32
    alpha: F32

    @classmethod
    def empty(cls, left: int, top: int, width: int, height: int) -> Patch:
        return cls(left, top, np.zeros((height, width, 3), np.float32), np.zeros((height, width), np.float32))

    def over(self, rows: slice, columns: slice, rgb: F32, alpha: F32) -> None:
        """Lay colour [h, w, 3] with coverage [h, w] over what is there."""
        keep = 1.0 - alpha
        self.rgb[rows, columns] = self.rgb[rows, columns] * keep[..., None] + rgb * alpha[..., None]
        self.alpha[rows, columns] = self.alpha[rows, columns] * keep + alpha


def plain(along: F32, across: F32) -> F32:
    return np.ones_like(along)


def stripes(period_px: float, contrast: float = 0.45) -> Texture:
    def texture(along: F32, across: F32) -> F32:
        return np.asarray((1 - contrast * (np.sin(along * (2 * np.pi / period_px)) > 0)), dtype=np.float32)

    return texture


def checks(period_px: float, contrast: float = 0.35) -> Texture:
    def texture(along: F32, across: F32) -> F32:
        k = 2 * np.pi / period_px
        return np.asarray((1 - contrast * ((np.sin(along * k) > 0) ^ (np.sin(across * k) > 0))), dtype=np.float32)

    return texture


def cloth(seed: int, scale_px: float, contrast: float = 0.18) -> Texture:
    """Folds and weave: smooth noise that repeats every 64 x 64 cells."""
    rng = np.random.default_rng(seed)
    grain = cv2.GaussianBlur(rng.random((64, 64)).astype(np.float32), (0, 0), 1.0, borderType=cv2.BORDER_REFLECT)
    grain = (grain - grain.mean()) / (grain.std() + 1e-6)

    def texture(along: F32, across: F32) -> F32:
        i = np.mod(along / scale_px, 64).astype(np.intp) % 64
        j = np.mod(across / scale_px + 32, 64).astype(np.intp) % 64
        return np.asarray((1 + contrast * grain[i, j] * 0.5), dtype=np.float32)

    return texture


def capsule(
    patch: Patch,
    start: tuple[float, float],
    end: tuple[float, float],
    radii: tuple[float, float],
    colour: Colour,
    texture: Texture = plain,
) -> None:
    """A round-ended, tapering limb from `start` to `end` (x, y in frame pixels), lit from the upper left."""
    (x0, y0), (x1, y1), (r0, r1) = start, end, radii
    reach = max(r0, r1) + 1.5
    height, width = patch.alpha.shape
    left = max(int(np.floor(min(x0, x1) - reach)) - patch.left, 0)
    right = min(int(np.ceil(max(x0, x1) + reach)) - patch.left + 1, width)
    top = max(int(np.floor(min(y0, y1) - reach)) - patch.top, 0)
    bottom = min(int(np.ceil(max(y0, y1) + reach)) - patch.top + 1, height)
    if left >= right or top >= bottom:
        return
    x = np.arange(left, right, dtype=np.float32)[None, :] + (patch.left + 0.5 - x0)
    y = np.arange(top, bottom, dtype=np.float32)[:, None] + (patch.top + 0.5 - y0)
    dx, dy = x1 - x0, y1 - y0
    length = max(float(np.hypot(dx, dy)), 1e-3)
    ux, uy = dx / length, dy / length
    along = x * ux + y * uy
    across = x * uy - y * ux
    t = np.clip(along / length, 0, 1)
    radius = r0 + (r1 - r0) * t
    distance = np.hypot(x - t * dx, y - t * dy)
    alpha = np.clip(radius - distance + 0.5, 0, 1).astype(np.float32)
    side = np.clip(distance / radius, 0, 1)
    lit = (x - t * dx) * -0.5 + (y - t * dy) * -0.35  # towards the light
    shade = 0.62 + 0.38 * np.sqrt(1 - 0.85 * side**2) + 0.16 * lit / radius
    tone = (shade * texture(along.astype(np.float32), across.astype(np.float32)))[..., None]
    rgb = np.clip(tone * np.array(colour, np.float32), 0, 255).astype(np.float32)
    patch.over(slice(top, bottom), slice(left, right), rgb, alpha)


def disc(patch: Patch, centre: tuple[float, float], radius: float, colour: Colour, texture: Texture = plain) -> None:
    capsule(patch, centre, (centre[0], centre[1] + 0.01), (radius, radius), colour, texture)
