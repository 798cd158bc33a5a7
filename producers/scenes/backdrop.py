"""Static, gently lit, textured backgrounds."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from producers.scenes.shapes import F32

HORIZON = 0.62
"""Height of the line between wall and floor, as a share of the frame."""


def backdrop(kind: str, size: tuple[int, int], seed: int) -> F32:
    """[H, W, 3] float32 0..255; `kind` is "room" or "street"."""
    width, height = size
    rng = np.random.default_rng((seed, {"room": 11, "street": 23}[kind]))
    horizon = int(height * HORIZON)
    image = np.empty((height, width, 3), np.float32)
    wall, floor = ((196, 188, 172), (134, 110, 88)) if kind == "room" else ((168, 150, 138), (112, 112, 116))
    image[:horizon], image[horizon:] = wall, floor
    if kind == "room":
        _room(image, horizon)
    else:
        _street(image, horizon)
    image *= 1 + 0.028 * _noise(rng, height, width, 24)[..., None] + 0.035 * _noise(rng, height, width, 3)[..., None]
    x, y = np.linspace(-1, 1, width)[None, :], np.linspace(-1, 1, height)[:, None]
    light = 1.06 - 0.14 * ((x + 0.35) ** 2 * 0.8 + (y + 0.3) ** 2 * 0.5)
    return np.clip(image * light[..., None], 0, 255).astype(np.float32)


def _room(image: F32, horizon: int) -> None:
    height, width = image.shape[:2]
    for i in range(9):  # floor boards, narrower with distance
        y = int(horizon + (height - horizon) * (i / 9) ** 1.6)
        image[y : y + max(height // 240, 1)] *= 0.8
    image[horizon - height // 40 : horizon] = (222, 216, 204)
    for x0, x1, tone in ((0.06, 0.22, (178, 198, 214)), (0.70, 0.80, (150, 92, 70))):
        top, bottom, left, right = int(0.12 * height), int(0.36 * height), int(x0 * width), int(x1 * width)
        cv2.rectangle(image, (left - 4, top - 4), (right + 4, bottom + 4), (238, 234, 226), -1)
        cv2.rectangle(image, (left, top), (right, bottom), tone, -1)


def _street(image: F32, horizon: int) -> None:
    height, width = image.shape[:2]
    brick_h, brick_w = max(height // 30, 4), max(width // 22, 8)
    for row, y in enumerate(range(0, horizon, brick_h)):
        image[y : y + 1] *= 0.78
        for x in range(-(row % 2) * brick_w // 2, width, brick_w):
            if x >= 0:
                image[y : y + brick_h, x : x + 1] *= 0.8
    image[horizon : horizon + height // 22] = (150, 150, 150)
    for x in range(0, width, width // 6):
        y = int(height * 0.84)
        cv2.rectangle(image, (x, y), (x + width // 12, y + max(height // 90, 2)), (205, 200, 170), -1)


def _noise(rng: np.random.Generator, height: int, width: int, cell: int) -> NDArray[np.float32]:
    """Smooth noise [height, width] of mean 0 and deviation 1, its grains about `cell` pixels wide."""
    small = rng.standard_normal((height // cell + 3, width // cell + 3)).astype(np.float32)
    big = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray((big - big.mean()) / (big.std() + 1e-6), dtype=np.float32)
