"""Kill the programs with -9 at random moments: what is finally there equals a run that nobody killed, byte for byte."""

from __future__ import annotations

import random
import signal
import time
from contextlib import closing
from pathlib import Path

import pytest

from producers.produce import produce
from producers.sources import open_sources
from stream.events import decode_line
from stream.log import ANNOTATIONS, CHUNKS, DEADLETTER
from stream.log.sqlite import SqliteLog
from stream.worker import GROUP
from tests.e2e.programs import SESSION_S, commits, events, finish, kill_somewhere, start
from tests.engines.towers import build
from tests.media import samples
from tests.running import model_folder, post_queries, work

SCENE = "synthetic:exit-reentry?seconds=12&size=320x180&fps=15"
RESULTS = ("annotations.jsonl", "summary.json", "report.html")
KILLS = 5

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def annotate(source: str, out: Path) -> tuple[str, ...]:
    # short chunks: the clips have one GOP of many seconds, here they are re-encoded into several
    options = ("--query", "the person in red", "--query", "the girl", "--max-chunk", "1.0", "--quiet")
    return ("annotate", source, "--out", str(out), *options)


def result(out: Path) -> list[bytes]:
    return events((out / "annotations.jsonl").read_bytes())


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """The scene's events of a run that nobody killed."""
    out = tmp_path_factory.mktemp("clean")
    finish(start(*annotate(SCENE, out)))
    return result(out)


def test_two_runs_give_the_same_bytes(clean: list[bytes], tmp_path: Path) -> None:
    finish(start(*annotate(SCENE, tmp_path)))
    assert result(tmp_path) == clean
    kinds = {decode_line(line).type for line in clean}
    assert {"entity.appeared", "entity.exited", "entity.reentered", "masklet", "query.bound"} <= kinds


@pytest.mark.parametrize("seed", [1])
def test_annotate_killed_five_times(clean: list[bytes], tmp_path: Path, seed: int) -> None:
    _kill_and_finish(SCENE, tmp_path, random.Random(seed))
    assert result(tmp_path) == clean


def test_annotate_killed_five_times_on_a_real_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an image-text network: means of embeddings and opinions are state like all else."""
    models = tmp_path / "models"
    models.mkdir()
    for path in model_folder().iterdir():
        (models / path.name).symlink_to(path)
    build(models / "imagetext")
    monkeypatch.setenv("STREFER_MODELS", str(models))
    clip = str(samples() / "bedroom.mp4")
    finish(start(*annotate(clip, tmp_path / "clean")))
    assert any(b"imagetext: 0." in line for line in result(tmp_path / "clean"))
    _kill_and_finish(clip, tmp_path / "killed", random.Random(5))
    assert result(tmp_path / "killed") == result(tmp_path / "clean")


def _kill_and_finish(source: str, out: Path, dice: random.Random) -> None:
    for _ in range(KILLS):
        if not kill_somewhere([start(*annotate(source, out))], out / ".strefer", dice):
            for name in RESULTS:  # it was quicker than the kill: as if it had died while writing
                (out / name).unlink(missing_ok=True)
    finish(start(*annotate(source, out)))


def test_workers_killed_over_several_feeds(tmp_path: Path) -> None:
    feeds = {
        "door": "synthetic:exit-reentry?seconds=6&size=320x180&fps=15",
        "street": "synthetic:cut?seconds=6&size=320x180&fps=15",
        "hall": "synthetic:behind-pillar?seconds=5&size=320x180&fps=15&seed=2",
    }
    for name in ("clean", "killed"):
        with closing(SqliteLog(tmp_path / name)) as log:
            for feed, scene in feeds.items():
                post_queries(log, feed, ["the person in red"])
                produce(open_sources([scene]), feed, log)
    with closing(SqliteLog(tmp_path / "clean")) as log:
        work(log)
    dice, home = random.Random(4), tmp_path / "killed"
    worker = ("worker", "--log", str(home), "--drain", "--session", str(SESSION_S))
    for _ in range(KILLS):
        kill_somewhere([start(*worker), start(*worker, "--parallel", "3")], home, dice)
    last = [start(*worker), start(*worker, "--parallel", "3")]
    for process in last:
        finish(process)
    assert _logged(home) == _logged(tmp_path / "clean")
    with closing(SqliteLog(home)) as log:
        assert log.lag(GROUP, CHUNKS) == 0
        assert not list(log.read(DEADLETTER))


def _logged(home: Path) -> dict[str, list[tuple[str, bytes]]]:
    """By feed, all annotation events but `chunk.done`: (id, body)."""
    found: dict[str, list[tuple[str, bytes]]] = {}
    with closing(SqliteLog(home)) as log:
        for record in log.read(ANNOTATIONS):
            if record.headers["ce_type"] != "chunk.done":
                found.setdefault(record.key, []).append((record.headers["ce_id"], record.value))
    return found


def test_annotate_stopped_politely_goes_on(clean: list[bytes], tmp_path: Path) -> None:
    process = start(*annotate(SCENE, tmp_path))
    while commits(tmp_path / ".strefer") == 0 and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert not any((tmp_path / name).exists() for name in RESULTS), "half a result is none"
    finish(start(*annotate(SCENE, tmp_path)))
    assert result(tmp_path) == clean
