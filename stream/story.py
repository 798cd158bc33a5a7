"""A feed's events read back as a story: who was there when, what they did, what the queries found.

One pass over the events in order, constant work an event; used by the summary, the report and the transcript.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from stream.events import (
    Action,
    ChunkDone,
    EntityAppeared,
    EntityDescribed,
    EntityExited,
    EntityReentered,
    Error,
    Event,
    FeedEnded,
    FeedGap,
    FeedStarted,
    Masklet,
    MaskletFrame,
    MaskletRevised,
    QueryAmbiguous,
    QueryBound,
    QueryUnbound,
    SegmentClosed,
    SegmentOpened,
)

_BREAK_US = 400_000
"""Masks further apart than this are two presences."""


class Presence(msgspec.Struct):
    """One unbroken stretch in sight. left: why it ended, empty where the feed ended first."""

    start_us: int
    end_us: int
    left: str = ""


class Best(msgspec.Struct, frozen=True):
    """The moment an entity shows itself best: the largest sure mask that touches no border."""

    merit: float
    frame: MaskletFrame


class EntityStory(msgspec.Struct):
    entity: int
    category: str
    expression: str = ""
    first_us: int = -1
    last_us: int = -1
    frames: int = 0
    exits: int = 0
    reentries: int = 0
    returns: list[int] = msgspec.field(default_factory=list)
    """When it came back each time."""
    presences: list[Presence] = msgspec.field(default_factory=list)
    actions: list[Action] = msgspec.field(default_factory=list)
    best: Best | None = None


class QueryStory(msgspec.Struct):
    query: str
    text: str
    outcome: str = "unbound"
    """bound, ambiguous or unbound."""
    entities: list[int] = msgspec.field(default_factory=list)
    score: float = 0.0
    cues: list[str] = msgspec.field(default_factory=list)
    reason: str = ""
    """Why it is unbound."""


class Segment(msgspec.Struct):
    segment: int
    start_us: int
    end_us: int
    opened: str
    closed: str = ""


class Story(msgspec.Struct):
    """All of one feed."""

    feed: str = ""
    started: FeedStarted | None = None
    ended: FeedEnded | None = None
    frames: int = 0
    chunks: int = 0
    last_us: int = 0
    entities: dict[int, EntityStory] = msgspec.field(default_factory=dict)
    queries: dict[str, QueryStory] = msgspec.field(default_factory=dict)
    segments: list[Segment] = msgspec.field(default_factory=list)
    gaps: list[FeedGap] = msgspec.field(default_factory=list)
    errors: list[Error] = msgspec.field(default_factory=list)
    stage_us: dict[str, int] = msgspec.field(default_factory=dict)
    counts: dict[str, int] = msgspec.field(default_factory=dict)


def read(events: Iterable[Event]) -> Story:
    """The story of one feed's events, given in order."""
    story = Story()
    for event in events:
        story.feed = event.feed
        story.counts[event.type] = story.counts.get(event.type, 0) + 1
        take(story, event)
    for e in story.entities.values():
        e.presences = unbroken(e.presences, e.returns)
    story.queries = dict(sorted(story.queries.items(), key=lambda q: _counted(q[0])))
    return story


