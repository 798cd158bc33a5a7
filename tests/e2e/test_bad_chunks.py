"""Chunks that are no good, late, double or missing: an error and a dead letter each, and a feed that goes on."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest

from producers.produce import produce
from producers.sources import open_sources
from producers.state import ProducerState
from stream.chunk import ChunkHeader, decode_header, encode_header
from stream.cli import main
from stream.decode.pyav import PyAVDecoder
from stream.events import (
    ChunkDone,
    EntityAppeared,
    EntityExited,
    Error,
    Event,
    FeedEnded,
    FeedGap,
    FeedStarted,
    SegmentOpened,
)
from stream.log import CHUNKS, DEADLETTER, STATE, Message, Record
from stream.log.sqlite import SqliteLog
from stream.pipeline import Pipeline
from stream.runtime import settle
from stream.worker import Worker
from tests.running import drain, events_of, masks_of, messages_of, networks, send_all, work

SCENE = "synthetic:two-people?seconds=5&size=320x180&fps=5"
SECOND_US = 1_000_000

pytestmark = pytest.mark.slow


@cache
def messages() -> tuple[Message, ...]:
    """The scene as a producer writes it: five chunks and the end."""
    return messages_of(SCENE)


def run(folder: Path, changed: Sequence[Message]) -> tuple[list[Event], list[Record]]:
    """Events and dead letters of these messages."""
    with closing(SqliteLog(folder)) as log:
        send_all(log, changed)
        work(log)
        return events_of(log, "feed"), list(log.read(DEADLETTER))


@cache
def calm() -> tuple[Event, ...]:
    """Events of the scene as it is, to which several tests hold theirs."""
    with TemporaryDirectory() as folder:
        events, dead = run(Path(folder), messages())
    assert dead == []
    return tuple(events)


def bodies(events: Sequence[Event], kind: type) -> list[object]:
    return [e.body for e in events if isinstance(e.body, kind)]


def test_the_scene_itself() -> None:
    events = calm()
    assert len(messages()) == 6
    assert (bodies(events, Error), bodies(events, FeedGap)) == ([], [])
    assert [e.type for e in events[:2]] == ["feed.started", "segment.opened"]
    assert isinstance(events[-1].body, FeedEnded)
    assert len({e.id for e in events}) == len(events)


def _header(message: Message) -> ChunkHeader:
    header = decode_header(dict(message.headers))
    assert isinstance(header, ChunkHeader)
    return header


def _checksummed(message: Message, value: bytes) -> Message:
    """Damage that happened before the checksum: only the decoder can tell."""
    header = msgspec.structs.replace(_header(message), crc32=zlib.crc32(value))
    return replace(message, value=value, headers=encode_header(header))


def _flipped(value: bytes) -> bytes:
    middle = len(value) // 2
    return value[:middle] + bytes(b ^ 0x5A for b in value[middle : middle + 64]) + value[middle + 64 :]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda m: replace(m, value=_flipped(m.value)), "crc32"),
        (lambda m: replace(m, value=b""), "crc32"),
        (lambda m: _checksummed(m, b"no video at all"), "cannot be decoded"),
        (lambda m: _checksummed(m, m.value[: len(m.value) // 2]), ""),
    ],
    ids=["flipped", "emptied", "not a video", "cut off"],
)
def test_corrupt_chunk(tmp_path: Path, spoil: Callable[[Message], Message], reason: str) -> None:
    changed = list(messages())
    changed[2] = spoil(changed[2])
    events, dead = run(tmp_path, changed)
    (error,), (gap,) = bodies(events, Error), bodies(events, FeedGap)
    assert isinstance(error, Error)
    assert (error.stage, error.code, error.seq) == ("decode", "corrupt_chunk", 2)
    assert isinstance(gap, FeedGap)
    assert (gap.start_us, gap.end_us, gap.missing_seqs) == (2 * SECOND_US, 3 * SECOND_US, (2, 2))
    assert [(r.key, r.value, r.headers["strefer_dead_topic"]) for r in dead] == [("feed", changed[2].value, CHUNKS)]
    assert dead[0].headers["strefer_dead_reason"] == error.message
    assert reason in error.message
    assert dict(changed[2].headers).items() <= dict(dead[0].headers).items()
    # and the feed goes on behind the gap
    times = sorted(masks_of(events))
    assert not [t for t in times if gap.start_us <= t < gap.end_us]
    assert [t for t in times if t < gap.start_us]
    assert [t for t in times if t >= gap.end_us + SECOND_US]
    assert isinstance(events[-1].body, FeedEnded)
    assert len(bodies(events, FeedStarted)) == 1
    opened = [b.start_us for b in bodies(events, SegmentOpened) if isinstance(b, SegmentOpened)]
    assert opened == [0, 3 * SECOND_US]
    gone = [b for b in bodies(events, EntityExited) if isinstance(b, EntityExited)]
    assert {g.reason for g in gone if g.at_us < gap.end_us} == {"lost"}


def test_double_delivery(tmp_path: Path) -> None:
    chunks = messages()
    again = [*chunks[:2], chunks[1], chunks[0], *chunks[2:], chunks[3]]
    twice, dead = run(tmp_path, again)
    reasons = [r.headers["strefer_dead_reason"] for r in dead]
    assert reasons == [f"seq {seq} was done already" for seq in (1, 0, 3)]
    assert [r.value for r in dead] == [chunks[i].value for i in (1, 0, 3)]
    assert _plain(twice) == _plain(calm())


def test_replay_from_the_dead_letters(tmp_path: Path) -> None:
    """A chunk that was no good is done: sent again it is dead again. One that nobody could read may be mended."""
    chunks = list(messages())
    chunks[2] = replace(chunks[2], value=_flipped(chunks[2].value))
    events, _ = run(tmp_path, chunks)
    assert main(["deadletter", "replay", "--all", "--log", str(tmp_path)]) == 0
    with closing(SqliteLog(tmp_path)) as log:
        work(log)
        assert events_of(log, "feed") == events
        _, again = log.read(DEADLETTER)
    assert again.headers["strefer_dead_reason"] == "seq 2 was done already"
    assert again.headers["strefer_replayed"] == "0"


def test_a_seq_nobody_produced(tmp_path: Path) -> None:
    """A forged or damaged seq: the feed goes on as if it had not been."""
    with closing(SqliteLog(tmp_path / "true")) as log:
        produce(open_sources([SCENE]), "feed", log)
        work(log)
        once = events_of(log, "feed")
    forged = replace(messages()[4], headers=encode_header(msgspec.structs.replace(_header(messages()[4]), seq=4000)))
    with closing(SqliteLog(tmp_path / "forged")) as log:
        written: list[float] = []

        def forge(done_s: float, total_s: float | None) -> None:
            written.append(done_s)
            if len(written) in (1, 3):
                send_all(log, [forged])

        produce(open_sources([SCENE]), "feed", log, progress=forge)
        send_all(log, [forged])
        work(log)
        assert _plain(events_of(log, "feed")) == _plain(once)
        dead = list(log.read(DEADLETTER))
    reasons = {r.headers["strefer_dead_reason"] for r in dead}
    assert reasons == {"seq 4000 was never produced: the feed's producer has come to 5"}
    assert len(dead) == 3


def test_a_hole_that_the_producer_made_is_a_gap(tmp_path: Path) -> None:
    """Retention took chunks that no worker had followed: the producer's state says that they were there."""
    with closing(SqliteLog(tmp_path)) as log:
        state = ProducerState(identity="x", next_seq=6)
        with log.transaction() as tx:
            tx.send(Message(STATE, "producer/feed", msgspec.json.encode(state)))
        send_all(log, [messages()[0], *messages()[3:]])
        work(log)
        events = events_of(log, "feed")
        assert not list(log.read(DEADLETTER))
    (gap,) = bodies(events, FeedGap)
    assert isinstance(gap, FeedGap)
    assert gap.missing_seqs == (1, 2)


