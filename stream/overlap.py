"""Where two masks overlap: every pixel belongs to one entity, the one in front there."""

from __future__ import annotations

import numpy as np

from stream.entity import Entity
from stream.patch import F32, HALF, Patch, intersect, window_of


def claim(entities: list[Entity]) -> None:
    """Share out pixels that several masks hold: to the surer mask; where both are as sure, to the one in front.

    People and what they ride overlap too; there the category does not matter, only the evidence per pixel.
    """
    for i, a in enumerate(entities):
        for b in entities[i + 1 :]:
            if a.patch is None or b.patch is None:
                continue
            shared = intersect(a.patch.window, b.patch.window)
            if shared is None:
                continue
            pa, pb = a.patch.on(shared), b.patch.on(shared)
            both = (pa >= HALF) & (pb >= HALF)
            if not both.any():
                continue
            a_front = _in_front(a, b)
            a_wins = pa > pb if not a_front else pa >= pb
            a.patch = a.patch.without(both & ~a_wins, shared)
            b.patch = b.patch.without(both & a_wins, shared)


def _in_front(a: Entity, b: Entity) -> bool:
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
