"""The program: what it takes, what it refuses, and both arms on a small dataset."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import referring
from bench.cases import record
from bench.layouts import refytvos
from engines.errors import UserError
from producers.synthetic import make_scene
from tests.running import model_folder


def test_seeds() -> None:
    assert referring.seeds_of("3") == [0, 1, 2]
    assert referring.seeds_of("3,17") == [3, 17]
    assert referring.seeds_of("7,") == [7]
    with pytest.raises(UserError, match="neither"):
        referring.seeds_of("some")


@pytest.mark.parametrize("arguments", [[], ["/nowhere/at/all"]])
def test_what_it_cannot_do_is_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        referring.main(arguments)
    assert stopped.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        referring.main(["--help"])
    assert "python -m bench.referring --scenes composite --seeds 20" in capsys.readouterr().out


@pytest.mark.slow
def test_a_dataset_folder_both_arms(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREFER_MODELS", str(model_folder()))
    scene = make_scene("synthetic:two-people?seconds=2&size=640x360&fps=30")
    refytvos.write([record(scene, "one", "", tmp_path / "drawn")], tmp_path / "data")
    out = tmp_path / "out.json"
    referring.main([str(tmp_path / "data"), "--expressions", "--out", str(out)])
    told = capsys.readouterr().out
    assert "the Strefer way" in told
    assert "the person in the red striped shirt" in told
    (row,) = json.loads(out.read_text())
    assert row["ours"]["hota"] > 0.7
    assert row["ours"]["expressions"][0]["binding"] == "right"
    assert row["strefer"]["hota"] > 0.6
