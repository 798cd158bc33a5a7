"""Annotation files -> clips: checked in a first pass, then read as a stream, so that memory stays bounded.

A clip is one or more whole segments, as many as reach a least length. It is handed out when nothing can be added to
it any more: at the end of a chunk three seconds later in the feed, as masks come at the end of their chunk and are
filled backward for two seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from engines.errors import UserError
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
)
from stream.mended import Hindsight

LATE_US = 3_000_000
"""How long after a clip's end masks of it may still come."""
_FORGET_US = 900_000_000
"""An entity unseen for longer than the gallery keeps it (10 minutes) cannot come back."""
_READ_BYTES = 1 << 20
"""At once: a line of masks has tens of thousands, Python's own buffer 8,192."""
Tell = Callable[[int], None]
"""Progress: bytes read."""


@dataclass(frozen=True, slots=True)
class Annotations:
    """A checked file of annotations. hindsight: by feed."""

    path: Path
    hindsight: dict[str, Hindsight]

    def events(self, tell: Tell = lambda _: None) -> Iterator[Event]:
        """Its events in order, with second thoughts taken in."""
        for event in _lines(self.path, tell):
            yield from self.hindsight[event.feed].mend((event,))


def find(paths: Sequence[Path]) -> list[Path]:
    """The annotation files that are meant: files, folders of `strefer annotate`, folders of such folders.

    Raises UserError where there is none.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = [p for p in (path / "annotations.jsonl", *sorted(path.glob("*/annotations.jsonl"))) if p.is_file()]
            if not inside:
                raise UserError(f"{path} holds no annotations.jsonl: give what `strefer annotate --out` wrote")
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise UserError(f"{path} is not there: give an annotations.jsonl of `strefer annotate`, or its folder")
    return list({p.resolve(): p for p in found}.values())


def check(paths: Iterable[Path], tell: Tell = lambda _: None) -> list[Annotations]:
    """Read all files once: that every line is an event, and every feed complete and in one file only.

    Raises UserError where a file is not so.
    """
    out: list[Annotations] = []
    homes: dict[str, Path] = {}
    for path in paths:
        thoughts: dict[str, list[Event]] = {}
        open_feeds: dict[str, bool] = {}
        for event in _lines(path, tell):
            if event.feed not in thoughts:
                if event.feed in homes:
                    raise UserError(f"feed {event.feed} is in {homes[event.feed]} and in {path}: give one of them")
                homes[event.feed], thoughts[event.feed] = path, []
                if not isinstance(event.body, FeedStarted | FeedGap):
                    raise UserError(f"{path} does not begin with feed.started: the first part is missing")
            if isinstance(event.body, EntityMerged | EntitySplit):
                thoughts[event.feed].append(event)
            open_feeds[event.feed] = not isinstance(event.body, FeedEnded)
        if not thoughts:
            raise UserError(f"{path} is empty: there is nothing to ask about")
        half = sorted(feed for feed, is_open in open_feeds.items() if is_open)
        if half:
            raise UserError(f"{path} breaks off: feed {half[0]} has no feed.ended; let `strefer annotate` finish")
        out.append(Annotations(path, {feed: Hindsight.of(said) for feed, said in thoughts.items()}))
    return out


def _lines(path: Path, tell: Tell) -> Iterator[Event]:
    try:
        with path.open("rb", buffering=_READ_BYTES) as f:
            for number, line in enumerate(f, 1):
                tell(len(line))
                event = _event(line, path, number)
                if event is not None:
                    yield event
    except OSError as e:
        raise UserError(f"{path} cannot be read: {e.strerror}") from None


def _event(line: bytes, path: Path, number: int) -> Event | None:
    """The event of a line, None for a type of later versions. Raises UserError where it is none."""
    try:
        event = decode_line(line)
        if isinstance(event.body, Masklet | MaskletRevised) and not event.body.frames:
            raise ValueError("a masklet of no frames")
        return event
    except (ValueError, KeyError, msgspec.MsgspecError) as e:
        if str(e).startswith("ce_type is"):
            return None
        reason = " ".join(str(e).split())[:160]
        raise UserError(f"{path}, line {number} is no annotation event: {reason}") from None


@dataclass(slots=True)
class Clipper:
    """One feed's events in, its clips out. least_us: segments are joined until a clip is this long."""

    feed: str
    least_us: int
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
            case _:
                pass
        times = _times(event)
        if times is not None:
            self._reached_us = max(self._reached_us, times[1])
        if times is not None or isinstance(body, EntityDescribed):
            self._pending.append(event)

    def _segment(self, body: SegmentClosed, place: tuple[int, int]) -> None:
        if body.end_us > body.start_us:
            start = body.start_us if self._open is None else self._open[0]
            self._open = (start, body.end_us, place)
        if self._open is not None and (body.reason in ("gap", "end") or self._open[1] - self._open[0] >= self.least_us):
            self._due.append(self._open)
            self._open = None

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
        for event in self._pending:
            times = _times(event)
            if times is None:
                (told if (event.seq, event.n) <= place else left).append(event)
                continue
            if times[0] < end and times[1] >= start:
                inside.append(event)
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
        self._pending = left
        return Window(self.feed, self._video, self._size, self._rate, start, end, (*prior, *inside))


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


def windows(files: Iterable[Annotations], *, least_us: int, tell: Tell = lambda _: None) -> Iterator[Window]:
    """The clips of checked files, in order of their ends; memory holds one clip a feed."""
    for file in files:
        clippers: dict[str, Clipper] = {}
        for event in file.events(tell):
            clipper = clippers.setdefault(event.feed, Clipper(event.feed, least_us))
            yield from clipper.push(event)
