"""A feed in the log: one time line, numbers without holes, and nothing lost or doubled by a restart."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from chunks import MemoryLog

from engines.errors import UserError
from producers.produce import Produced, produce
from producers.sources import Source, open_sources
from stream.chunk import ChunkHeader, EndHeader, Policy
from stream.log import CHUNKS, Log
from tests.media import Recipe, decode, make_video


def _run(log: MemoryLog, *specs: Path | str, **options: object) -> Produced:
    return produce(open_sources([str(s) for s in specs]), "f", log, **options)  # type: ignore[arg-type]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_video(tmp_path / "clip.mp4", Recipe(options={"bf": "2"}))


def test_one_file(clip: Path) -> None:
    log, heard = MemoryLog(), list[tuple[float, float | None]]()
    assert _run(log, clip, progress=lambda done, total: heard.append((done, total))) == Produced(3, "end")
    assert log.times_us() == [round(f.time * 1_000_000) for f in decode(clip)]
    assert heard == [(1.0, 3.0), (2.0, 3.0), (3.0, 3.0)]
    *chunks, end = log.headers()
    assert end == EndHeader(feed="f", seq=3, at_us=3_000_000, reason="end")
    assert all(isinstance(c, ChunkHeader) and c.codec == "h264" and c.rate == "25/1" for c in chunks)


class _Live:
    """A scene as a camera would show it."""

    name, identity, live, seconds = "camera", "camera", True, None

    def __init__(self, scene: Source) -> None:
        self.pieces = scene.pieces


@pytest.mark.parametrize(
    ("live", "policy", "expected"),
    [(False, None, "block"), (True, None, "latest"), (False, "degrade", "degrade"), (True, "block", "block")],
)
def test_chunks_carry_the_feeds_policy(live: bool, policy: Policy | None, expected: Policy) -> None:
    log = MemoryLog()
    (scene,) = open_sources(["synthetic:cut?seconds=1&size=64x64&fps=10"])
    produce([_Live(scene) if live else scene], "f", log, policy=policy)  # type: ignore[arg-type]
    assert [h.policy for h in log.headers() if isinstance(h, ChunkHeader)] == [expected]


def test_several_sources_share_a_time_line(clip: Path, tmp_path: Path) -> None:
    other = make_video(tmp_path / "other.ts", Recipe(container="mpegts", frames=30, codec="mpeg2video"))
    log = MemoryLog()
    _run(log, clip, other, "synthetic:cut?seconds=1&size=64x64&fps=10")
    times = log.times_us()
    assert len(times) == 75 + 30 + 10
    assert times == sorted(set(times))
    assert times[75] == 3_000_000
    assert times[105] == 4_200_000


def test_again_is_complete_and_appends_nothing(clip: Path) -> None:
    log = MemoryLog()
    _run(log, clip)
    before = len(log.messages)
    assert _run(log, clip) == Produced(0, "end", complete=True)
    assert len(log.messages) == before


def test_another_source_continues_the_feed(clip: Path, tmp_path: Path) -> None:
    other = make_video(tmp_path / "other.mp4", Recipe(frames=50))
    log = MemoryLog()
    _run(log, clip)
    assert _run(log, other).chunks == 2
    kinds = [type(h).__name__ for h in log.headers()]
    assert kinds == ["ChunkHeader"] * 3 + ["EndHeader"] + ["ChunkHeader"] * 2 + ["EndHeader"]
    assert log.times_us()[75] == 3_000_000


def test_stopped_and_started_again(clip: Path, tmp_path: Path) -> None:
    whole, log = MemoryLog(), MemoryLog()
    other = make_video(tmp_path / "other.mp4", Recipe(frames=60))
    _run(whole, clip, other)
    for stop_after in (1, 2, 4):
        stop = threading.Event()

        def at(done: float, total: float | None, stop: threading.Event = stop, after: int = stop_after) -> None:
            if done >= after:
                stop.set()

        assert _run(log, clip, other, stop=stop, progress=at).reason == "stopped"
    assert _run(log, clip, other).reason == "end"
    assert log.times_us() == whole.times_us()
    assert [c.data for c in log.chunks()] == [c.data for c in whole.chunks()]


def test_loop_goes_on_for_ever(clip: Path) -> None:
    log, stop = MemoryLog(), threading.Event()
    _run(log, clip, loop=True, stop=stop, progress=lambda done, _: stop.set() if done >= 10 else None)
    times = log.times_us()
    assert len(times) == 250
    assert {b - a for a, b in itertools.pairwise(times)} == {40_000}
    again = threading.Event()
    _run(log, clip, loop=True, stop=again, progress=lambda done, _: again.set() if done >= 13 else None)
    assert log.times_us() == [i * 40_000 for i in range(325)]


@pytest.mark.slow
def test_realtime_paces_by_presentation_time(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", Recipe(frames=30, gop=10))
    begun = time.monotonic()
    _run(MemoryLog(), path, realtime=True)
    assert 1.1 <= time.monotonic() - begun <= 8


@pytest.mark.slow
def test_stop_while_waiting(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", Recipe(frames=250, gop=250))
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    begun = time.monotonic()
    assert _run(MemoryLog(), path, realtime=True, stop=stop) == Produced(0, "stopped")
    assert time.monotonic() - begun < 8  # of ten


def test_broken_file_ends_with_error(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", Recipe(frames=100, container_options={"movflags": "+faststart"}))
    path.write_bytes(path.read_bytes()[:-4000])
    log = MemoryLog()
    assert _run(log, path).reason == "error"
    assert 60 <= len(log.times_us()) < 100
    assert _run(log, path) == Produced(0, "error", complete=True)


def test_second_producer_on_a_feed_is_told(clip: Path) -> None:
    log = MemoryLog()

    def intrude(done: float, total: float | None) -> None:
        if len(log.chunks()) == 1:
            _run(log, "synthetic:cut?seconds=1&size=64x64&fps=5")

    with pytest.raises(UserError, match="another producer has begun to write feed 'f'"):
        _run(log, clip, progress=intrude)
    log.headers()


@pytest.mark.parametrize("feed", ["", "a/b", "two words", "*", ".", "..", "a%2Fb", "a" * 201])
def test_bad_feed_names(feed: str, clip: Path) -> None:
    with pytest.raises(UserError, match="no name for a feed"):
        produce(open_sources([str(clip)]), feed, MemoryLog())  # type: ignore[arg-type]


def test_bad_bounds(clip: Path) -> None:
    with pytest.raises(UserError, match="between 0 and 3600"):
        _run(MemoryLog(), clip, max_chunk_s=0)


PROGRAM = """
import sys
import time
from pathlib import Path
from producers.produce import produce
from producers.sources import open_sources
from stream.log.sqlite import SqliteLog
slow = lambda *_: time.sleep(0.05)
produce(open_sources(sys.argv[2:]), "f", SqliteLog(Path(sys.argv[1])), progress=slow)
"""


def _program(folder: Path, specs: Sequence[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", PROGRAM, str(folder), *specs], cwd=Path(__file__).parents[2])


@pytest.mark.slow
def test_killed_at_random_moments(tmp_path: Path) -> None:
    """Killed with -9 again and again, the feed becomes that of a producer nobody killed."""
    from stream.log.sqlite import SqliteLog

    long = make_video(tmp_path / "a.mp4", Recipe(frames=250, gop=250, size=(640, 360), options={"preset": "ultrafast"}))
    many = make_video(tmp_path / "b.mp4", Recipe(frames=500, gop=25))
    specs, chance = [str(many), str(long), str(many)], random.Random(os.environ.get("STREFER_TEST_SEED", "5"))
    whole = MemoryLog()
    _run(whole, *specs)
    kills = 0
    for _ in range(200):
        process = _program(tmp_path / "log", specs)
        try:
            process.wait(timeout=chance.uniform(0.5, 1.5) + 0.1 * kills)
            break
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
    assert kills >= 2
    log: Log = SqliteLog(tmp_path / "log")
    got = [(r.headers["strefer_header"], r.value) for r in log.read(CHUNKS, key="f")]
    log.close()
    assert got == [(m.headers["strefer_header"], m.value) for m in whole.messages if m.topic == CHUNKS]
