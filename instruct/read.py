"""Annotations of files or of a log -> clips: checked in a first pass, then read as a stream, so that memory stays
bounded."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec

from engines.errors import UserError
from instruct.clip import Window
from instruct.clipper import Clipper
from stream.events import (
    EntityMerged,
    EntitySplit,
    Event,
    FeedEnded,
    FeedGap,
    FeedStarted,
    Masklet,
    MaskletRevised,
    decode_line,
    decode_message,
)
from stream.log import ANNOTATIONS, Log
from stream.mended import Hindsight

Tell = Callable[[int], None]
"""Progress: bytes read."""
_NOTHING: Mapping[str, int] = {}
_RATE = re.compile(r"[0-9]{1,12}/[0-9]{1,12}")
_MOST_PIXELS = 1 << 15
"""Of a side: what a mask's measures hold without overflow."""
_READ_BYTES = 1 << 20
"""At once: a line of masks has tens of thousands, Python's own buffer 8,192."""


@dataclass(frozen=True, slots=True)
class Annotations:
    """A checked source of annotations. hindsight: by feed. read: its events, telling how far it is."""

    read: Callable[[Tell], Iterator[Event]]
    hindsight: dict[str, Hindsight]

    def events(self, tell: Tell = lambda _: None) -> Iterator[Event]:
        """Its events in order, with second thoughts taken in."""
        for event in self.read(tell):
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


def check(paths: Iterable[Path], tell: Tell = lambda _: None, *, growing: bool = False) -> list[Annotations]:
    """Read all files once: that every line is an event, and every feed complete and in one file only.

    growing: feeds may go on; what is complete of them counts. Raises UserError where a file is not so.
    """
    out: list[Annotations] = []
    homes: dict[str, Path] = {}
    for path in paths:
        thoughts, half = _survey(_lines(path, tell), path)
        for feed in thoughts:
            if feed in homes:
                raise UserError(f"feed {feed} is in {homes[feed]} and in {path}: give one of them")
            homes[feed] = path
        if not thoughts:
            raise UserError(f"{path} is empty: there is nothing to ask about")
        if half and not growing:
            raise UserError(
                f"{path} breaks off: feed {half[0]} has no feed.ended; let `strefer annotate` finish, or take what is "
                "complete with --add"
            )
        hindsight = {feed: Hindsight.of(said) for feed, said in thoughts.items()}
        out.append(Annotations(partial(_lines, path), hindsight))
    return out


def check_log(log: Log, name: object) -> list[Annotations]:
    """The annotations of a log as they are now: feeds may go on. Raises UserError where there are none."""
    thoughts, _ = _survey(_records(log), name)
    if not thoughts:
        raise UserError(f"{name} holds no annotations: has a worker followed a feed there?")

    def read(feed: str, tell: Tell) -> Iterator[Event]:
        return _records(log, feed)

    return [Annotations(partial(read, feed), {feed: Hindsight.of(said)}) for feed, said in sorted(thoughts.items())]


def _survey(events: Iterable[Event], name: object) -> tuple[dict[str, list[Event]], list[str]]:
    """Second thoughts by feed, and the feeds that have not ended. Raises UserError where a feed's start is missing."""
    thoughts: dict[str, list[Event]] = {}
    is_open: dict[str, bool] = {}
    for event in events:
        if event.feed not in thoughts:
            thoughts[event.feed] = []
            if not isinstance(event.body, FeedStarted | FeedGap):
                raise UserError(f"{name} does not begin with feed.started: the first part is missing")
        if isinstance(event.body, EntityMerged | EntitySplit):
            thoughts[event.feed].append(event)
        is_open[event.feed] = not isinstance(event.body, FeedEnded)
    return thoughts, sorted(feed for feed, so in is_open.items() if so)


def _records(log: Log, feed: str | None = None) -> Iterator[Event]:
    for record in log.read(ANNOTATIONS, key=feed):
        try:
            event = decode_message(dict(record.headers), record.value)
        except (ValueError, KeyError, msgspec.MsgspecError):
            continue  # of a later version, or damaged: the stream leaves it out too
        if not flaw(event):
            yield event


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
        if wrong := flaw(event):
            raise ValueError(wrong)
        return event
    except (ValueError, KeyError, msgspec.MsgspecError) as e:
        if str(e).startswith("ce_type is"):
            return None
        reason = " ".join(str(e).split())[:160]
        mend = "; is it a video? `strefer annotate` comes first" if number == 1 and b"\0" in line else ""
        raise UserError(f"{path}, line {number} is no annotation event: {reason}{mend}") from None


def flaw(event: Event) -> str:
    """What makes an event unusable though it can be read; empty where nothing does."""
    body = event.body
    if isinstance(body, FeedStarted):
        if not _RATE.fullmatch(body.rate):
            return f"rate is {body.rate[:40]!r}, wanted a fraction like 30000/1001, 0/1 where unknown"
        if not (0 < body.width <= _MOST_PIXELS and 0 < body.height <= _MOST_PIXELS):
            return f"a picture of {body.width} x {body.height} pixels"
    elif isinstance(body, Masklet | MaskletRevised):
        if not body.frames:
            return "a masklet of no frames"
        for f in body.frames:  # pycocotools divides by the height: a mask of none ends the process
            h, w = f.rle.size
            if not (0 < h <= _MOST_PIXELS and 0 < w <= _MOST_PIXELS and f.rle.counts.isascii()):
                return f"a mask of {h} x {w} pixels that cannot be one"
    return ""


def windows(
    files: Iterable[Annotations], *, least_us: int, tell: Tell = lambda _: None, done_us: Mapping[str, int] = _NOTHING
) -> Iterator[Window]:
    """The clips of checked files, in order of their ends; memory holds one clip a feed. done_us: by feed, up to where
    clips have been made before."""
    for file in files:
        clippers: dict[str, Clipper] = {}
        for event in file.events(tell):
            clipper = clippers.get(event.feed)
            if clipper is None:
                clipper = clippers[event.feed] = Clipper(event.feed, least_us, done_us=done_us.get(event.feed, -1))
            yield from clipper.push(event)
