"""A clip's annotations, and the pairs that come of them without a model."""

from __future__ import annotations

from pathlib import Path

import pytest

from instruct.formats.jsonl import read
from instruct.pair import Pair
from kernels import rle
from stream.cli import main
from tests.instruct.rewording import LIMIT
from tests.instruct.test_formats import put, told


@pytest.fixture(scope="session", autouse=True)
def _compiled() -> None:
    """What measures masks is compiled, or loaded, before a test's time is taken."""
    rle.measure("1", (1, 1))


@pytest.fixture(scope="module")
def annotated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    put(folder, told().events)
    return folder


@pytest.fixture(scope="module")
def templates(annotated: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Pair]:
    """What comes out without a model."""
    out = tmp_path_factory.mktemp("plain") / "out"
    assert main(["instruct", str(annotated), "--out", str(out), "--limit", LIMIT, "--quiet"]) == 0
    return read(out / "jsonl")
