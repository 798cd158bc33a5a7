"""One feed's events in, its clips out, in memory that is bounded; and what a clipper has to remember.

A clip is one or more whole segments, as many as reach a least length. It is handed out when nothing can be added to
it any more: at the end of a chunk three seconds later in the feed, as masks come at the end of their chunk and are
filled backward for two seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from instruct.clip import Window
from stream.events import (
    Action,
    ChunkDone,
    EntityAppeared,
    EntityDescribed,
    EntityExited,
    EntityMerged,
    EntityReentered,
    EntitySplit,
    Event,
    FeedEnded,
    FeedGap,
    FeedStarted,
    Masklet,
    MaskletRevised,
    SegmentClosed,
    SegmentOpened,
    decode_line,
    encode_body,
    encode_line,
)
from stream.mended import Hindsight

LATE_US = 3_000_000
"""How long after a clip's end masks of it may still come."""
_FORGET_US = 900_000_000
"""An entity unseen for longer than the gallery keeps it (10 minutes) cannot come back."""


@dataclass(slots=True)
class Clipper:
    """One feed's events in, its clips out. least_us: segments are joined until a clip is this long.

    mends: events come as they were said, and a clip is handed out with the second thoughts taken in that came so far
    (`thoughts`). done_us: end of the last clip that was handed out; clips up to there are not again.
    """

    feed: str
    least_us: int
    mends: bool = False
    done_us: int = -1
    parked: tuple[int, int] = (-1, -1)
    """Events up to this place (seq, n) are in the snapshot, if they are needed."""
    thoughts: list[Event] = field(default_factory=list)
    _video: str = ""
    _size: tuple[int, int] = (0, 0)
    _rate: str = "0/1"
    _reached_us: int = 0
    _pending: list[Event] = field(default_factory=list)
    _known: dict[int, dict[type, Event]] = field(default_factory=dict)
    _seen_us: dict[int, int] = field(default_factory=dict)
    _open: tuple[int, int, tuple[int, int]] | None = None
    """Start, end so far and last event of the clip that is being joined."""
    _due: list[tuple[int, int, tuple[int, int]]] = field(default_factory=list)

    def push(self, event: Event) -> Iterator[Window]:
        """Take an event in; the clips that are complete by it."""
        body = event.body
        if (event.seq, event.n) <= self.parked:
            return  # read again
        match body:
            case FeedStarted():
                self._video, self._size = body.source, (body.height, body.width)
                self._rate = body.rate
                return
            case SegmentClosed():
                self._pending.append(event)
                self._segment(body, (event.seq, event.n))
                return
            case FeedEnded():
                yield from self._all()
                return
            case ChunkDone():
                yield from self._ready(self._reached_us - LATE_US)
                return
            case EntityMerged() | EntitySplit():
                if self.mends and (
                    not self.thoughts or (self.thoughts[-1].seq, self.thoughts[-1].n) < (event.seq, event.n)
                ):
                    self.thoughts.append(event)
                return
            case _:
                pass
        times = _times(event)
        if times is not None:
            self._reached_us = max(self._reached_us, times[1])
        if times is not None or isinstance(body, EntityDescribed):
            self._pending.append(event)

    def oldest(self) -> tuple[int, int] | None:
        """The place (seq, n) of the first event that has to be read again, None where none has."""
        return next((at for e in self._pending if (at := (e.seq, e.n)) > self.parked), None)

    def rests(self) -> bool:
        """Whether its snapshot is all there is of it."""
        return not self._pending and not self._due and self._open is None

    def park(self) -> None:
        """Have all events so far in the snapshot: nothing of them has to be read again."""
        if self._pending:
            self.parked = (self._pending[-1].seq, self._pending[-1].n)

    def snapshot(self) -> bytes:
        """What is to be known when the events from `oldest` on are read again."""
        parked = [e for e in self._pending if (e.seq, e.n) <= self.parked]
        known = [event for told in self._known.values() for event in told.values()]
        kept = _Saved(
            _SAVED, self.done_us, self._video, self._size, self._rate, [line(e) for e in known],
            list(self._seen_us.items()), [line(e) for e in self.thoughts], [line(e) for e in parked], self.parked,
        )  # fmt: skip
        return msgspec.json.encode(kept)

    @classmethod
    def restore(cls, feed: str, least_us: int, data: bytes) -> Clipper:
        """The clipper of a snapshot. Raises ValueError where it is none of this version."""
        saved = msgspec.json.decode(data, type=_Saved)
        if saved.version != _SAVED:
            raise ValueError(f"the saved state is of version {saved.version}, wanted {_SAVED}")
        known: dict[int, dict[type, Event]] = {}
        for event in map(decode_line, saved.known):
            kind = EntityDescribed if isinstance(event.body, EntityDescribed) else EntityAppeared
            known.setdefault(event.body.entity, {})[kind] = event  # type: ignore[attr-defined]
        clipper = cls(
            feed, least_us, mends=True, done_us=saved.done_us, thoughts=[decode_line(t) for t in saved.thoughts],
            _video=saved.video, _size=saved.size, _rate=saved.rate, _known=known, _seen_us=dict(saved.seen_us),
        )  # fmt: skip
        for event in map(decode_line, saved.pending):
            for _ in clipper.push(event):
                pass  # no clip is complete by events that were pending
        clipper.parked = saved.parked
        return clipper

    def _segment(self, body: SegmentClosed, place: tuple[int, int]) -> None:
        if body.end_us <= self.done_us:  # read again, for what is known by then
            self._window(body.start_us, body.end_us, place)
            return
        joined_us = self._open[1] if self._open else self._due[-1][1] if self._due else -1
        if body.end_us > max(body.start_us, joined_us):  # or else it is told twice
            start = body.start_us if self._open is None else self._open[0]
            self._open = (start, body.end_us, place)
        if self._open is not None and (body.reason in ("gap", "end") or self._open[1] - self._open[0] >= self.least_us):
            self._due.append(self._open)
            self._open = None

    def _forget_thoughts(self) -> None:
        """Second thoughts on what is over: a change of names before the last clip, entities nobody remembers."""
        self.thoughts = [
            e for e in self.thoughts
            if (isinstance(e.body, EntitySplit) and e.body.at_us >= self.done_us - LATE_US)
            or (isinstance(e.body, EntityMerged) and self.done_us - e.body.at_us <= _FORGET_US)
        ]  # fmt: skip

    def _all(self) -> Iterator[Window]:
        if self._open is not None:
            self._due.append(self._open)
        self._open = None
        yield from self._ready(None)
        self._pending.clear()
        self._known.clear()
        self._seen_us.clear()

    def _ready(self, until_us: int | None) -> Iterator[Window]:
        while self._due and (until_us is None or self._due[0][1] <= until_us):
            start, end, place = self._due.pop(0)
            yield self._window(start, end, place)

    def _window(self, start: int, end: int, place: tuple[int, int]) -> Window:
        inside: list[Event] = []
        left: list[Event] = []
        told: list[Event] = []
        hindsight = Hindsight.of(self.thoughts) if self.thoughts else None
        for event in self._pending:
            times = _times(event)
            mended = list(hindsight.mend((event,))) if hindsight else [event]
            if times is None:
                if (event.seq, event.n) <= place:
                    told += mended
                else:
                    left.append(event)
                continue
            if times[0] < end and times[1] >= start:
                inside += [e for e in mended if _meets(e, start, end)] if hindsight else mended
            if times[1] >= end:
                left.append(event)
        seen = {e.body.entity for e in inside if isinstance(e.body, Masklet | MaskletRevised)}
        for event in told:
            if isinstance(event.body, EntityDescribed):
                self._known.setdefault(event.body.entity, {})[EntityDescribed] = event
        prior = [e for i in sorted(seen) for e in self._known.get(i, {}).values()]
        for event in inside:
            if isinstance(event.body, EntityAppeared | EntityReentered):
                self._known.setdefault(event.body.entity, {})[EntityAppeared] = event
        self._seen_us.update(dict.fromkeys(seen, end))
        for entity in [e for e in self._known if end - self._seen_us.setdefault(e, end) > _FORGET_US]:
            del self._known[entity], self._seen_us[entity]
        self._pending, self.done_us = left, max(self.done_us, end)
        self._forget_thoughts()
        return Window(self.feed, self._video, self._size, self._rate, start, end, (*prior, *inside))


def _meets(event: Event, start_us: int, end_us: int) -> bool:
    times = _times(event)
    return times is not None and times[0] < end_us and times[1] >= start_us


_SAVED = 1


class _Saved(msgspec.Struct):
    """A clipper's state; events as lines."""

    version: int
    done_us: int
    video: str
    size: tuple[int, int]
    rate: str
    known: list[str]
    seen_us: list[tuple[int, int]]
    thoughts: list[str]
    pending: list[str]
    parked: tuple[int, int]


def line(event: Event) -> str:
    return encode_line(event.headers(), encode_body(event.body)).decode()


def _times(event: Event) -> tuple[int, int] | None:
    """First and last microsecond an event speaks of; None where it speaks of none, or is no matter for pairs."""
    body = event.body
    match body:
        case Masklet() | MaskletRevised():
            return body.frames[0].pts_us, body.frames[-1].pts_us
        case EntityAppeared() | EntityExited() | EntityReentered():
            return body.at_us, body.at_us
        case Action() | FeedGap():
            return body.start_us, body.end_us
        case SegmentClosed():
            return body.start_us, body.end_us - 1
        case SegmentOpened():
            return body.start_us, body.start_us
        case _:
            return None
