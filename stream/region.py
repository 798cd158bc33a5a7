"""Regions of a frame: polygons in fractions of its width and height."""

from __future__ import annotations

import cv2
import numpy as np

from engines.errors import UserError

Polygon = tuple[tuple[float, float], ...]
"""Corners (x, y) in order, each in [0, 1] from the frame's upper left."""

WANTED = "wanted x0,y0,x1,y1 (a rectangle) or 'x,y x,y x,y …' (a polygon), all from 0 to 1"


def parse_region(text: str) -> Polygon:
    """The polygon of `0.1,0.2,0.5,0.9` or `0,0 1,0 0.5,1`. Raises UserError where it is none."""
    try:
        parts = [tuple(float(v) for v in part.split(",")) for part in text.split()]
    except ValueError:
        raise UserError(f"the region {text!r} is not of numbers: {WANTED}") from None
    if len(parts) == 1 and len(parts[0]) == 4:
        x0, y0, x1, y1 = parts[0]
        parts = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    if any(len(p) != 2 for p in parts):
        raise UserError(f"the region {text!r} does not read: {WANTED}")
    polygon = tuple((p[0], p[1]) for p in parts)
    check_region(polygon)
    return polygon


def check_region(polygon: Polygon) -> None:
    """Raises UserError where the corners enclose nothing or lie outside of the frame."""
    if len(polygon) < 3:
        raise UserError(f"a region of {len(polygon)} corners encloses nothing: {WANTED}")
    if not np.isfinite(polygon).all():
        raise UserError(f"the region {_text(polygon)} is not of numbers: {WANTED}")
    if not all(0 <= v <= 1 for point in polygon for v in point):
        raise UserError(f"the region {_text(polygon)} leaves the frame: {WANTED}")
    if cv2.contourArea(np.array(polygon, np.float32)) < 1e-6:
        raise UserError(f"the region {_text(polygon)} has no area: {WANTED}")


def _text(polygon: Polygon) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in polygon)


def region_text(polygon: Polygon) -> str:
    """As `parse_region` reads it, the short way for a rectangle; '' for none."""
    if len(polygon) == 4:
        (x0, y0), (x1, _), (_, y1), _ = polygon
        if polygon == ((x0, y0), (x1, y0), (x1, y1), (x0, y1)):
            return f"{x0:g},{y0:g},{x1:g},{y1:g}"
    return _text(polygon)


def inside(polygon: Polygon, x: float, y: float) -> bool:
    """Whether a point, in fractions of the frame, lies in the polygon or on its rim."""
    return cv2.pointPolygonTest(np.array(polygon, np.float32), (float(x), float(y)), measureDist=False) >= 0
