"""`strefer produce` from the outside."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from engines.errors import UserError
from producers.cli import _spooling, produce
from producers.spool import Spooling
from producers.truth import read_truth
from stream.chunk import ChunkHeader, decode_header
from stream.log import CHUNKS
from stream.log.sqlite import SqliteLog

SCENE = "synthetic:cut?seconds=2&size=64x64&fps=10"


def test_scene_with_its_truth(tmp_path: Path) -> None:
    arguments = [SCENE, "--feed", "a", "--log", str(tmp_path / "log"), "--ground-truth", str(tmp_path / "t.jsonl")]
    done = CliRunner().invoke(produce, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    assert "feed a: 2 chunks written" in done.output
    assert len(list(read_truth(tmp_path / "t.jsonl"))) == 20
    log = SqliteLog(tmp_path / "log")
    headers = [decode_header(dict(r.headers)) for r in log.read(CHUNKS, key="a")]
    log.close()
    assert [h.frames for h in headers if isinstance(h, ChunkHeader)] == [10, 10]
    again = CliRunner().invoke(produce, arguments, catch_exceptions=False)
    assert "feed a is complete" in again.output


def test_truth_of_a_file_is_refused(tmp_path: Path) -> None:
    arguments = [SCENE, SCENE, "--feed", "a", "--log", str(tmp_path), "--ground-truth", str(tmp_path / "t.jsonl")]
    with pytest.raises(UserError, match="exactly one source"):
        CliRunner().invoke(produce, arguments, catch_exceptions=False)


def test_a_spool_that_was_asked_for(tmp_path: Path) -> None:
    arguments = [SCENE, "--feed", "a", "--log", str(tmp_path / "log"), "--spool", str(tmp_path / "spool")]
    done = CliRunner().invoke(produce, arguments, catch_exceptions=False)
    assert "feed a: 2 chunks written" in done.output
    assert (tmp_path / "spool/a/log.sqlite").exists()
    with closing(SqliteLog(tmp_path / "log")) as log:
        assert len(list(log.read(CHUNKS, key="a"))) == 3


@pytest.mark.parametrize(
    ("folder", "size_gb", "wanted", "expected"),
    [
        (None, 10, False, None),
        (None, 10, True, Spooling(Path("cache/spool"), 10_000_000_000)),
        (Path("there"), 0.5, False, Spooling(Path("there"), 500_000_000)),
        (Path("there"), 0, True, None),
    ],
)
def test_where_the_spool_is(
    folder: Path | None, size_gb: float, wanted: bool, expected: Spooling | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREFER_CACHE", "cache")
    assert _spooling(folder, size_gb, wanted=wanted) == expected


@pytest.mark.parametrize("arguments", [["--feed", "a"], [SCENE], [SCENE, "--feed", "a", "--unknown"]])
def test_usage_errors(arguments: list[str]) -> None:
    assert CliRunner().invoke(produce, arguments).exit_code == 2


def test_help_has_examples() -> None:
    text = CliRunner().invoke(produce, ["--help"]).output
    assert "Examples:" in text
    assert "strefer produce rtsp://camera.local/stream1 --feed door" in text
