"""`strefer instruct` and `strefer export`: what they write, and one clear line for every mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from instruct.formats.jsonl import read
from instruct.pair import GROUPS, Group
from instruct.select import STREFER_MIX
from stream.cli import main
from tests.instruct.test_formats import put, told


@pytest.fixture
def annotated(tmp_path: Path) -> Path:
    folder = tmp_path / "clip"
    folder.mkdir()
    put(folder, told().events)
    return folder


def run(*arguments: str | Path) -> int:
    return main([str(a) for a in arguments])


def test_a_folder_becomes_a_dataset(annotated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("instruct", annotated, "--out", tmp_path / "out") == 0
    pairs = read(tmp_path / "out" / "jsonl")
    assert f"{len(pairs)} pairs of 0.2 minutes" in capsys.readouterr().out
    card = (tmp_path / "out" / "README.md").read_text()
    assert f"{len(pairs)} pairs" in card
    assert "| near-duplicate |" in card


def test_the_mix_is_strefers(annotated: Path, tmp_path: Path) -> None:
    run("instruct", annotated, "--out", tmp_path / "out", "--quiet")
    pairs = read(tmp_path / "out" / "jsonl")
    for group in GROUPS:
        share = STREFER_MIX[group] / sum(STREFER_MIX.values())
        assert abs(sum(p.group == group for p in pairs) - share * len(pairs)) <= 2


def test_a_mix_of_ones_own_and_a_limit(annotated: Path, tmp_path: Path) -> None:
    run("instruct", annotated, "--out", tmp_path / "out", "--mix", "mask=1,plain=1", "--limit", "9", "--quiet")
    pairs = read(tmp_path / "out" / "jsonl")
    groups: set[Group] = {p.group for p in pairs}
    assert groups <= {"mask", "plain"}
    assert 8 <= len(pairs) <= 9


def test_the_same_seed_writes_the_same_bytes(annotated: Path, tmp_path: Path) -> None:
    def made(name: str, seed: str) -> dict[str, bytes]:
        out = tmp_path / name
        run("instruct", annotated, "--out", out, "--seed", seed, "--formats", "jsonl,parquet,llava", "--quiet")
        return {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}

    once, again, other = made("a", "1"), made("b", "1"), made("c", "2")
    assert once == again
    assert once != other


def test_a_former_dataset_is_replaced_when_asked(annotated: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run("instruct", annotated, "--out", out, "--quiet") == 0
    assert run("instruct", annotated, "--out", out, "--quiet") == 2
    assert run("instruct", annotated, "--out", out, "--quiet", "--fresh") == 0
    (out / "mine.txt").touch()
    (out / ".strefer-instruct").unlink()
    assert run("instruct", annotated, "--out", out, "--quiet", "--fresh") == 2
    assert (out / "mine.txt").exists()


def lines() -> list[bytes]:
    from stream.events import encode_body, encode_line

    return [encode_line(e.headers(), encode_body(e.body)) + b"\n" for e in told().events]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"hello\n", "line 1 is no annotation event"),
        (b'{"a": 1}\n', "line 1 is no annotation event"),
        (b"\xff\xfe\x00", "line 1 is no annotation event"),
        (b"".join(lines()[:9]), "breaks off: feed feed has no feed.ended"),
        (b"".join(lines())[:-20], f"line {len(lines())} is no annotation event"),
        (b"".join(lines()[3:]), "does not begin with feed.started"),
        (lines()[0] + lines()[-1], "no pair came of these annotations"),
    ],
    ids=["empty", "no json", "other json", "binary", "half", "half a line", "headless", "nobody"],
)
@pytest.mark.parametrize("command", ["instruct"])
def test_bad_input_is_one_line(
    content: bytes, said: str, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "annotations.jsonl"
    path.write_bytes(content)
    assert run(command, path, "--out", tmp_path / "out") == 2
    told_user = capsys.readouterr().err
    assert said in told_user
    assert told_user.count("\n") == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["annotations.jsonl"]  # nothing half written


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["instruct", "nowhere.jsonl", "--out", "OUT"], "nowhere.jsonl is not there"),
        (["instruct", "EMPTY", "--out", "OUT"], "holds no annotations.jsonl"),
        (["instruct", "CLIP", "--out", "OUT", "--mix", "mask=x"], "does not read at 'mask=x'"),
        (["instruct", "CLIP", "--out", "OUT", "--mix", "mask=0"], "share of 0"),
        (["instruct", "CLIP", "--out", "OUT", "--formats", "csv"], "'csv' is unknown"),
        (["instruct", "CLIP", "COPY", "--out", "OUT"], "feed feed is in"),
        (["instruct", "CLIP", "--out", "EMPTY/file/x"], "cannot write to"),
        (["export", "nowhere", "--out", "OUT", "--format", "mots"], "nowhere is not there"),
        (["export", "CLIP", "--out", "CLIP", "--format", "ytvis"], "is there already"),
    ],
)
def test_bad_arguments_are_one_line(
    arguments: list[str], said: str, annotated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "file").touch()
    (tmp_path / "copy").mkdir()
    put(tmp_path / "copy", told().events)
    places = {"OUT": "out", "EMPTY": "empty", "CLIP": "clip", "COPY": "copy"}
    asked = [str(tmp_path / places.get(a, a)) if a in places else a for a in arguments]
    asked = [str(tmp_path / "empty" / "file" / "x") if a == "EMPTY/file/x" else a for a in asked]
    assert run(*asked) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_export_writes_whole_files(annotated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("export", annotated, "--format", "mots", "--out", tmp_path / "mots") == 0
    assert capsys.readouterr().out.startswith("1 track of 1 feed;"), "the dog is left out, and not counted"
    assert len((tmp_path / "mots" / "feed.txt").read_text().splitlines()) == 120
    assert run("export", annotated, "--format", "ytvis", "--out", tmp_path / "y.json") == 0
    assert {p.name for p in tmp_path.iterdir()} == {"clip", "mots", "y.json"}
