"""Queries and regions posted while the feed runs: answered by the next chunk, and still there after a restart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path

import pytest

from stream.cli import main
from stream.decode.pyav import PyAVDecoder
from stream.events import EntityAppeared, Error, Event, FeedEnded, QueryAmbiguous, QueryBound, QueryUnbound
from stream.log import CHUNKS, QUERIES, Log, Message
from stream.log.sqlite import SqliteLog
from stream.pipeline import Options, Pipeline
from stream.runtime import settle
from stream.worker import Worker
from tests.running import events_of, messages_of, networks, send_all, work

SCENE = "synthetic:two-people?seconds=6&size=320x180&fps=24"
WIDTH = 320
INTERVAL = Options(detect_every_us=450_000)
"""Three looks a chunk: an answer within the first chunk came within two intervals of its beginning."""

pytestmark = pytest.mark.slow


@cache
def messages() -> tuple[Message, ...]:
    return messages_of(SCENE)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqliteLog]:
    with closing(SqliteLog(tmp_path)) as made:
        send_all(made, messages())
        yield made


def steps(log: Log, count: int) -> None:
    """A worker of its own that does `count` messages."""
    settle()
    with closing(Worker(log, Pipeline(networks(), INTERVAL), PyAVDecoder())) as worker:
        for _ in range(count):
            assert worker.step(timeout_s=10) is not None


def told(events: Sequence[Event], query: str) -> list[Event]:
    kinds = QueryBound | QueryUnbound | QueryAmbiguous
    return [e for e in events if isinstance(e.body, kinds) and e.body.query == query]


def strefer(log_folder: Path, *arguments: str) -> None:
    assert main(["query", *arguments, "--log", str(log_folder)]) == 0


def test_asked_while_it_runs(log: SqliteLog, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settle()
    with closing(Worker(log, Pipeline(networks(), INTERVAL), PyAVDecoder())) as worker:
        for _ in range(3):
            assert worker.step(timeout_s=10) is not None
        strefer(tmp_path, "add", "--feed", "feed", "the person on the left", "--id", "left")
        assert worker.step(timeout_s=10) is not None  # its chunk was in hand, and scanned ahead, already
    (bound,) = told(events_of(log, "feed"), "left")
    assert isinstance(bound.body, QueryBound)
    assert (bound.seq, bound.body.text) == (3, "the person on the left")
    capsys.readouterr()
    strefer(tmp_path, "list")
    assert f"entity {bound.body.entities[0]} (the person" in capsys.readouterr().out
    # another worker goes on: still bound, and said once
    steps(log, 1)
    assert told(events_of(log, "feed"), "left") == [bound]
    strefer(tmp_path, "remove", "left")
    work(log, INTERVAL)
    events = events_of(log, "feed")
    _, unbound = told(events, "left")
    assert isinstance(unbound.body, QueryUnbound)
    assert (unbound.seq, unbound.body.entities, unbound.body.reason) == (5, bound.body.entities, "removed")
    assert isinstance(events[-1].body, FeedEnded)


def test_a_bad_query_stops_nothing(log: SqliteLog) -> None:
    with log.transaction() as tx:
        tx.send(Message(QUERIES, "*/bad", b'{"text": 7'))
        tx.send(Message(QUERIES, "feed/good", b'{"text": "the people"}'))
    steps(log, 2)
    work(log, INTERVAL)
    events = events_of(log, "feed")
    (error,) = [e.body for e in events if isinstance(e.body, Error)]
    assert (error.stage, error.code) == ("query", "malformed")
    assert told(events, "good")
    assert len({e.id for e in events}) == len(events)


def test_a_query_of_a_region_and_a_mask(log: SqliteLog, tmp_path: Path) -> None:
    strefer(tmp_path, "add", "--feed", "feed", "the people", "--id", "right", "--roi", "0.5,0,1,1")
    strefer(tmp_path, "add", "--feed", "feed", "the people", "--id", "all")
    steps(log, 3)
    events = events_of(log, "feed")
    everybody = [e.body for e in events if isinstance(e.body, EntityAppeared) and e.body.category == "person"]
    assert len(everybody) == 2
    (right, *_), (all_of_them, *_) = told(events, "right"), told(events, "all")
    assert isinstance(right.body, QueryBound)
    assert isinstance(all_of_them.body, QueryBound)
    assert len(right.body.entities) == 1
    final = told(events, "all")[-1].body
    assert isinstance(final, QueryBound)
    assert len(final.entities) == 2


def test_nothing_is_found_outside_of_the_mask(log: SqliteLog, tmp_path: Path) -> None:
    strefer(tmp_path, "add", "--feed", "feed", "--roi", "0.5,0,1,1")
    steps(log, 2)
    found = [e.body for e in events_of(log, "feed") if isinstance(e.body, EntityAppeared)]
    assert found
    assert [f for f in found if (f.bbox[0] + f.bbox[2]) / 2 < 0.45 * WIDTH] == []


def test_chunks_topic_is_what_we_think(log: SqliteLog) -> None:
    assert len(list(log.read(CHUNKS))) == 7, "six chunks and the end"
