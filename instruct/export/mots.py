"""MOTS text (Voigtlaender et al., CVPR 2019): a line a mask, `frame id class height width rle`.

The format knows cars (class 1) and people (class 2) only, and its evaluators want masks that do not overlap. Frames
count from 1 (MOTSChallenge) where `first` is 1.
"""

from __future__ import annotations

from collections.abc import Iterator

from engines.errors import UserError
from instruct.export.masks import Masks

CLASSES = {"car": 1, "person": 2}
_MOST = 999
"""Instances of a class: an id is class * 1000 + number."""


def mots(masks: Masks, *, first: int = 1) -> Iterator[str]:
    """The lines of one feed, by frame. Raises UserError where a class has more instances than ids."""
    ids: dict[int, int] = {}
    for entity in masks.masks:
        kind = CLASSES.get(masks.categories[entity])
        if kind is None:
            continue
        number = 1 + sum(i // 1000 == kind for i in ids.values())
        if number > _MOST:
            raise UserError(f"{masks.feed} has over {_MOST} of class {kind}, MOTS no more ids: take another --format")
        ids[entity] = kind * 1000 + number
    for i, seen in masks.by_frame():
        for entity, frame in seen.items():
            if entity in ids:
                (h, w), kind = frame.rle.size, ids[entity] // 1000
                yield f"{i + first} {ids[entity]} {kind} {h} {w} {frame.rle.counts}"


def left_out(masks: Masks) -> list[str]:
    """Categories of the feed that the format has no class for."""
    return sorted({masks.categories[entity] for entity in masks.masks} - CLASSES.keys())
