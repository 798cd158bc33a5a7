"""Textured pictures, shapes and entities for tests of the stages."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.detections import Detections
from stream import look as looks
from stream.entity import Entity
from stream.events import MaskletFrame, Rle
from stream.patch import HALF, Patch
from stream.view import View

U8 = NDArray[np.uint8]
SIZE = (180, 320)
RED_RGB, BLUE_RGB = (200, 40, 40), (40, 60, 200)


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


def painted_scene(
    at: dict[int, tuple[tuple[int, int], tuple[int, int, int]]], radius: float = 24
) -> tuple[U8, dict[int, Entity]]:
    """Discs of a colour each, and an entity for each that looks like what is painted there."""
    rgb = np.full((*SIZE, 3), 120, np.uint8)
    people = {}
    for number, (place, colour) in at.items():
        mask = disc(*place, radius)
        noise = np.random.default_rng(number).integers(-9, 10, (int(mask.sum()), 3))
        rgb[mask] = np.clip(np.array(colour) + noise, 0, 255)
        people[number] = entity(number, mask)
    for e in people.values():
        assert e.patch is not None
        e.look = looks.measure(rgb, e.patch, None)
    return rgb, people


def look_at(rgb: U8, pts_us: int) -> View:
    """A frame at which the detector looked and found nobody."""
    return View(rgb, pts_us, 166_000, None, False, Detections.none(), 1.0, None)


def frame(pts_us: int, area: int = 10) -> MaskletFrame:
    """A mask of a frame, as it waits to be sent."""
    return MaskletFrame(pts_us, Rle((2, 2), "04"), (0.0, 0.0, 1.0, 1.0), area, 0.9)
