"""Where two masks overlap: every pixel belongs to one entity, the one in front there."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from stream.entity import Entity
from stream.look import whose
from stream.patch import F32, HALF, U8, Patch, Window, intersect, window_of


def claim(
    entities: list[Entity], carried: dict[int, Patch], rgb: U8, *, knows_instances: Callable[[str], bool]
) -> None:
    """Share out pixels that several masks hold, so that each is one entity's.

    A network that tells instances apart (the pose network) is believed pixel by pixel; where masks come from networks
    that only know categories, colours decide and who held the pixel before (`carried`, by flow). Ties go to whoever
    stands in front. rgb: the frame [H, W, 3].
    """
    for i, a in enumerate(entities):
        for b in entities[i + 1 :]:
            if a.patch is None or b.patch is None:
                continue
            shared = intersect(a.patch.window, b.patch.window)
            if shared is None:
                continue
            pa, pb = a.patch.on(shared).astype(np.float32), b.patch.on(shared).astype(np.float32)
            both = (pa >= HALF) & (pb >= HALF)
            if not both.any():
                continue
            odds = pa - pb
            if not (knows_instances(a.category) and knows_instances(b.category)):
                odds = odds / 4 + _by_colour_and_past(a, b, carried, rgb, shared)
            a_wins = odds >= 0 if in_front(a, b) else odds > 0
            a.patch = a.patch.without(both & ~a_wins, shared)
            b.patch = b.patch.without(both & a_wins, shared)


def _by_colour_and_past(a: Entity, b: Entity, carried: dict[int, Patch], rgb: U8, window: Window) -> F32:
    """Levels [h, w] over the window that speak for `a` (above 0) or `b`."""
    x0, y0, x1, y1 = window
    before = [carried[e.id].on(window).astype(np.float32) if e.id in carried else None for e in (a, b)]
    past = np.float32(0.25) * (before[0] - before[1]) if before[0] is not None and before[1] is not None else 0.0
    if a.look is None or b.look is None:
        return np.zeros((y1 - y0, x1 - x0), np.float32) + past
    odds = np.clip(whose(rgb[y0:y1, x0:x1], a.look, b.look) * 32, -96, 96)
    votes: F32 = cv2.blur(odds, (5, 5)) + past
    return votes


def in_front(a: Entity, b: Entity) -> bool:
    """Nearer things stand lower in the frame; among equals the one that shows more of itself."""
    if abs(float(a.box[3] - b.box[3])) > 0.02 * float(a.box[3] - a.box[1]):
        return bool(a.box[3] > b.box[3])
    return a.id < b.id


def shadow(e: Entity, entities: list[Entity], size: tuple[int, int]) -> float:
    """Share of the entity's box that other masks cover, in [0, 1]."""
    window = window_of(e.box, size)
    covered = np.zeros((window[3] - window[1], window[2] - window[0]), bool)
    for other in entities:
        if other is not e and other.patch is not None:
            covered |= other.patch.on(window) >= HALF
    return float(covered.mean())


def behind(e: Entity, other: Entity) -> bool:
    """Whether `e` seems to stand behind `other`: where they meet, less of it shows than of the other."""
    if e.patch is None or other.patch is None:
        return e.patch is None
    missing = 1 - e.patch.area / max(1.0, e.reference_area)
    others = 1 - other.patch.area / max(1.0, other.reference_area)
    return missing > others + 0.1


def reaches_into(box: F32, patch: Patch) -> float:
    """Share of the box that the mask covers, in [0, 1]."""
    window = (int(box[0]), int(box[1]), max(int(box[0]) + 1, int(box[2])), max(int(box[1]) + 1, int(box[3])))
    shared = intersect(window, patch.window)
    if shared is None:
        return 0.0
    covered = int(np.count_nonzero(patch.on(shared) >= HALF))
    return covered / ((window[2] - window[0]) * (window[3] - window[1]))


def box_share(box: F32, other: F32) -> float:
    """Share of a box (xyxy) that lies in another, in [0, 1]."""
    low, high = np.maximum(box[:2], other[:2]), np.minimum(box[2:], other[2:])
    return float(np.prod(np.clip(high - low, 0, None))) / max(1.0, float(np.prod(box[2:] - box[:2])))
