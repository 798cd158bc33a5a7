"""Hand-made events of a feed, and the story they tell."""

from __future__ import annotations

import numpy as np

from kernels import rle
from stream import events as ev
from stream.events import Body, Event, Masklet, MaskletFrame, Rle
from stream.story import Story, read

STEP = 100_000
COUNTS = rle.encode(np.ones((20, 40), np.bool_))
BOX = (5.0, 5.0, 20.0, 18.0)


def frames(start: int, end: int, area: int = 100, box: tuple[float, float, float, float] = BOX) -> list[MaskletFrame]:
    """One mask a step from `start` to before `end`, in steps."""
    return [MaskletFrame(i * STEP, Rle((20, 40), COUNTS), box, area, 0.9) for i in range(start, end)]


def masks(entity: int, start: int, end: int) -> Masklet:
    return Masklet(entity=entity, start_us=start * STEP, frames=frames(start, end))


def story(*bodies: Body) -> Story:
    return read(Event("feed", 0, n, body) for n, body in enumerate(bodies))


def appeared(entity: int, at: int, category: str = "person") -> Body:
    return ev.EntityAppeared(entity=entity, at_us=at * STEP, category=category, score=0.9, bbox=BOX)


def left(entity: int, at: int, reason: ev.ExitReason = "edge") -> Body:
    return ev.EntityExited(entity=entity, at_us=at * STEP, reason=reason, bbox=BOX)


def back(entity: int, at: int) -> Body:
    return ev.EntityReentered(entity=entity, at_us=at * STEP, category="person", score=0.9, bbox=BOX, similarity=0.9)


def opened(number: int, at: int, reason: ev.SegmentReason = "start") -> Body:
    return ev.SegmentOpened(segment=number, start_us=at * STEP, reason=reason)


def closed(number: int, start: int, end: int, reason: ev.SegmentReason = "end") -> Body:
    return ev.SegmentClosed(segment=number, start_us=start * STEP, end_us=end * STEP, reason=reason)


LEFT_AND_BACK = (
    opened(1, 0), appeared(1, 0), left(1, 9), masks(1, 0, 10), back(1, 30), masks(1, 30, 40), closed(1, 0, 50)
)  # fmt: skip
