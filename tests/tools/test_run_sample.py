"""`make run` takes the best sample that can be had, and a Python that works."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from engines.catalogue import Item
from engines.errors import UserError
from engines.store import Store
from stream.parse import parse
from tools.run_sample import choose

ROOT = Path(__file__).parents[2]


def fake(monkeypatch: pytest.MonkeyPatch, *here: str, reachable: bool = True) -> Store:
    """A store that holds these samples, and may or may not fetch the others."""

    def locate(store: Store, item: Item) -> Path | None:
        return Path("/samples", item.path) if item.name in here else None

    def pull(store: Store, item: Item) -> Path:
        if not reachable:
            raise UserError(f"{item.name} cannot be had")
        return Path("/cache", item.path)

    monkeypatch.setattr(Store, "locate", locate)
    monkeypatch.setattr(Store, "pull", pull)
    return Store(Path("/cache"))


def test_bedroom_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    sample = choose(fake(monkeypatch, "bedroom"))
    assert (sample.source, sample.name) == ("/samples/bedroom.mp4", "bedroom")


def test_bikes_where_an_index_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose(fake(monkeypatch)).source == "/cache/bikes.mp4"


def test_a_scene_where_nothing_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert choose(fake(monkeypatch, reachable=False)).source == "synthetic:two-people"
    assert "bikes cannot be had" in capsys.readouterr().err


@pytest.mark.parametrize("here", [("bedroom",), ()])
def test_the_queries_are_understood(monkeypatch: pytest.MonkeyPatch, here: tuple[str, ...]) -> None:
    assert not [q for q in choose(fake(monkeypatch, *here)).queries if parse(q).unknown]


def python(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def find_python(folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(folder), "HOME": str(folder)}
    command = ["/bin/sh", str(ROOT / "tools/find_python.sh")]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def test_a_shim_that_does_not_work_is_passed_over(tmp_path: Path) -> None:
    python(tmp_path, "python3.11", "echo 'pyenv: python3.11: command not found' >&2; exit 127")
    python(tmp_path, "python3", 'case "$2" in *print*) echo /found/python3 ;; esac')
    done = find_python(tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "/found/python3\n", "")


def test_no_python_is_one_clear_line(tmp_path: Path) -> None:
    python(tmp_path, "python3", "exit 1")
    done = find_python(tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "install one" in done.stderr
