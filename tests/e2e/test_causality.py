"""Nothing that was said depends on what comes later: a feed cut short says the same up to there."""

from __future__ import annotations

from contextlib import closing
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from stream.chunk import ChunkHeader, decode_header
from stream.events import ChunkDone, Event, Masklet, MaskletRevised
from stream.log import Message
from stream.log.sqlite import SqliteLog
from tests.running import events_of, messages_of, post_queries, send_all, work

SCENE = "synthetic:late-entry?seconds=7&size=320x180&fps=12"
LOOK_BACK_US = 2_000_000

pytestmark = pytest.mark.slow


@cache
def messages() -> tuple[Message, ...]:
    return messages_of(SCENE)


@cache
def followed(count: int) -> tuple[Event, ...]:
    """Events of the first `count` messages, but `chunk.done`."""
    with TemporaryDirectory() as folder, closing(SqliteLog(Path(folder))) as log:
        post_queries(log, "feed", ["the car", "the person in green"])
        send_all(log, messages()[:count])
        work(log)
        return tuple(e for e in events_of(log, "feed") if not isinstance(e.body, ChunkDone))


@pytest.mark.parametrize("count", [1, 3, 5, 6])
def test_a_feed_cut_short_says_the_same(count: int) -> None:
    whole = followed(len(messages()))
    assert followed(count) == tuple(e for e in whole if e.seq < count)
    assert len(followed(count)) >= 3


def test_masks_come_with_their_chunk_and_revisions_reach_no_further_than_the_look_back() -> None:
    spans = {}
    for message in messages():
        header = decode_header(dict(message.headers))
        if isinstance(header, ChunkHeader):
            spans[header.seq] = (header.start_us, header.start_us + header.duration_us)
    for event in followed(len(messages())):
        if isinstance(event.body, Masklet):
            start, end = spans[event.seq]
            assert all(start <= f.pts_us < end for f in event.body.frames)
        elif isinstance(event.body, MaskletRevised):
            start, end = spans[event.seq]
            assert all(start - LOOK_BACK_US <= f.pts_us < start for f in event.body.frames)
    kinds = {e.type for e in followed(len(messages()))}
    assert {"entity.appeared", "masklet", "segment.opened", "feed.ended"} <= kinds
    times = [f.pts_us for e in followed(len(messages())) if isinstance(e.body, Masklet | MaskletRevised)
             for f in e.body.frames]  # fmt: skip
    assert max(times) > 6_000_000


def test_no_mask_is_told_twice() -> None:
    seen: set[tuple[int, int]] = set()
    for event in followed(len(messages())):
        if isinstance(event.body, Masklet | MaskletRevised):
            for frame in event.body.frames:
                assert (event.body.entity, frame.pts_us) not in seen
                seen.add((event.body.entity, frame.pts_us))
            pts = [f.pts_us for f in event.body.frames]
            assert pts == sorted(pts)