def test_a_hole_before_a_corrupt_chunk_is_told_too(tmp_path: Path) -> None:
    chunks = [messages()[0], replace(messages()[3], value=b"junk"), *messages()[4:]]
    events, _ = run(tmp_path, chunks)
    assert [g.missing_seqs for g in bodies(events, FeedGap) if isinstance(g, FeedGap)] == [(1, 2), (3, 3)]


def test_a_value_that_its_log_has_lost_is_said_to_be(tmp_path: Path) -> None:
    """As the log on Kafka gives a message whose claim check cannot be redeemed."""
    lost = {"ce_dataref": "x?crc32=1", "strefer_lost_claim": "there is no such object"}
    chunks = list(messages())
    chunks[2] = replace(chunks[2], value=b"", headers={**chunks[2].headers, **lost})
    events, (dead,) = run(tmp_path, chunks)
    (error,) = bodies(events, Error)
    assert isinstance(error, Error)
    assert error.message == dead.headers["strefer_dead_reason"] == "there is no such object"


def test_an_oversized_message_is_not_looked_into(tmp_path: Path) -> None:
    limit = max(len(m.value) for m in messages())
    chunks = list(messages())
    chunks[2] = _checksummed(chunks[2], chunks[2].value + bytes(limit))
    garbage = Message(CHUNKS, "feed", bytes(limit + 1), {})
    with closing(SqliteLog(tmp_path)) as log:
        send_all(log, [*chunks, garbage])
        settle()
        with closing(Worker(log, Pipeline(networks()), PyAVDecoder(), max_message_bytes=limit)) as worker:
            drain(worker, log)
        events = events_of(log, "feed")
        dead, unread = log.read(DEADLETTER)
        original = next(iter(log.read(CHUNKS, key="feed", after=int(dead.headers["strefer_dead_offset"]) - 1)))
    error, malformed = bodies(events, Error)
    assert isinstance(error, Error)
    assert (error.code, error.seq) == ("oversized", 2)
    (gap,) = bodies(events, FeedGap)
    assert isinstance(gap, FeedGap)
    assert (gap.reason, gap.missing_seqs) == ("oversized chunk", (2, 2))
    assert (dead.value, dict(chunks[2].headers).items() <= dict(dead.headers).items()) == (b"", True)
    assert dead.headers["strefer_dead_value"] == f"left out: {len(chunks[2].value)} bytes, the limit is {limit}"
    assert original.value == chunks[2].value, "the original keeps its place"
    assert isinstance(malformed, Error)
    assert (malformed.code, unread.value) == ("malformed", b"")


