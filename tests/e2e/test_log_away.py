"""A log out of reach now and then, also after a commit: the worker waits and goes on, and the events are those of a
calm run."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from producers.produce import produce
from producers.sources import open_sources
from stream import worker as workers
from stream.decode.pyav import PyAVDecoder
from stream.log import ANNOTATIONS, DEADLETTER
from stream.log.sqlite import SqliteLog
from stream.pipeline import Pipeline
from stream.runtime import settle
from stream.worker import Worker
from tests.away import AwayLog, Weather
from tests.running import drain, networks, post_queries, work

FEEDS = {
    "door": "synthetic:exit-reentry?seconds=5&size=320x180&fps=5",
    "street": "synthetic:cut?seconds=5&size=320x180&fps=5",
}

pytestmark = pytest.mark.slow


def fill(log: SqliteLog) -> None:
    for feed, scene in FEEDS.items():
        post_queries(log, feed, ["the person in red"])
        produce(open_sources([scene]), feed, log)


def told(log: SqliteLog) -> list[tuple[str, str, bytes]]:
    records = [r for r in log.read(ANNOTATIONS) if r.headers["ce_type"] != "chunk.done"]
    return sorted((r.key, r.headers["ce_id"], r.value) for r in records)


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str, bytes]]:
    with closing(SqliteLog(tmp_path_factory.mktemp("calm"))) as log:
        fill(log)
        work(log)
        return told(log)


@pytest.mark.parametrize("every", [5, 7])
def test_events_are_those_of_a_calm_run(
    calm: list[tuple[str, str, bytes]], tmp_path: Path, every: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(workers, "LONGEST_PAUSE_S", 0.002)
    weather = Weather(every)
    settle()
    with closing(SqliteLog(tmp_path)) as log:
        fill(log)
        with closing(Worker(AwayLog(log, weather), Pipeline(networks()), PyAVDecoder())) as worker:
            drain(worker, log)
        assert told(log) == calm
        assert not list(log.read(DEADLETTER)), "nothing that was done is taken for a replay"
    assert set(weather.raised) >= {"poll", "table", "latest", "rewind", "before the commit", "after the commit"}


def test_the_pause_grows_and_leaves_room_to_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that only sleep moves."""
    now_s, slept_s = [0.0], list[float]()

    def sleep(seconds: float) -> None:
        slept_s.append(seconds)
        now_s[0] += seconds

    monkeypatch.setattr(workers, "time", SimpleNamespace(monotonic=lambda: now_s[0], sleep=sleep))
    settle()
    with closing(SqliteLog(tmp_path)) as log:
        weather = Weather(1)
        with closing(Worker(AwayLog(log, weather), Pipeline(networks()), PyAVDecoder())) as worker:
            while now_s[0] < 2.0:
                assert worker.step(timeout_s=0.05) is None
    assert max(slept_s) <= 0.05, "who wants to stop is not kept waiting for the whole pause"
    assert len(slept_s) > 20
    assert 2 <= len(weather.raised) <= 4, "asked at 0, 0.5 and 1.5 s"
