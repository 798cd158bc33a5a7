"""Several feeds followed side by side by one worker: the same events, and nothing lost that was under way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest

from producers.produce import produce
from producers.sources import open_sources
from stream.chunk import ChunkHeader
from stream.decode.pyav import PyAVDecoder
from stream.events import Body, ChunkDone, Error, FeedEnded
from stream.expression import Expression
from stream.lanes import Lanes
from stream.log import CHUNKS, Message
from stream.log.sqlite import SqliteLog
from stream.pipeline import Pipeline
from stream.runtime import settle
from stream.scan import Scanning
from stream.state import FeedState
from stream.worker import GROUP, Worker
from tests.running import drain, events_of, messages_of, networks, post_queries

SCENES = {
    "a": "synthetic:cut?seconds=3&size=192x108&fps=10",
    "b": "synthetic:two-people?seconds=4&size=160x90&fps=12",
    "c": "synthetic:exit-reentry?seconds=3&size=192x108&fps=10",
    "d": "synthetic:cut?seconds=2&size=96x64&fps=10",
}


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqliteLog]:
    settle()
    with closing(SqliteLog(tmp_path)) as made:
        yield made


def post(log: SqliteLog) -> None:
    """All scenes, chunk by chunk in turn; the third of `b` is damaged."""
    queues = {feed: list(messages_of(scene)) for feed, scene in SCENES.items()}
    queues["b"][2] = replace(queues["b"][2], value=queues["b"][2].value[:-200] + bytes(200))
    while any(queues.values()):
        for feed in [feed for feed, queue in queues.items() if queue]:
            message = queues[feed].pop(0)
            header = message.headers["strefer_header"].replace('"feed":"feed"', f'"feed":"{feed}"')
            headers = {**message.headers, "strefer_header": header}
            with log.transaction() as tx:
                tx.send(Message(CHUNKS, feed, message.value, headers))


def told(log: SqliteLog, feed: str) -> list[tuple[str, Body]]:
    """Events by id, but for what depends on the clock."""
    return [(e.id, e.body) for e in events_of(log, feed) if not isinstance(e.body, ChunkDone)]


@pytest.mark.slow
def test_events_are_the_same_with_any_number_of_lanes(tmp_path: Path) -> None:
    settle()
    found = []
    for lanes in (1, 2, 4):
        with closing(SqliteLog(tmp_path / str(lanes))) as log:
            post(log)
            with closing(Worker(log, Pipeline(networks()), PyAVDecoder(), lanes=lanes)) as worker:
                drain(worker, log)
            found.append({feed: told(log, feed) for feed in SCENES})
    assert found[0] == found[1] == found[2]
    for feed, events in found[0].items():
        bodies = [body for _, body in events]
        assert isinstance(bodies[-1], FeedEnded)
        assert sum(isinstance(body, Error) for body in bodies) == (feed == "b")


class Gate(Pipeline):
    """Chunks of feeds in `shut` are not followed to their end before `open` is set."""

    def __init__(self) -> None:
        super().__init__(networks())
        self.shut: set[str] = set()
        self.open = threading.Event()
        self.reached = threading.Event()

    def chunk(self, state: FeedState, header: ChunkHeader, scanning: Scanning) -> list[Body]:
        if state.feed in self.shut:
            self.reached.set()
            self.open.wait(60)
        return super().chunk(state, header, scanning)


@pytest.mark.slow
def test_who_shares_a_partition_with_a_slow_feed_is_not_lost(log: SqliteLog) -> None:
    """What was followed first is not committed before what came first: that offset would stand for both."""
    names = [f"feed{i}" for i in range(9)]
    for name in names:
        produce(open_sources(["synthetic:cut?seconds=1&size=64x64&fps=5"]), name, log)
    places = {r.key: r.partition for r in log.read(CHUNKS)}
    slow, quick = next((a, b) for a, b in combinations(names, 2) if places[a] == places[b])
    pipeline = Gate()
    pipeline.shut = {slow}
    worker = Worker(log, pipeline, PyAVDecoder(), lanes=9, session_s=0.5)
    others = [name for name in names if places[name] != places[slow]]
    done = set()
    while len(done) < len(others):
        one = worker.step(timeout_s=0.1)
        if one is not None and one.ended:
            done.add(one.feed)
    assert done == set(others), "the slow one holds up nobody of another partition"
    assert told(log, quick) == []
    pipeline.open.set()
    worker._hand.drop()  # it dies here: what was followed is not committed
    worker.close()
    with closing(Worker(log, Pipeline(networks()), PyAVDecoder(), session_s=0.5)) as after:
        drain(after, log)
    for name in names:
        ids = [e.id for e in events_of(log, name)]
        assert len(set(ids)) == len(ids)
        assert isinstance(events_of(log, name)[-1].body, FeedEnded)


@pytest.mark.slow
def test_what_is_under_way_of_a_lost_partition_is_let_go_of(log: SqliteLog) -> None:
    for feed, scene in SCENES.items():
        produce(open_sources([scene.replace("seconds=4", "seconds=2").replace("seconds=3", "seconds=2")]), feed, log)
    pipeline = Gate()
    pipeline.shut = {"a", "c"}
    with closing(Worker(log, pipeline, PyAVDecoder(), lanes=4, session_s=0.5)) as worker:
        worker.step(timeout_s=1.0)
        assert pipeline.reached.wait(30)
        log.forget_group(GROUP)  # as if it had been away for longer than its lease
        with closing(Worker(log, Pipeline(networks()), PyAVDecoder())) as other:
            drain(other, log)
        pipeline.open.set()
        for _ in range(100):
            if worker.step(timeout_s=0.05) is None and log.lag(GROUP, CHUNKS) == 0:
                break
    for feed in SCENES:
        ids = [e.id for e in events_of(log, feed)]
        assert len(set(ids)) == len(ids)
        assert isinstance(events_of(log, feed)[-1].body, FeedEnded)


def test_an_error_of_a_lane_is_the_worker_s(log: SqliteLog) -> None:
    class Broken(Pipeline):
        def chunk(self, state: FeedState, header: ChunkHeader, scanning: Scanning) -> list[Body]:
            raise RuntimeError("out of memory")

    produce(open_sources([SCENES["d"]]), "d", log)
    worker = Worker(log, Broken(networks()), PyAVDecoder(), lanes=2)
    with closing(worker), pytest.raises(RuntimeError, match="out of memory"):
        worker.step(timeout_s=1.0)
    assert log.lag(GROUP, CHUNKS) == 3, "nothing was committed"


def test_no_lane_is_refused() -> None:
    with pytest.raises(ValueError, match="0 lanes"):
        Lanes(0)


def test_one_feed_is_decoded_no_further_ahead_with_more_lanes(log: SqliteLog) -> None:
    for message in messages_of("synthetic:cut?seconds=8&size=64x64&fps=5"):
        with log.transaction() as tx:
            tx.send(message)
    pipeline = Gate()
    pipeline.shut = {"feed"}
    with closing(Worker(log, pipeline, PyAVDecoder(), lanes=4)) as worker:
        worker._fill(1.0)
        worker._take_up_next()
        assert pipeline.reached.wait(30)
        worker._fill(0.0)
        assert worker.in_hand == 8
        assert sum(one.frames is not None for one in worker._hand) == 2
        pipeline.open.set()


@pytest.mark.slow
def test_a_model_that_is_asked_how_a_query_reads_holds_up_its_own_feed_only(log: SqliteLog) -> None:
    class Slow(Pipeline):
        asked, go_on = threading.Event(), threading.Event()

        def read(self, state: FeedState, text: str, at_us: int) -> tuple[Expression | None, list[Body]]:
            self.asked.set()
            assert self.go_on.wait(60)
            return None, []

    pipeline = Slow(networks())
    names = [f"feed{i}" for i in range(9)]
    post_queries(log, "feed0", ["the person"])
    for name in names:
        produce(open_sources(["synthetic:cut?seconds=1&size=64x64&fps=5"]), name, log)
    places = {r.key: r.partition for r in log.read(CHUNKS)}
    others = {name for name in names if places[name] != places["feed0"]}
    with closing(Worker(log, pipeline, PyAVDecoder(), lanes=9)) as worker:
        ended = set()
        while ended != others:
            done = worker.step(timeout_s=0.1)
            if done is not None and done.ended:
                ended.add(done.feed)
        assert pipeline.asked.is_set()
        assert told(log, "feed0") == []
        pipeline.go_on.set()
        drain(worker, log)
    assert isinstance(events_of(log, "feed0")[-1].body, FeedEnded)
