"""Annotations of one long feed, made of those of a short one: repeated in time, and its entities beside each other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from instruct.read import check
from stream.events import (
    Body,
    EntityMerged,
    EntitySplit,
    Event,
    FeedEnded,
    FeedStarted,
    MaskletFrame,
    SegmentClosed,
    encode_body,
    encode_line,
)

_TIMES = ("at_us", "start_us", "end_us", "since_us")
_ENTITIES = ("entity", "other", "merged", "into")


def write(source: Path, out: Path, *, minutes: float, beside: int = 1) -> int:
    """Repeat a file of annotations until it is as long, every entity `beside` times; its bytes.

    Entities of each repetition are new ones with names of their own: what is remembered of them has to be forgotten.
    """
    (file,) = check([source])
    events = list(file.events())
    length_us = max(e.body.end_us for e in events if isinstance(e.body, SegmentClosed))
    repeats = max(1, round(minutes * 60e6 / length_us))
    entities = 1 + max(getattr(e.body, "entity", 0) for e in events)
    seqs = 1 + max(e.seq for e in events)
    thoughts = (EntityMerged, EntitySplit)  # they are taken in already
    left_out = {
        (True, True): thoughts,
        (True, False): (*thoughts, FeedEnded),
        (False, False): (*thoughts, FeedStarted, FeedEnded),
        (False, True): (*thoughts, FeedStarted),
    }
    with out.open("wb") as f:
        for k in range(repeats):
            for event in events:
                if isinstance(event.body, left_out[k == 0, k == repeats - 1]):
                    continue
                for copy in range(beside if hasattr(event.body, "entity") else 1):
                    number = k * beside + copy
                    body = _moved(event.body, k * length_us, number * entities, f" number {number}" if number else "")
                    moved = Event("long", k * seqs + event.seq, event.n * beside + copy, body)
                    f.write(encode_line(moved.headers(), encode_body(body)) + b"\n")
    return out.stat().st_size


def _moved(body: Body, by_us: int, entities: int, called: str) -> Body:
    """The same later, of other entities, which are called so too."""
    changes: dict[str, object] = {}
    for name in body.__struct_fields__:
        value = getattr(body, name)
        if name in _TIMES and value is not None:
            changes[name] = value + by_us
        elif name in _ENTITIES and value is not None:
            changes[name] = value + entities
        elif name == "expression" or (name == "text" and getattr(body, "other", None)):
            changes[name] = value + called
        elif name == "frames" and isinstance(value, list):
            changes[name] = list(_frames(value, by_us))
        elif name == "reason" and value == "end" and isinstance(body, SegmentClosed):
            changes[name] = "cut"
    return msgspec.structs.replace(body, **changes)


def _frames(frames: list[MaskletFrame], by_us: int) -> Iterator[MaskletFrame]:
    for f in frames:
        yield msgspec.structs.replace(f, pts_us=f.pts_us + by_us)
