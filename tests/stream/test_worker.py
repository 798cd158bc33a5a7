"""What a worker keeps in mind when its partitions change, and what it lets go of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from stream.chunk import EndHeader, encode_header
from stream.decode.pyav import PyAVDecoder
from stream.events import FeedEnded
from stream.log import CHUNKS, DEADLETTER, STATE, Message, Record
from stream.log.sqlite import SqliteLog
from stream.pipeline import Pipeline
from stream.worker import GROUP, Worker
from tests.running import drain, events_of, networks

FEEDS = [f"feed{i}" for i in range(16)]


class Asked(SqliteLog):
    """The embedded log, remembering whose states were read."""

    feeds: list[str]

    def latest(self, topic: str, key: str) -> Record | None:
        if topic == STATE:
            self.feeds.append(key)
        return super().latest(topic, key)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Asked]:
    with closing(Asked(tmp_path)) as made:
        made.feeds = []
        yield made


def end_all(log: SqliteLog, feeds: Sequence[str], seq: int) -> None:
    with log.transaction() as tx:
        for feed in feeds:
            tx.send(Message(CHUNKS, feed, b"", encode_header(EndHeader(feed=feed, seq=seq, at_us=seq, reason="end"))))


def work(worker: Worker) -> list[str]:
    """All there is to do for it; the feeds it did."""
    done = []
    for _ in range(3):  # a poll in which a partition was lost gives nothing
        while (one := worker.step(timeout_s=0.1)) is not None:
            done.append(one.feed)
    return done


@pytest.mark.slow
def test_states_of_partitions_that_stay_are_kept(log: Asked) -> None:
    with closing(Worker(log, Pipeline(networks()), PyAVDecoder())) as worker:
        end_all(log, FEEDS, 0)
        assert sorted(work(worker)) == sorted(FEEDS)
        assert sorted(log.feeds) == sorted(FEEDS), "each was read once"
        with closing(log.consumer(GROUP, [CHUNKS])) as other:
            assert work(worker) == []
            assert other.poll(max_records=1, timeout_s=1.0) == []
            end_all(log, FEEDS, 1)
            log.feeds.clear()
            mine = work(worker)
            assert 0 < len(mine) < len(FEEDS), "the other holds the rest"
            assert log.feeds == [], "what stayed is known"
        rest = work(worker)  # they come back, and may have moved on meanwhile
        assert sorted(mine + rest) == sorted(FEEDS)
        assert sorted(log.feeds) == sorted(rest)
    for feed in FEEDS:
        assert [e.seq for e in events_of(log, feed) if isinstance(e.body, FeedEnded)] == [0, 1]
    assert not list(log.read(DEADLETTER))


def test_what_is_in_hand_of_a_lost_partition_is_let_go_of(log: Asked) -> None:
    """Another does what this one had in hand already: no event is lost or doubled. (The group's offsets are forgotten
    with its members, so that the first message comes again: it is recognised, and no dead letter.)"""
    pipeline = Pipeline(networks())
    with closing(Worker(log, pipeline, PyAVDecoder(), session_s=0.5)) as worker:
        end_all(log, FEEDS, 0)
        end_all(log, FEEDS, 1)
        first = worker.step(timeout_s=1.0)
        assert first is not None
        log.forget_group(GROUP)  # as if it had been away for longer than its lease
        with closing(Worker(log, pipeline, PyAVDecoder())) as other:
            drain(other, log)
        end_all(log, FEEDS, 2)
        for _ in range(200):
            worker.step(timeout_s=0.05)
            if log.lag(GROUP, CHUNKS) == 0:
                break
    for feed in FEEDS:
        ids = [e.id for e in events_of(log, feed)]
        assert [e.seq for e in events_of(log, feed)] == [0, 1, 2]
        assert len(set(ids)) == len(ids)
    assert not list(log.read(DEADLETTER))
