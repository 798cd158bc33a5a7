"""A log that is away: files wait, a live feed waits in its spool, and what comes through is that of a calm run."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from chunks import MemoryLog, MemoryWriter

from engines.errors import UserError
from producers import spool as spools
from producers import state as states
from producers.piece import Piece
from producers.produce import Produced, produce
from producers.sources import open_sources
from producers.spool import Spooling
from stream.chunk import ChunkHeader, EndHeader, GapHeader, decode_header
from stream.log import CHUNKS, STATE, Log, LogAwayError, Record, Writer
from stream.log.sqlite import SqliteLog
from tests.away import Weather

SCENE = "synthetic:cut?seconds=6&size=64x64&fps=5"
Told = list[tuple[str, bytes]]


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(states, "LONGEST_PAUSE_S", 0.01)
    monkeypatch.setattr(spools, "LAST_S", 0.2)


class StormyLog:
    """A producer's log, that is away by `Weather`: where a writer begins, where it reads, before and after commits."""

    def __init__(self, inner: Log | MemoryLog, weather: Weather) -> None:
        self.inner, self.weather = inner, weather

    def writer(self, name: str) -> StormyWriter:
        self.weather.ask("writer")
        return StormyWriter(self.inner.writer(name), self.weather)

    def latest(self, topic: str, key: str) -> Record | None:
        self.weather.ask("latest")
        return self.inner.latest(topic, key)


class StormyWriter:
    def __init__(self, inner: Writer | MemoryWriter, weather: Weather) -> None:
        self.inner, self.weather = inner, weather

    @contextmanager
    def transaction(self) -> Iterator[object]:
        with self.inner.transaction() as transaction:
            yield transaction
            self.weather.ask("before the commit")
        self.weather.ask("after the commit")

    def close(self) -> None:
        self.inner.close()


class Switch(Weather):
    """Away while `down` is set. Sets `tired` once it was asked three times in vain."""

    def __init__(self, tired: threading.Event | None = None, *, down: bool = False) -> None:
        super().__init__(1)
        self.down, self.tired = down, tired

    def ask(self, what: str) -> None:
        if self.down:
            if self.tired is not None and len(self.raised) >= 2:
                self.tired.set()
            super().ask(what)


class Camera:
    """A scene as a camera would show it."""

    name, identity, live, seconds = "camera", "camera", True, None

    def __init__(self, scene: str = SCENE, each: Callable[[int], None] = lambda number: None) -> None:
        (self._scene,), self._each = open_sources([scene]), each

    def pieces(self, *, limit_s: float, stop: threading.Event) -> Iterator[Piece]:
        for number, piece in enumerate(self._scene.pieces(limit_s=limit_s, stop=stop)):
            assert isinstance(piece, Piece)
            self._each(number)
            yield piece


def told(log: Log | MemoryLog) -> Told:
    if isinstance(log, MemoryLog):
        return [(m.headers["strefer_header"], m.value) for m in log.messages if m.topic == CHUNKS]
    return [(r.headers["strefer_header"], r.value) for r in log.read(CHUNKS, key="f")]


