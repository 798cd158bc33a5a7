"""Rewriting: answers that are kept, the rate, a run that is killed, misuse."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from random import Random

import pytest

from instruct.pace import Pace
from stream.cli import main
from tests.chat_server import Reply, failure, serving
from tests.instruct.rewording import BEHAVES, LIMIT, Told, asked_pairs, rewritten, texts


@pytest.mark.slow
def test_a_run_that_was_killed_asks_nothing_twice(annotated: Path, tmp_path: Path) -> None:
    hang, lock, seen = threading.Event(), threading.Lock(), [0]

    def some(asked: Told) -> Reply:
        with lock:
            seen[0] += 1
            late = seen[0] > 3
        if late and not hang.is_set():
            hang.wait(20)
            return failure(500)
        return BEHAVES(asked)

    with serving(some) as served:
        command = [sys.executable, "-c", "import sys; from stream.cli import main; sys.exit(main(sys.argv[1:]))"]
        arguments = ["instruct", annotated, "--out", tmp_path / "o", "--limit", LIMIT, "--llm", served.url,
                     "--llm-model", "m", "--llm-cache", tmp_path / "cache"]  # fmt: skip
        run = subprocess.Popen([*command, *map(str, arguments)], env=os.environ | {"PYTHONPATH": str(Path.cwd())})
        deadline = time.monotonic() + 30
        while _kept(tmp_path / "cache") < 24 and time.monotonic() < deadline:
            time.sleep(0.05)
        run.send_signal(signal.SIGKILL)
        run.wait()
        answered = [p for asked in served.asked[:3] for p in asked_pairs(asked)]
        assert not (tmp_path / "o").exists()
        hang.set()
        first = len(served.asked)
        assert rewritten(annotated, tmp_path / "o", served.url, "--quiet") == 0
        again = {p["question"] + p["answer"] for asked in served.asked[first:] for p in asked_pairs(asked)}
    assert not again & {p["question"] + p["answer"] for p in answered}
    assert {source for *_, source in texts(tmp_path / "o")} == {"llm"}


def _kept(cache: Path) -> int:
    try:
        with sqlite3.connect(cache / "rewrites.sqlite") as base:
            n = int(base.execute("select count(*) from answers").fetchone()[0])
        base.close()
    except sqlite3.Error:
        return 0
    return n


@pytest.mark.parametrize("content", [b"no database", b"SQLite format 3\0" + b"\xff" * 5000], ids=["text", "damaged"])
def test_a_damaged_cache_is_one_line(
    content: bytes, annotated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "rewrites.sqlite").write_bytes(content)
    with serving(BEHAVES) as served:
        assert rewritten(annotated, tmp_path / "o", served.url) == 2
        assert not served.asked
    (line,) = capsys.readouterr().err.splitlines()
    assert "remove that file, or name another --llm-cache" in line
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("keep", [4096, 9000, -1], ids=["first page", "half a page", "nearly all"])
def test_a_cache_that_was_cut_off_is_one_line_or_goes_on(
    keep: int, annotated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(BEHAVES) as served:
        assert rewritten(annotated, tmp_path / "a", served.url, "--quiet") == 0
        path = tmp_path / "cache" / "rewrites.sqlite"
        path.write_bytes(path.read_bytes()[:keep])
        capsys.readouterr()
        code = rewritten(annotated, tmp_path / "b", served.url, "--quiet")
    err = capsys.readouterr().err
    assert (code, err.count("\n")) in ((2, 1), (0, 0))
    assert code or texts(tmp_path / "a") == texts(tmp_path / "b")


def test_a_damaged_entry_is_asked_again(annotated: Path, tmp_path: Path) -> None:
    with serving(BEHAVES) as served:
        assert rewritten(annotated, tmp_path / "a", served.url, "--quiet") == 0
        first = len(served.asked)
        with sqlite3.connect(tmp_path / "cache" / "rewrites.sqlite") as base:
            base.execute("update answers set question = null where key = (select min(key) from answers)")
        base.close()
        assert rewritten(annotated, tmp_path / "b", served.url, "--quiet") == 0
    assert [len(asked_pairs(a)) for a in served.asked[first:]] == [1]
    assert texts(tmp_path / "a") == texts(tmp_path / "b")


def test_a_cache_that_cannot_be_written_is_one_line(
    annotated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cache").touch()
    assert rewritten(annotated, tmp_path / "o", "http://127.0.0.1:9/v1") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot keep answers in" in line


class Clock:
    """Moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


def test_no_minute_holds_more_requests_than_the_rate() -> None:
    clock = Clock()
    pace = Pace(6, clock, clock.sleep)
    begun = []
    for i in range(40):
        clock.now_s += Random(i).random() * 5
        pace.wait()
        begun.append(clock.now_s)
        if i % 7 == 3:
            pace.count()  # one that was sent again
            begun.append(clock.now_s)
    assert all(b - a >= 60 - 1e-9 for a, b in zip(begun, begun[7:], strict=False))
    assert begun[-1] < 48 / 6 * 60 + 60


def test_without_a_rate_nobody_waits() -> None:
    clock = Clock()
    pace = Pace(0, clock, clock.sleep)
    for _ in range(1000):
        pace.wait()
        pace.count()
    assert clock.now_s == 0


def test_the_rate_is_kept_by_what_is_asked(annotated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr("instruct.cli_rewrite.Pace", lambda n: Pace(n, clock, clock.sleep))
    with serving(failure(503), BEHAVES) as served:
        assert rewritten(annotated, tmp_path / "o", served.url, "--llm-rate", "2", "--quiet") == 0
    assert clock.now_s >= 60 * ((len(served.asked) - 1) // 2 - 1)
    assert {source for *_, source in texts(tmp_path / "o")} == {"llm"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--llm", "http://127.0.0.1:9/v1"], "wants --llm-model"),
        (["--llm-model", "m"], "wants --llm"),
        (["--llm", "http://me:pw@host/v1", "--llm-model", "m"], "STREFER_LLM_KEY"),
        (["--llm", "localhost", "--llm-model", "m"], "is no http or https address"),
        (["--llm-budget", "0"], "--llm-budget"),
        (["--llm-rate", "0"], "--llm-rate"),
        (["--llm-deadline", "inf"], "--llm-deadline"),
    ],
)
def test_misuse_is_one_line(
    options: list[str], said: str, annotated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["instruct", str(annotated), "--out", str(tmp_path / "o"), *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert "pw" not in line
    assert not (tmp_path / "o").exists()


def test_the_key_comes_from_the_environment(annotated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREFER_LLM_KEY", "secret-key")
    with serving(BEHAVES) as served:
        assert rewritten(annotated, tmp_path / "o", served.url, "--quiet") == 0
    assert {h["authorization"] for h in served.headers} == {"Bearer secret-key"}
    files = (p for p in tmp_path.rglob("*") if p.is_file())
    assert not any(b"secret-key" in p.read_bytes() for p in files)