def _plain(events: Sequence[Event]) -> list[Event]:
    return [e for e in events if not isinstance(e.body, ChunkDone)]


def test_missing_chunks(tmp_path: Path) -> None:
    events, dead = run(tmp_path, [*messages()[:1], *messages()[3:]])
    assert not dead
    (gap,) = bodies(events, FeedGap)
    assert isinstance(gap, FeedGap)
    assert (gap.missing_seqs, gap.end_us) == ((1, 2), 3 * SECOND_US)
    assert [e.seq for e in events if e.body is gap] == [3]
    appeared = [b for b in bodies(events, EntityAppeared) if isinstance(b, EntityAppeared)]
    assert len({a.entity for a in appeared}) == len(appeared)
    assert [t for t in masks_of(events) if t >= 3 * SECOND_US]


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ({}, "feed"),
        ({"ce_type": "strefer.chunk", "strefer_schema": "99", "strefer_header": "{}"}, "feed"),
        ({"ce_type": "strefer.chunk", "strefer_schema": "1", "strefer_header": "{"}, "feed"),
        ({"ce_type": "strefer.chunk", "strefer_schema": "1", "strefer_header": '{"feed":7}'}, "feed"),
    ],
)
def test_garbage_message(tmp_path: Path, headers: dict[str, str], key: str) -> None:
    """What no worker can read is a dead letter; the feed loses nothing by it."""
    garbage = Message(CHUNKS, key, b"\x00\xff", headers)
    events, dead = run(tmp_path, [*messages()[:2], garbage, *messages()[2:]])
    assert [(r.value, r.headers["strefer_dead_reason"] != "") for r in dead] == [(b"\x00\xff", True)]
    (error,) = [e for e in events if isinstance(e.body, Error)]
    assert isinstance(error.body, Error)
    assert (error.body.code, error.body.seq) == ("malformed", None)
    assert _plain([e for e in events if e is not error]) == _plain(calm())
    assert len({e.id for e in events}) == len(events)


def test_a_feed_of_garbage_only(tmp_path: Path) -> None:
    events, dead = run(tmp_path, [Message(CHUNKS, "feed", b"x", {})] * 2)
    assert [e.type for e in events] == ["error", "error"]
    assert len(dead) == 2
