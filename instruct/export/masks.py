"""A feed's masks by frame number, exactly as its events hold them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from instruct.runs import lengths
from stream.events import (
    ChunkDone,
    EntityAppeared,
    EntityReentered,
    Event,
    FeedStarted,
    Masklet,
    MaskletFrame,
    MaskletRevised,
    Rle,
)


@dataclass(slots=True)
class Masks:
    """One feed. times: of its frames, by number from 0; masks: by entity, by frame number.
    source: what was annotated. on_rate: whether frame numbers are the video's own."""

    feed: str
    source: str = ""
    size: tuple[int, int] = (0, 0)
    times_us: list[int] = field(default_factory=list)
    masks: dict[int, dict[int, MaskletFrame]] = field(default_factory=dict)
    categories: dict[int, str] = field(default_factory=dict)
    on_rate: bool = True

    def by_frame(self) -> Iterator[tuple[int, dict[int, MaskletFrame]]]:
        """Frames that have masks, in order, with their masks by entity."""
        frames: dict[int, dict[int, MaskletFrame]] = {}
        for entity, own in self.masks.items():
            for i, frame in own.items():
                frames.setdefault(i, {})[entity] = frame
        yield from sorted(frames.items())


def masks_of(feed: str, events: Iterable[Event]) -> Masks:
    """The masks of one feed's events. Frames are numbered by the feed's rate where every mask lies on it (a quarter
    frame allowed), else in the order of the times at which anything is seen."""
    out = Masks(feed)
    found: dict[int, dict[int, MaskletFrame]] = {}
    start, rate, frames = 0, Fraction(0), 0
    for event in events:
        body = event.body
        match body:
            case FeedStarted():
                if not out.size[0]:
                    start, out.source = body.at_us, body.source
                    rate = (
                        Fraction(0) if body.rate.endswith("/0") or body.rate.startswith("0/") else Fraction(body.rate)
                    )
                out.size = (body.height, body.width)
            case EntityAppeared() | EntityReentered():
                out.categories[body.entity] = body.category
            case ChunkDone():
                frames += body.frames + body.dropped
            case Masklet() | MaskletRevised():
                found.setdefault(body.entity, {}).update((f.pts_us, f) for f in body.frames if f.area)
            case _:
                pass
    seen = sorted({pts for own in found.values() for pts in own})
    numbers = _on_rate(seen, start, rate)
    if numbers is None:
        numbers, out.times_us, out.on_rate = {pts: i for i, pts in enumerate(seen)}, seen, False
    else:
        length = max([frames, *(n + 1 for n in numbers.values())])
        out.times_us = [start + round(i * 1_000_000 / rate) for i in range(length)]
        for pts, n in numbers.items():
            out.times_us[n] = pts
    for entity, own in sorted(found.items()):
        out.masks[entity] = {numbers[pts]: f for pts, f in sorted(own.items())}
        out.categories.setdefault(entity, "object")
    return out


def _on_rate(seen: list[int], start: int, rate: Fraction) -> dict[int, int] | None:
    if not rate:
        return None
    exact = {pts: (pts - start) * rate / 1_000_000 for pts in seen}
    numbers = {pts: round(x) for pts, x in exact.items()}
    straight = all(abs(numbers[pts] - x) <= Fraction(1, 4) and x >= 0 for pts, x in exact.items())
    return numbers if straight and len(set(numbers.values())) == len(seen) else None


def crop(rle: Rle) -> tuple[int, int, NDArray[np.bool_]]:
    """Left, top and the pixels [h, w] bool of the smallest box that holds a mask of one pixel or more."""
    h, w = rle.size
    runs = lengths(rle.counts)
    full = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(w, h).T
    rows, columns = np.flatnonzero(full.any(1)), np.flatnonzero(full.any(0))
    left, top = int(columns[0]), int(rows[0])
    return left, top, full[top : rows[-1] + 1, left : columns[-1] + 1]
