"""Textured pictures, shapes and entities for tests of the stages."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.entity import Entity
from stream.patch import HALF, Patch

U8 = NDArray[np.uint8]
SIZE = (180, 320)


def texture(seed: int = 0, size: tuple[int, int] = SIZE) -> U8:
    """Smooth coloured noise [H, W, 3]: flow finds its way anywhere in it."""
    noise = np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    return cv2.normalize(smooth, None, 20, 235, cv2.NORM_MINMAX).astype(np.uint8)


def shifted(picture: U8, dx: float, dy: float) -> U8:
    h, w = picture.shape[:2]
    m = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
    return cv2.warpAffine(picture, m, (w, h), borderMode=cv2.BORDER_REFLECT_101)


def disc(x: float, y: float, radius: float, size: tuple[int, int] = SIZE) -> NDArray[np.bool_]:
    ys, xs = np.mgrid[: size[0], : size[1]]
    return (xs - x) ** 2 + (ys - y) ** 2 <= radius**2


def patch_of(mask: NDArray[np.bool_]) -> Patch:
    """A sure patch of a full-frame mask."""
    return Patch(0, 0, np.where(mask, 255, 0).astype(np.uint8)).trim()


def full(patch: Patch, size: tuple[int, int] = SIZE) -> NDArray[np.bool_]:
    return patch.on((0, 0, size[1], size[0])) >= HALF


def mask_iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float((a & b).sum() / max(1, (a | b).sum()))


def entity(number: int, mask: NDArray[np.bool_], category: str = "person") -> Entity:
    """A visible entity of this mask."""
    patch = patch_of(mask)
    box = patch.box()
    assert box is not None
    return Entity(number, category, "visible", 0, 0, box, patch, 0.9, reference_area=float(mask.sum()))