def run(log: object, *sources: object, **options: object) -> Produced:
    return produce(sources or open_sources([SCENE]), "f", log, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def calm() -> Told:
    log = MemoryLog()
    run(log)
    assert len(told(log)) == 7
    return told(log)


def soon(what: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not what():
        assert time.monotonic() < until
        time.sleep(0.005)


@pytest.mark.parametrize("spooled", [False, True])
@pytest.mark.parametrize("every", [2, 3])
def test_away_now_and_then(calm: Told, tmp_path: Path, every: int, spooled: bool) -> None:
    weather = Weather(every)
    with closing(SqliteLog(tmp_path / "log")) as log:
        run(StormyLog(log, weather), spooling=Spooling(tmp_path / "spool") if spooled else None)
        assert told(log) == calm
    assert set(weather.raised) >= {"writer", "latest", "before the commit", "after the commit"}


def test_a_file_that_waits_can_be_stopped_and_goes_on(calm: Told) -> None:
    log, stop = MemoryLog(), threading.Event()
    weather = Switch(tired=stop)

    def outage(done: float, total: float | None) -> None:
        weather.down = done >= 3

    with pytest.raises(LogAwayError):
        run(StormyLog(log, weather), progress=outage, stop=stop)
    assert len(told(log)) == 3
    assert len(weather.raised) == 3
    assert run(log) == Produced(3, "end")
    assert told(log) == calm


def test_away_at_the_start_can_be_stopped() -> None:
    stop = threading.Event()
    weather = Switch(tired=stop, down=True)
    with pytest.raises(LogAwayError):
        run(StormyLog(MemoryLog(), weather), stop=stop)
    assert len(weather.raised) == 3


@pytest.mark.parametrize("spooled", [False, True])
def test_another_producer_began_while_the_log_was_away(tmp_path: Path, spooled: bool) -> None:
    log, weather = MemoryLog(), Switch()

    def intrude(number: int) -> None:
        if number == 2:
            soon(lambda: len(told(log)) == 2)
            weather.down = True
            run(log, *open_sources(["synthetic:cut?seconds=2&size=64x64&fps=5"]))
            threading.Timer(0.05, setattr, (weather, "down", False)).start()

    spooling = Spooling(tmp_path) if spooled else None
    with pytest.raises(UserError, match="another producer has begun to write feed 'f'"):
        run(StormyLog(log, weather), Camera(each=intrude), spooling=spooling)
    assert [type(h) for h in log.headers()] == [ChunkHeader] * 4 + [EndHeader]


def test_a_camera_is_taken_in_while_the_log_is_away(tmp_path: Path) -> None:
    log, weather = MemoryLog(), Switch()
    seen: list[int] = []

    def outage(number: int) -> None:
        seen.append(len(told(log)))
        if number == 1:
            soon(lambda: len(told(log)) == 1)
            weather.down = True
        if number == 5:
            weather.down = False

    assert run(StormyLog(log, weather), Camera(each=outage), spooling=Spooling(tmp_path)) == Produced(6, "end")
    assert seen[2:] == [1] * 4, "all were taken in, none came through"
    assert [type(h) for h in log.headers()] == [ChunkHeader] * 6 + [EndHeader]
    assert [len(values) for values in (log.times_us(), set(log.times_us()))] == [30, 30]
    assert not any("spool" in name for m in log.messages for name in m.headers)
    with closing(SqliteLog(tmp_path / "f")) as queue:
        assert not list(queue.read(CHUNKS)), "what came through is deleted"
        (state,) = queue.table(STATE).values()
    assert state == next(m.value for m in reversed(log.messages) if m.topic == STATE)


def stopped_while_away(folder: Path, log: MemoryLog, *, before: int = 2, scene: str = SCENE) -> None:
    """Six chunks and the end, of which `before` came through."""
    weather, stop = Switch(), threading.Event()

    def outage(number: int) -> None:
        if number == before:
            soon(lambda: len(told(log)) == before)
            weather.down = True
        if number == 5:
            threading.Timer(0.3, stop.set).start()

    begun = time.monotonic()
    run(StormyLog(log, weather), Camera(scene, each=outage), spooling=Spooling(folder), stop=stop)
    assert time.monotonic() - begun < 5
    assert len(told(log)) == before


@pytest.mark.slow
def test_what_waits_at_a_stop_is_sent_by_the_next_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = MemoryLog()
    stopped_while_away(tmp_path, log)
    assert "5 messages wait in the spool" in capsys.readouterr().out
    assert run(log, Camera(), spooling=Spooling(tmp_path)) == Produced(6, "end")
    kinds = [type(h) for h in log.headers()]
    assert kinds == ([ChunkHeader] * 6 + [EndHeader]) * 2
    times = log.times_us()
    assert times == [200_000 * i for i in range(60)]


@pytest.mark.slow
@pytest.mark.parametrize("lost", ["spool", "log"])
def test_a_lost_spool_or_log_does_not_begin_at_0(tmp_path: Path, lost: str) -> None:
    log = MemoryLog()
    run(log, Camera(), spooling=Spooling(tmp_path))
    if lost == "spool":
        shutil.rmtree(tmp_path / "f")
        after = log
    else:
        after = MemoryLog()
    run(after, Camera(), spooling=Spooling(tmp_path))
    seqs = [decode_header(dict(m.headers)).seq for m in after.messages if m.topic == CHUNKS]
    assert seqs == list(range(0 if lost == "spool" else 7, 14))


@pytest.mark.slow
def test_a_spool_that_another_machine_has_overtaken_is_dropped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = MemoryLog()
    stopped_while_away(tmp_path, log)
    assert run(log, Camera("synthetic:cut?seconds=2&size=64x64&fps=5")).chunks == 2
    run(log, Camera(), spooling=Spooling(tmp_path))
    assert "has gone on without the 5 messages" in capsys.readouterr().out
    assert [type(h) for h in log.headers()] == [ChunkHeader] * 4 + [EndHeader] + [ChunkHeader] * 6 + [EndHeader]
    assert log.times_us() == [200_000 * i for i in range(50)]


@pytest.fixture(scope="module")
def chunk_bytes(calm: Told) -> int:
    return max(len(value) for _, value in calm)


def test_a_full_spool_leaves_one_gap(tmp_path: Path, chunk_bytes: int) -> None:
    log, weather = MemoryLog(), Switch()

    def outage(number: int) -> None:
        if number == 1:
            soon(lambda: len(told(log)) == 1)
            weather.down = True
        if number == 9:
            weather.down = False
            soon(lambda: len(told(log)) == 3)

    camera = Camera("synthetic:cut?seconds=11&size=64x64&fps=5", outage)
    spooling = Spooling(tmp_path, round(2.5 * chunk_bytes))
    assert run(StormyLog(log, weather), camera, spooling=spooling) == Produced(5, "end")
    gap = GapHeader(feed="f", seq=3, start_us=3_000_000, end_us=9_000_000, reason="spool is full")
    assert log.headers()[3] == gap
    assert [type(h) for h in log.headers()] == [ChunkHeader] * 3 + [GapHeader] + [ChunkHeader] * 2 + [EndHeader]
    assert [c.header.start_us // 1_000_000 for c in log.chunks()] == [0, 1, 2, 9, 10]


@pytest.mark.slow
def test_a_spool_full_at_the_end_tells_the_gap_before_it(tmp_path: Path, chunk_bytes: int) -> None:
    log, weather, stop = MemoryLog(), Switch(), threading.Event()

    def outage(number: int) -> None:
        weather.down = True
        if number == 5:
            threading.Timer(0.1, stop.set).start()

    spooling = Spooling(tmp_path, round(2.5 * chunk_bytes))
    run(StormyLog(log, weather), Camera(each=outage), spooling=spooling, stop=stop)
    assert not told(log)
    run(log, Camera(), spooling=spooling)
    assert [type(h) for h in log.headers()][:4] == [ChunkHeader, ChunkHeader, GapHeader, EndHeader]
    assert log.times_us()[10] == 6_000_000


def test_a_file_waits_for_room(calm: Told, tmp_path: Path, chunk_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("producers.produce.ROOM_PAUSE_S", 0.01)
    with closing(SqliteLog(tmp_path / "log")) as log:
        run(StormyLog(log, Weather(2)), spooling=Spooling(tmp_path, round(1.1 * chunk_bytes)))
        assert told(log) == calm


def test_a_disk_that_is_almost_full_counts_as_a_full_spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spools, "SPARE_BYTES", 1 << 62)
    log = MemoryLog()
    assert run(log, Camera(), spooling=Spooling(tmp_path)).chunks == 0
    assert [type(h) for h in log.headers()] == [GapHeader, EndHeader]


def test_what_the_log_refuses_ends_the_producer(tmp_path: Path) -> None:
    class Refusing(MemoryLog):
        def writer(self, name: str) -> Writer:  # type: ignore[override]
            class Refused:
                def transaction(self) -> object:
                    raise UserError("a message is larger than its topic allows")

            return Refused()  # type: ignore[return-value]

    with pytest.raises(UserError, match="larger than its topic"):
        run(Refusing(), spooling=Spooling(tmp_path))


@pytest.mark.parametrize("feed", [".", ".."])
def test_feeds_that_are_no_folder(feed: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="dots alone"):
        produce(open_sources([SCENE]), feed, MemoryLog(), spooling=Spooling(tmp_path))  # type: ignore[arg-type]


PROGRAM = """
import sys
import time
from pathlib import Path
from producers import state
from producers.produce import produce
from producers.sources import open_sources
from producers.spool import Spooling
from stream.log.sqlite import SqliteLog
from test_spool import StormyLog
from tests.away import Weather
state.FIRST_PAUSE_S, state.LONGEST_PAUSE_S = 0.01, 0.05
log = SqliteLog(Path(sys.argv[1]) / "log")
slow = lambda *_: time.sleep(0.02)
produce(
    open_sources(sys.argv[2:]), "f", StormyLog(log, Weather(3)), spooling=Spooling(Path(sys.argv[1])), progress=slow
)
"""
KILLED = "synthetic:cut?seconds=40&size=64x64&fps=5"


def program(folder: Path) -> subprocess.Popen[bytes]:
    root = Path(__file__).parents[2]
    path = os.pathsep.join([str(root), str(Path(__file__).parent)])
    command = [sys.executable, "-c", PROGRAM, str(folder), KILLED]
    return subprocess.Popen(command, cwd=root, env={**os.environ, "PYTHONPATH": path})


@pytest.mark.slow
def test_killed_again_and_again(tmp_path: Path) -> None:
    whole = MemoryLog()
    run(whole, *open_sources([KILLED]))
    kills, spooled = 0, 0
    with closing(SqliteLog(tmp_path / "log")) as log:
        for _ in range(50):
            process, had = program(tmp_path), len(told(log))
            if kills < 3:
                soon_or_ended(lambda had=had, process=process: len(told(log)) >= had + 6 or process.poll() is not None)  # type: ignore[misc]
                process.send_signal(signal.SIGKILL)
                process.wait()
                kills += 1
                with closing(SqliteLog(tmp_path / "f")) as queue:
                    spooled += len(list(queue.read(CHUNKS)))
                continue
            assert process.wait(60) == 0
            break
        assert told(log) == told(whole)
    assert spooled > 0


def soon_or_ended(what: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not what():
        assert time.monotonic() < until
        time.sleep(0.005)
