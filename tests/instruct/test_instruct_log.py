"""`strefer instruct` on a log, as whole programs; and datasets that are added to."""

from __future__ import annotations

import signal
import time
from contextlib import closing
from pathlib import Path

import pytest

from instruct.formats.jsonl import read
from stream.cli import main
from stream.events import Event, encode_body, encode_line
from stream.log.sqlite import SqliteLog
from tests.e2e.programs import start
from tests.instruct.test_instruct_stream import found, post, scene


def run(*arguments: str | Path) -> int:
    return main([str(a) for a in arguments])


def put(path: Path, events: list[Event]) -> Path:
    lines = [encode_line(e.headers(), encode_body(e.body)) + b"\n" for e in events]
    path.write_bytes(b"".join(lines))
    return path


def shards(out: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(out.glob("jsonl/*"))}


def test_what_is_new_is_added_in_shards_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events = scene("door", 0)
    file, out = tmp_path / "annotations.jsonl", tmp_path / "out"
    asked = ("instruct", file, "--out", out, "--add", "--clip", "4", "--mix", "all")
    put(file, events[: len(events) // 3])
    assert run(*asked) == 0
    first = shards(out)
    assert list(first) == ["train-00000.jsonl"]
    put(file, events)
    assert run(*asked) == 0
    second = shards(out)
    assert list(second) == ["train-00000.jsonl", "train-00001.jsonl"]
    assert second["train-00000.jsonl"] == first["train-00000.jsonl"]
    assert run(*asked) == 0
    assert shards(out) == second
    assert "0 pairs added" in capsys.readouterr().out
    whole = tmp_path / "whole"
    assert run("instruct", file, "--out", whole, "--clip", "4", "--mix", "all", "--quiet") == 0
    assert read(out / "jsonl") == read(whole / "jsonl")
    assert (out / "README.md").read_text() == (whole / "README.md").read_text()


def test_the_folder_one_stands_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, here = put(tmp_path / "a.jsonl", scene("door", 0)), tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    assert run("instruct", file, "--out", ".", "--quiet") == 0
    assert (here / "README.md").is_file()


def test_another_feed_is_added(tmp_path: Path) -> None:
    files = [put(tmp_path / f"{f}.jsonl", scene(f, i)) for i, f in enumerate(("door", "hall"))]
    for file in files:
        assert run("instruct", file, "--out", tmp_path / "out", "--add", "--formats", "jsonl,parquet,llava") == 0
    assert {p.feed for p in read(tmp_path / "out" / "jsonl")} == {"door", "hall"}
    assert len(list((tmp_path / "out").glob("*/train-0000[01].*"))) == 6


def test_a_run_that_was_killed_while_it_added_is_made_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, file = tmp_path / "out", put(tmp_path / "a.jsonl", scene("door", 0))
    other = put(tmp_path / "b.jsonl", scene("hall", 1))
    assert run("instruct", file, "--out", out, "--add", "--quiet") == 0
    mark = (out / ".strefer-instruct").read_bytes()
    assert run("instruct", other, "--out", out, "--add", "--quiet") == 0
    whole = shards(out)
    (out / ".strefer-instruct").write_bytes(mark)  # as if it had died after the shards and before the mark
    assert run("instruct", other, "--out", out, "--add", "--quiet") == 0
    assert shards(out) == whole


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ((), "nothing to read: give annotations"),
        (("{file}",), "--out is missing"),
        (("{file}", "--log", "{log}", "--out", "{out}"), "two sources"),
        (("--log", "{log}", "--limit", "9"), "--limit goes with --out"),
        (("--log", "{log}", "--llm", "http://127.0.0.1:9/v1", "--llm-model", "m"), "--llm goes with --out"),
        (("--log", "{log}", "--drain"), "holds no log"),
        (("{file}", "--out", "{out}", "--add", "--fresh"), "give one of them"),
        (("{file}", "--out", "{home}", "--add"), "is no dataset that --add can add to"),
    ],
)
def test_mistakes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...],
    line: str,
) -> None:  # fmt: skip
    monkeypatch.delenv("STREFER_KAFKA", raising=False)
    places = {"file": put(tmp_path / "a.jsonl", scene("door", 0, 60)), "log": tmp_path / "log",
              "out": tmp_path / "out", "home": tmp_path}  # fmt: skip
    assert run("instruct", *(a.format(**places) for a in arguments)) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert line in said


def test_other_formats_are_not_added(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = put(tmp_path / "a.jsonl", scene("door", 0))
    assert run("instruct", file, "--out", tmp_path / "out", "--add", "--quiet") == 0
    assert run("instruct", file, "--out", tmp_path / "out", "--add", "--formats", "parquet") == 2
    assert "--add wants the same --formats" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_program_that_is_killed_and_started_again_makes_each_pair_once(tmp_path: Path) -> None:
    home = tmp_path / "log"
    feeds = {f: scene(f, i) for i, f in enumerate(("door", "hall"))}
    with closing(SqliteLog(home)) as log:
        arguments = ("instruct", "--log", str(home), "--clip", "4", "--mix", "all", "--per-minute", "100000", "--quiet")
        running = start(*arguments)
        try:
            length = max(map(len, feeds.values()))
            for n, at in enumerate(range(0, length, length // 6)):
                for events in feeds.values():
                    post(log, events[at : at + length // 6])
                time.sleep(0.5)
                if n % 2:
                    running.kill()
                    running.wait()
                    running = start(*arguments)
            until = time.monotonic() + 90
            while sum(map(len, found(log).values())) == 0 or log.lag("strefer-instruct", "video.annotations"):
                assert time.monotonic() < until
                time.sleep(0.3)
            running.send_signal(signal.SIGTERM)
            assert running.wait(30) == 0
        finally:
            running.kill()
            running.wait()
        stream = found(log)
    whole = tmp_path / "whole"
    assert run("instruct", "--log", home, "--out", whole, "--clip", "4", "--mix", "all", "--per-minute", "100000",
               "--quiet") == 0  # fmt: skip
    from_log = read(whole / "jsonl")
    assert {f: [p for p in from_log if p.feed == f] for f in feeds} == stream
