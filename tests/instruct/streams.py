"""Random annotation streams with their truth, frame by frame, kept beside them."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
from hypothesis import strategies as st

from kernels import rle
from stream import events as ev
from stream.events import Body, Event, Masklet, MaskletFrame, Rle

STEP_US = 100_000
SIZE = (24, 48)
ACTIONS = ("jumps", "stays in place", "moves to the left", "runs to the right", "moves slowly to the left", "waves")
POSES = ("faces the camera", "faces the left", "raises the left arm", "touches the dog")
EXPRESSIONS = (
    "the person in a white top",
    "the person in a black top",
    "the dog",
    "the brown dog",
    "the cat",
    "the small person",
)
CODES: dict[tuple[int, int, int, int], str] = {}


@dataclass(slots=True)
class Actor:
    """boxes: [frame] x0, y0, x1, y1 in pixels or None where it is not in sight; doing, also: [frame] an action or '',
    of two channels that go on side by side."""

    entity: int
    category: str
    expression: str
    boxes: list[tuple[int, int, int, int] | None]
    doing: list[str]
    also: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Told:
    """A stream: its truth and its events."""

    frames: int
    actors: list[Actor]
    cuts: list[int]
    events: list[Event] = field(default_factory=list)


@st.composite
def streams(draw: st.DrawFn, *, longest: int = 150) -> Told:
    """A feed of one or more segments in which up to four entities come, act and go."""
    frames = draw(st.integers(20, longest))
    cuts = sorted(draw(st.sets(st.integers(5, frames - 5), max_size=3)))
    actors = []
    for entity in range(1, draw(st.integers(1, 4)) + 1):
        expression = draw(st.sampled_from(EXPRESSIONS))
        category = next(c for c in ("person", "dog", "cat") if c in expression)
        boxes: list[tuple[int, int, int, int] | None] = []
        doing: list[str] = []
        also: list[str] = []
        while len(boxes) < frames:
            n = draw(st.integers(1, 60))
            there = draw(st.booleans())
            x, y = draw(st.integers(0, SIZE[1] - 9)), draw(st.integers(0, SIZE[0] - 9))
            w, h, step = draw(st.integers(1, 8)), draw(st.integers(1, 8)), draw(st.sampled_from((-1, 0, 0, 0, 1)))
            act, pose = draw(st.sampled_from(("", *ACTIONS))), draw(st.sampled_from(("", *POSES)))
            skip = draw(st.integers(0, 9))
            for i in range(n):
                x0 = min(max(0, x + step * i // 3), SIZE[1] - 9)
                boxes.append((x0, y, x0 + w, y + h) if there else None)
                doing.append(act if there and n >= 5 else "")
                also.append(pose if there and n >= 5 and i >= skip else "")
        actors.append(Actor(entity, category, expression, boxes[:frames], doing[:frames], also[:frames]))
    told = Told(frames, actors, cuts)
    told.events = [Event("feed", 0, n, body) for n, body in enumerate(_bodies(told, draw(st.integers(5, 100))))]
    return told


def _bodies(told: Told, chunk: int) -> list[Body]:
    """Events in the worker's order: by chunk, what happened, then masks; actions where they end."""
    bodies: list[Body] = [
        ev.FeedStarted(
            at_us=0, codec="h264", width=SIZE[1], height=SIZE[0], rate="10/1", source="made.mp4", reencoded=False,
            profile="lite", engines=[],
        )
    ]  # fmt: skip
    borders = [0, *told.cuts, told.frames]
    for first in range(0, told.frames, chunk):
        last = min(first + chunk, told.frames)
        for i in range(first, last):
            if i in borders:
                if i:
                    bodies += _closed(told, borders, i, "cut")
                bodies.append(ev.SegmentOpened(segment=borders.index(i) + 1, start_us=i * STEP_US, reason="start"))
            for a in told.actors:
                bodies += _coming_and_going(a, i)
        for a in told.actors:
            masks = [_mask(a.boxes[i], i) for i in range(first, last) if a.boxes[i] is not None]
            if masks:
                bodies.append(Masklet(entity=a.entity, start_us=masks[0].pts_us, frames=masks))
        bodies.append(ev.ChunkDone(seq=0, frames=last - first, dropped=0, stage_us={}, latency_us=None))
    bodies += _closed(told, borders, told.frames, "end")
    bodies.append(ev.FeedEnded(at_us=told.frames * STEP_US, reason="end"))
    return bodies


def _closed(told: Told, borders: list[int], end: int, reason: ev.SegmentReason) -> list[Body]:
    number = borders.index(end)
    start = borders[number - 1]
    out: list[Body] = []
    for a in told.actors:
        for channel in filter(None, (a.doing, a.also)):
            at = start
            for text, run in groupby(range(start, end), key=lambda i, c=channel: c[i]):
                n = len(list(run))
                if text and n > 1:
                    out.append(ev.Action(
                        entity=a.entity, segment=number, start_us=at * STEP_US, end_us=(at + n - 1) * STEP_US,
                        text=text, source="measured", other=_whom(told, text),
                    ))  # fmt: skip
                at += n
    closed = ev.SegmentClosed(segment=number, start_us=start * STEP_US, end_us=end * STEP_US, reason=reason)
    return [*out, closed]


def _whom(told: Told, text: str) -> int | None:
    """The first dog, where a text speaks of one."""
    return next((a.entity for a in told.actors if text.endswith("the dog") and a.category == "dog"), None)


def _coming_and_going(a: Actor, i: int) -> list[Body]:
    box = a.boxes[i]
    before = a.boxes[i - 1] if i else None
    if box is not None and before is None:
        where = tuple(float(v) for v in box)
        if any(a.boxes[:i]):
            return [ev.EntityReentered(
                entity=a.entity, at_us=i * STEP_US, category=a.category, score=0.9, bbox=where, similarity=0.9
            )]  # type: ignore[arg-type]  # fmt: skip
        return [
            ev.EntityAppeared(entity=a.entity, at_us=i * STEP_US, category=a.category, score=0.9, bbox=where),  # type: ignore[arg-type]
            ev.EntityDescribed(
                entity=a.entity, expression=a.expression, noun=a.category, category=a.category, attributes=[],
                source="measured",
            ),
        ]  # fmt: skip
    if box is None and before is not None:
        where = tuple(float(v) for v in before)
        return [ev.EntityExited(entity=a.entity, at_us=(i - 1) * STEP_US, reason="edge", bbox=where)]  # type: ignore[arg-type]
    return []


def _mask(box: tuple[int, int, int, int] | None, i: int) -> MaskletFrame:
    assert box is not None
    x0, y0, x1, y1 = box
    if box not in CODES:
        mask = np.zeros(SIZE, np.bool_)
        mask[y0:y1, x0:x1] = True
        CODES[box] = rle.encode(mask)
    bbox = (float(x0), float(y0), float(x1), float(y1))
    return MaskletFrame(i * STEP_US, Rle(SIZE, CODES[box]), bbox, (x1 - x0) * (y1 - y0), 0.9)
