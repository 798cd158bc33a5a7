"""A car seen from the side: a sprite drawn once at four times its size, then moved by parts of a pixel."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from producers.scenes.shapes import F32, Colour, Patch

SUPERSAMPLE = 4
BODY = (
    (0.02, 0.62),
    (0.03, 0.47),
    (0.12, 0.42),
    (0.24, 0.38),
    (0.36, 0.16),
    (0.46, 0.10),
    (0.68, 0.10),
    (0.78, 0.16),
    (0.88, 0.38),
    (0.97, 0.44),
    (0.99, 0.60),
    (0.97, 0.76),
    (0.03, 0.76),
)
WINDOWS = (
    ((0.29, 0.37), (0.385, 0.19), (0.46, 0.15), (0.53, 0.15), (0.53, 0.37)),
    ((0.56, 0.37), (0.56, 0.15), (0.67, 0.15), (0.74, 0.19), (0.82, 0.37)),
)


def car_sprite(colour: Colour, length_px: int, seed: int) -> tuple[F32, F32]:
    """(premultiplied RGB [h, w, 3] 0..255, coverage [h, w] 0..1) of a car facing left, h = 0.42 x w."""
    w, h = length_px * SUPERSAMPLE, int(length_px * 0.42) * SUPERSAMPLE
    rng = np.random.default_rng(seed)
    body = np.zeros((h, w), np.uint8)
    cv2.fillPoly(body, [_points(BODY, w, h)], 255)
    fall = np.linspace(1.18, 0.66, h, dtype=np.float32)[:, None]
    grain = cv2.GaussianBlur(rng.random((h, w)).astype(np.float32), (0, 0), 2.5 * SUPERSAMPLE) - 0.5
    rgb = (fall + 1.6 * grain)[..., None] * np.array(colour, np.float32)
    rgb[int(0.50 * h) : int(0.53 * h)] *= 0.72  # crease
    rgb[int(0.66 * h) : int(0.76 * h)] = (46, 46, 50)  # sill
    for x in (0.545, 0.28):
        rgb[int(0.36 * h) : int(0.68 * h), int(x * w) : int(x * w) + SUPERSAMPLE] *= 0.55  # door joints
    for window in WINDOWS:
        cv2.fillPoly(rgb, [_points(window, w, h)], (58.0, 72.0, 84.0))
    cv2.ellipse(rgb, (int(0.055 * w), int(0.50 * h)), (int(0.030 * w), int(0.045 * h)), 0, 0, 360, (250, 245, 210), -1)
    cv2.ellipse(rgb, (int(0.965 * w), int(0.50 * h)), (int(0.018 * w), int(0.050 * h)), 0, 0, 360, (190, 20, 20), -1)
    for x in (0.20, 0.80):
        centre, radius = (int(x * w), int(0.77 * h)), int(0.20 * h)
        cv2.circle(body, centre, radius, 255, -1)
        for factor, tone in (
            (1.0, (28, 28, 30)),
            (0.62, (165, 168, 172)),
            (0.42, (120, 122, 126)),
            (0.16, (60, 60, 62)),
        ):
            cv2.circle(rgb, centre, int(radius * factor), tone, -1)
    alpha = (body / 255.0).astype(np.float32)
    rgb = np.clip(rgb, 0, 255) * alpha[..., None]
    small = (length_px, h // SUPERSAMPLE)
    return (
        cv2.resize(rgb, small, interpolation=cv2.INTER_AREA).astype(np.float32),
        cv2.resize(alpha, small, interpolation=cv2.INTER_AREA).astype(np.float32),
    )


def place(sprite: tuple[F32, F32], x: float, y: float, *, mirrored: bool, size: tuple[int, int]) -> Patch | None:
    """The sprite with its bottom centre at (x, y) of a frame of `size` (width, height); None where it is outside."""
    rgb, alpha = (np.ascontiguousarray(p[:, ::-1]) for p in sprite) if mirrored else sprite
    h, w = alpha.shape
    left_f, top_f = x - w / 2, y - h
    left, top = int(np.floor(left_f)), int(np.floor(top_f))
    shift = np.array([[1, 0, left_f - left], [0, 1, top_f - top]], np.float32)
    rgb = cv2.warpAffine(rgb, shift, (w + 1, h + 1))
    alpha = cv2.warpAffine(alpha, shift, (w + 1, h + 1))
    x0, y0 = max(-left, 0), max(-top, 0)
    x1, y1 = min(size[0] - left, w + 1), min(size[1] - top, h + 1)
    if x0 >= x1 or y0 >= y1:
        return None
    return Patch(left + x0, top + y0, rgb[y0:y1, x0:x1].astype(np.float32), alpha[y0:y1, x0:x1].astype(np.float32))


def _points(shape: tuple[tuple[float, float], ...], w: int, h: int) -> NDArray[np.int32]:
    return (np.array(shape) * (w, h)).round().astype(np.int32)
