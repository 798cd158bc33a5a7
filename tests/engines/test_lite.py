"""Profile lite with all, some and none of its networks; backends that are missing or get a bad file."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from engines import lite
from engines.backends.litert import LiteRtSession
from engines.backends.ort import OrtSession
from engines.catalogue import MODELS, find
from engines.errors import UserError
from engines.store import Store
from tests.running import model_folder


def test_everything() -> None:
    loaded = lite.load(Store(Path("/nowhere"), model_folder()))
    assert loaded.missing == ()
    assert [u.name for u in loaded.used] == list(lite.NETWORKS)
    assert {u.sha256 for u in loaded.used} == {find(n).sha256 for n in lite.NETWORKS}
    assert {u.backend for u in loaded.used} == {"onnxruntime/CPU", "litert"}
    assert None not in (loaded.detector, loaded.pose, loaded.segment, loaded.reid)


def test_nothing(tmp_path: Path) -> None:
    loaded = lite.load(Store(tmp_path))
    assert (loaded.detector, loaded.pose, loaded.segment, loaded.reid, loaded.used) == (None, None, None, None, ())
    assert all("strefer models pull " in line for line in loaded.missing)
    assert {line.split()[0] for line in loaded.missing} >= set(lite.NETWORKS)


def test_a_damaged_file_is_told_and_done_without(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    shutil.copytree(model_folder(), folder)
    path = folder / find("yolox-nano").path
    path.write_bytes(path.read_bytes()[:-1])
    loaded = lite.load(Store(tmp_path, folder))
    assert loaded.detector is not None
    assert loaded.detector.name == "fastestdet"
    assert loaded.missing == (
        f"yolox-nano is damaged ({path} has another sha256): strefer models pull yolox-nano fetches it anew",
    )


@pytest.mark.parametrize(
    ("without", "detector"),
    [
        (set(), "yolox-nano"),
        ({"yolox-nano"}, "fastestdet"),
        ({"yolox-nano", "fastestdet"}, "blazepose-person"),
    ],
)
def test_the_next_best_detector_stands_in(without: set[str], detector: str) -> None:
    loaded = lite.load(Store(Path("/nowhere"), model_folder()), without=frozenset(without))
    assert loaded.detector is not None
    assert loaded.detector.name == detector
    assert {line.split()[0] for line in loaded.missing} == without


def test_a_network_that_does_not_load_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    loaded = lite.load(Store(tmp_path, model_folder()))
    assert loaded.pose is None
    assert loaded.detector is not None
    assert loaded.missing == ("ai-edge-litert is not installed: pip install 'ai-edge-litert>=2.1'",)


def test_onnxruntime_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"onnxruntime is not installed: pip install '\.\[cpu\]'"):
        OrtSession(model_folder() / find("yolox-nano").path)


@pytest.mark.parametrize(("session", "name"), [(OrtSession, "bad.onnx"), (LiteRtSession, "bad.tflite")])
def test_files_that_are_no_networks(tmp_path: Path, session: type, name: str) -> None:
    (tmp_path / name).write_bytes(b"not a network at all")
    with pytest.raises(UserError, match=f"{name} does not load in") as caught:
        session(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("item", MODELS, ids=lambda i: i.name)
def test_same_input_same_output(item: object, tmp_path: Path) -> None:
    """Two sessions of one file, any number of runs: bit for bit the same."""
    from engines.catalogue import Item

    assert isinstance(item, Item)
    path = tmp_path / Path(item.path).name
    shutil.copy(model_folder() / item.path, path)
    kind = LiteRtSession if path.suffix == ".tflite" else OrtSession
    shape = {
        "yolox-nano": (1, 3, 416, 416), "fastestdet": (1, 3, 352, 352), "blazepose-person": (1, 224, 224, 3),
        "blazepose-full": (1, 256, 256, 3), "deeplabv3-voc": (1, 257, 257, 3), "person-reid-0287": (1, 256, 128, 3),
    }[item.name]  # fmt: skip
    x = np.random.default_rng(1).random(shape, np.float32)
    one, two = kind(path), kind(path)
    first = one.run(x)
    one.run(1 - x)
    for again in (one.run(x), two.run(x)):
        for a, b in zip(first, again, strict=True):
            assert (a == b).all()
            assert a.dtype == np.float32
