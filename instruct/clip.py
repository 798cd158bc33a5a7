"""The generators' view of a clip: entities with their frames, stretches in sight, actions; segments.

Built from the clip's events alone. `instruct.verify` reads the same events by itself and shares nothing with this.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

from instruct.pair import Spans
from stream.events import (
    Action,
    EntityAppeared,
    EntityDescribed,
    EntityExited,
    EntityReentered,
    Event,
    FeedGap,
    Masklet,
    MaskletFrame,
    MaskletRevised,
    SegmentClosed,
)

BREAK_US = 400_000
"""Masks further apart than this are two stretches in sight."""


@dataclass(frozen=True, slots=True)
class Window:
    """A clip's events, and what was said before of those who are in it. Times are of the feed."""

    feed: str
    video: str
    size: tuple[int, int]
    """(H, W) in pixels."""
    rate: str
    """Frames a second as a fraction, 0/1 where unknown."""
    start_us: int
    end_us: int
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Act:
    text: str
    start_us: int
    end_us: int
    id: str
    other: int | None = None
    """Whom the text names."""


@dataclass(slots=True)
class Track:
    """One entity in the clip. frames: by time; ids: the events they come from."""

    entity: int
    category: str
    expression: str = ""
    described: str = ""
    attributes: frozenset[str] = frozenset()
    frames: list[MaskletFrame] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    pts: list[int] = field(default_factory=list)
    """Times of the frames."""
    xs: list[float] = field(default_factory=list)
    """Middles of the frames' boxes, of the width."""
    spans: Spans = field(default_factory=list)
    seen_us: int = 0
    """How long the spans are together."""
    acts: list[Act] = field(default_factory=list)
    exits: list[tuple[int, str]] = field(default_factory=list)
    returns: list[tuple[int, str]] = field(default_factory=list)
    ambiguous: str = ""
    """Why its expression cannot stand for it in this clip; empty where it can."""
    _borders: list[str] = field(default_factory=list)

    def at(self, us: int) -> int:
        """The place in `frames` of the frame nearest to a time."""
        pts = self.pts
        i = bisect_left(pts, us)
        if i == 0:
            return 0
        return i - 1 if i == len(pts) or us - pts[i - 1] < pts[i] - us else i

    def around(self, us: int) -> slice:
        """The places of the frames about an instant."""
        return slice(self.at(us - 300_000), self.at(us + 300_000) + 1)

    def visible(self, start_us: int, end_us: int) -> bool:
        for s, e in self.spans:  # noqa: SIM110 - a generator takes twice as long
            if s <= start_us and end_us <= e:
                return True
        return False

    def borders(self) -> list[str]:
        """Ids of the events that show when it came and went."""
        if not self._borders:
            masks = [self.ids[self.at(t)] for span in self.spans for t in span]
            self._borders = [*masks, *(i for _, i in self.exits), *(i for _, i in self.returns)]
        return self._borders


@dataclass(slots=True)
class Clip:
    window: Window
    tracks: list[Track]
    """By id; those that are in sight in the clip."""
    segments: list[tuple[int, int, str]]
    """start_us, end_us, event id."""
    gaps: Spans


def clip_of(window: Window) -> Clip:
    """The clip of a window."""
    tracks: dict[int, Track] = {}
    segments: list[tuple[int, int, str]] = []
    gaps: Spans = []
    found: dict[int, dict[int, tuple[MaskletFrame, str]]] = {}
    start, end, width = window.start_us, window.end_us, window.size[1] or 1

    def track(entity: int) -> Track:
        return tracks.setdefault(entity, Track(entity, "object"))

    for event in window.events:
        body = event.body
        match body:
            case EntityAppeared():
                track(body.entity).category = body.category
            case EntityReentered():
                track(body.entity).category = body.category
                if start <= body.at_us < end:
                    track(body.entity).returns.append((body.at_us, event.id))
            case EntityExited() if start <= body.at_us < end:
                track(body.entity).exits.append((body.at_us, event.id))
            case EntityDescribed():
                t = track(body.entity)
                t.expression, t.described, t.attributes = body.expression, event.id, frozenset(body.attributes)
            case Action() if body.start_us < end and body.end_us > start:
                act = Act(body.text, max(start, body.start_us), min(end, body.end_us), event.id, body.other)
                track(body.entity).acts.append(act)
            case Masklet() | MaskletRevised():
                frames, source = found.setdefault(body.entity, {}), event.id
                for f in body.frames:
                    pts = f.pts_us
                    if start <= pts < end and f.area > 0:
                        frames[pts] = (f, source)
            case SegmentClosed() if start <= body.start_us and body.end_us <= end:
                segments.append((body.start_us, body.end_us, event.id))
            case FeedGap():
                gaps.append((body.start_us, body.end_us))
            case _:
                pass
    for entity, frames in found.items():
        t = track(entity)
        t.pts = sorted(frames)
        told = [frames[pts] for pts in t.pts]
        t.frames = [f for f, _ in told]
        t.ids = [source for _, source in told]
        t.xs = [(f.bbox[0] + f.bbox[2]) / 2 / width for f in t.frames]
        t.spans = _stretches(t.pts)
        t.seen_us = sum(e - s for s, e in t.spans)
        t.acts.sort(key=lambda a: (a.start_us, a.end_us))
    seen = [t for _, t in sorted(tracks.items()) if t.frames]
    for t in seen:
        t.ambiguous = _ambiguity(t, seen)
    return Clip(window, seen, sorted(segments), gaps)


def _stretches(pts: list[int]) -> Spans:
    """From each first to each last of times that follow each other closely."""
    if not pts:
        return []
    breaks = [(a, b) for a, b in pairwise(pts) if b - a > BREAK_US]
    firsts, lasts = [pts[0], *(b for _, b in breaks)], [*(a for a, _ in breaks), pts[-1]]
    return list(zip(firsts, lasts, strict=True))


_MOMENT = ("on the left", "on the right", "in the middle", "moving", "standing still", "running", "walking", "still")
"""What an expression may say that is true at a moment only: it cannot stand for the entity through a clip."""


def _ambiguity(t: Track, everyone: Iterable[Track]) -> str:
    if not t.expression:
        return "no expression"
    if any(f" {m}" in f" {t.expression}" for m in _MOMENT):
        return "expression of a moment"
    words = _words(t.expression)
    for other in everyone:
        if other is t:
            continue
        theirs = _words(" ".join((other.category, other.expression, *other.attributes)))
        if words <= theirs:
            return "expression fits another"
    return ""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.lower().split()) - {"the", "a", "an"}