def _counted(name: str) -> list[tuple[int, str]]:
    """Sorts names as people count: q2 before q10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def take(story: Story, event: Event) -> None:
    """Add what an event says. An entity's presences are then in pieces still: see `unbroken`."""
    body = event.body
    match body:
        case FeedStarted():
            story.started = story.started or body
        case FeedEnded():
            story.ended = body
        case FeedGap():
            story.gaps.append(body)
        case Error():
            story.errors.append(body)
        case ChunkDone():
            story.frames, story.chunks = story.frames + body.frames, story.chunks + 1
            for stage, us in body.stage_us.items():
                story.stage_us[stage] = story.stage_us.get(stage, 0) + us
        case SegmentOpened():
            story.segments.append(Segment(body.segment, body.start_us, body.start_us, body.reason))
        case SegmentClosed():
            for s in story.segments:
                if s.segment == body.segment and s.start_us == body.start_us:
                    s.end_us, s.closed = body.end_us, body.reason
        case EntityAppeared():
            story.entities[body.entity] = EntityStory(body.entity, body.category, first_us=body.at_us)
        case EntityReentered():
            e = _entity(story, body.entity)
            e.reentries += 1
            e.returns.append(body.at_us)
        case EntityExited():
            e = _entity(story, body.entity)
            e.exits += 1
            e.presences.append(Presence(body.at_us, body.at_us, body.reason))
        case EntityDescribed():
            _entity(story, body.entity).expression = body.expression
        case Action():
            _entity(story, body.entity).actions.append(body)
        case Masklet() | MaskletRevised():
            _masks(story, _entity(story, body.entity), body)
        case QueryBound():
            story.queries[body.query] = QueryStory(body.query, body.text, "bound", body.entities, body.score, body.cues)
        case QueryAmbiguous():
            story.queries[body.query] = QueryStory(
                body.query, body.text, "ambiguous", body.entities, body.score, body.cues
            )
        case QueryUnbound():
            story.queries[body.query] = QueryStory(body.query, body.text, reason=body.reason)
        case _:
            pass


def _entity(story: Story, entity: int) -> EntityStory:
    return story.entities.setdefault(entity, EntityStory(entity, "object"))


def _masks(story: Story, e: EntityStory, body: Masklet | MaskletRevised) -> None:
    size = body.frames[0].rle.size
    for frame in body.frames:
        last = e.presences[-1] if e.presences else None
        if last is None or last.left or not 0 <= frame.pts_us - last.end_us <= _BREAK_US:
            e.presences.append(Presence(frame.pts_us, frame.pts_us))
        else:
            last.end_us = frame.pts_us
        merit = frame.area * frame.score * (0.4 if _touches(frame, size) else 1.0)
        if e.best is None or merit > e.best.merit:
            e.best = Best(merit, frame)
    e.frames += len(body.frames)
    e.first_us = body.frames[0].pts_us if e.first_us < 0 else min(e.first_us, body.frames[0].pts_us)
    e.last_us = max(e.last_us, body.frames[-1].pts_us)
    story.last_us = max(story.last_us, e.last_us)


def _touches(frame: MaskletFrame, size: tuple[int, int]) -> bool:
    x0, y0, x1, y1 = frame.bbox
    return x0 <= 1 or y0 <= 1 or x1 >= size[1] - 1 or y1 >= size[0] - 1


def unbroken(found: list[Presence], returns: list[int]) -> list[Presence]:
    """Unbroken stretches in order: neighbours made one, and parted again where it left and came back at once."""
    marks = sorted((p for p in found if p.left), key=lambda p: p.start_us)
    out: list[Presence] = []
    for p in sorted((p for p in found if not p.left), key=lambda p: p.start_us):
        if out and p.start_us - out[-1].end_us <= _BREAK_US:
            out[-1].end_us = max(out[-1].end_us, p.end_us)
        else:
            out.append(Presence(p.start_us, p.end_us))
    for mark in marks:
        at = next((i for i in reversed(range(len(out))) if out[i].start_us <= mark.start_us), None)
        if at is None:
            continue
        whole = out[at]
        back = min((r for r in returns if mark.start_us <= r <= whole.end_us), default=None)
        if back is not None and mark.start_us < whole.end_us:
            out.insert(at + 1, Presence(back, whole.end_us, whole.left))
            whole.end_us = mark.start_us
        whole.left = mark.left
    return out


def clock(us: int) -> str:
    """Minutes and seconds as people write them: 00:18.4."""
    tenths = round(us / 100_000)
    return f"{tenths // 600:02d}:{tenths // 10 % 60:02d}.{tenths % 10}"
