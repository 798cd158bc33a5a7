"""A feed's masks by frame number, exactly as its events hold them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction

from stream.events import (
    ChunkDone,
    EntityAppeared,
    EntityReentered,
    Event,
    FeedStarted,
    Masklet,
    MaskletFrame,
    MaskletRevised,
)


@dataclass(slots=True)
class Masks:
    """One feed. times: of its frames, by number from 0; masks: by entity, by frame number."""

    feed: str
    size: tuple[int, int] = (0, 0)
    times_us: list[int] = field(default_factory=list)
    masks: dict[int, dict[int, MaskletFrame]] = field(default_factory=dict)
    categories: dict[int, str] = field(default_factory=dict)


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
                    start = body.at_us
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
        numbers, out.times_us = {pts: i for i, pts in enumerate(seen)}, seen
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
