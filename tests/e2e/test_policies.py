"""Back-pressure, each policy with a queue of chunks: what is followed, what is skipped, and what is said of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import cache
from pathlib import Path

import msgspec
import pytest

from stream.chunk import Chunk, ChunkHeader, GapHeader, Policy, decode_header, encode_header
from stream.decode.pyav import PyAVDecoder
from stream.events import ChunkDone, Event, FeedEnded, FeedGap
from stream.frames import Frames
from stream.log import CHUNKS, DEADLETTER, STATE, Message
from stream.log.sqlite import SqliteLog
from stream.pipeline import Pipeline
from stream.runtime import settle
from stream.state import restore
from stream.worker import Worker
from tests.running import drain, events_of, messages_of, networks, send_all

SCENE = "synthetic:two-people?seconds=10&size=320x180&fps=5"
SECOND_US = 1_000_000

pytestmark = pytest.mark.slow


@cache
def messages() -> tuple[Message, ...]:
    """Ten chunks and the end."""
    return messages_of(SCENE)


def of_policy(policy: Policy) -> list[Message]:
    return [_with(m, policy) for m in messages()]


def _with(message: Message, policy: Policy) -> Message:
    header = decode_header(dict(message.headers))
    if not isinstance(header, ChunkHeader):
        return message
    return replace(message, headers=encode_header(msgspec.structs.replace(header, policy=policy)))


class Counting:
    """A decoder that remembers what it was asked for."""

    name = "counting"

    def __init__(self) -> None:
        self.seqs: list[int] = []
        self._decoder = PyAVDecoder()

    def decode(self, chunk: Chunk) -> Iterator[Frames]:
        self.seqs.append(chunk.header.seq)
        yield from self._decoder.decode(chunk)


def worker_of(log: SqliteLog, decoder: Counting) -> Worker:
    settle()
    return Worker(log, Pipeline(networks()), decoder)


def drain_with(log: SqliteLog, decoder: Counting) -> None:
    with closing(worker_of(log, decoder)) as worker:
        drain(worker, log)


def gaps(events: Sequence[Event]) -> list[FeedGap]:
    return [e.body for e in events if isinstance(e.body, FeedGap)]


def done(events: Sequence[Event]) -> list[ChunkDone]:
    return [e.body for e in events if isinstance(e.body, ChunkDone)]


def test_block_follows_all_of_a_long_queue(tmp_path: Path) -> None:
    decoder = Counting()
    with closing(SqliteLog(tmp_path)) as log:
        send_all(log, of_policy("block"))
        drain_with(log, decoder)
        events = events_of(log, "feed")
    assert gaps(events) == []
    assert [(d.seq, d.frames, d.dropped) for d in done(events)] == [(i, 5, 0) for i in range(10)]
    assert sorted(decoder.seqs) == list(range(10)), "each once; two are decoded side by side"


def test_latest_skips_to_the_newest_without_decoding(tmp_path: Path) -> None:
    decoder, chunks = Counting(), of_policy("latest")
    with closing(SqliteLog(tmp_path)) as log:
        send_all(log, chunks[:3])
        drain_with(log, decoder)
        assert gaps(events_of(log, "feed")) == [], "two may wait"
        send_all(log, chunks[3:8])
        drain_with(log, decoder)
        send_all(log, chunks[8:])
        drain_with(log, decoder)
        events = events_of(log, "feed")
        assert not list(log.read(DEADLETTER))
    (gap,) = gaps(events)
    assert (gap.missing_seqs, gap.end_us) == ((3, 6), 7 * SECOND_US)
    assert gap.reason == "skipped: chunks waited, and the feed's policy is latest"
    assert [d.seq for d in done(events)] == [0, 1, 2, 7, 8, 9]
    assert set(decoder.seqs) == {0, 1, 2, 7, 8, 9}, "but what a new worker looks back into is decoded again"
    assert isinstance(events[-1].body, FeedEnded)


def test_skipping_goes_on_after_a_restart_and_service_messages_are_never_dropped(tmp_path: Path) -> None:
    decoder, chunks = Counting(), of_policy("latest")
    away = GapHeader(feed="feed", seq=4, start_us=4 * SECOND_US, end_us=5 * SECOND_US, reason="camera away")
    chunks[4] = Message(CHUNKS, "feed", b"", encode_header(away))
    with closing(SqliteLog(tmp_path)) as log:
        send_all(log, chunks)
        for count in (1, 1, 3, 1):
            with closing(worker_of(log, decoder)) as worker:
                for _ in range(count):
                    assert worker.step(timeout_s=10) is not None
        drain_with(log, decoder)
        events = events_of(log, "feed")
    assert [(g.missing_seqs, g.start_us, g.reason.split(":")[0]) for g in gaps(events)] == [
        ((0, 3), 0, "skipped"), (None, 4 * SECOND_US, "camera away"), ((5, 8), 5 * SECOND_US, "skipped"),
    ]  # fmt: skip
    assert [d.seq for d in done(events)] == decoder.seqs == [9], "the end behind it is no chunk that waits"
    assert isinstance(events[-1].body, FeedEnded)
    assert len({e.id for e in events}) == len(events)


def test_degrade_works_less_level_by_level(tmp_path: Path) -> None:
    decoder, chunks = Counting(), of_policy("degrade")
    levels = []
    with closing(SqliteLog(tmp_path)) as log:
        send_all(log, chunks[:4])
        sent = 4
        for _ in range(5):  # the queue does not get shorter
            with closing(worker_of(log, decoder)) as worker:
                assert worker.step(timeout_s=10) is not None
            record = log.latest(STATE, "feed")
            assert record is not None
            levels.append(restore(record.value).pressure.level)
            send_all(log, chunks[sent : sent + 1])
            sent += 1
        send_all(log, chunks[sent:])
        drain_with(log, decoder)
        events = events_of(log, "feed")
    assert levels == [1, 2, 3, 3, 3]
    assert [(d.seq, d.frames, d.dropped) for d in done(events)] == [(0, 5, 0), (1, 3, 2), (9, 3, 2)]
    (gap,) = gaps(events)
    assert gap.missing_seqs == (2, 8)
    assert isinstance(events[-1].body, FeedEnded)
