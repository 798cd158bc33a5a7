"""Detectors by name: what is listed, what is missing, what a profile takes, and that lite is left as it was."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny import GROUNDED, SHAPE

from engines import catalogue, lite
from engines.cache import Cache
from engines.catalogue import find
from engines.detections import Detections
from engines.detectors import networks, opening
from engines.detectors.networks import GroundingFiles
from engines.detectors.opening import open_detector, usual
from engines.detectors.prompts import EVERYDAY
from engines.errors import UserError
from engines.labels import COCO
from engines.opening import How
from engines.store import Store
from stream.cli import main
from stream.cli_profile import DETECTORS, Profile
from stream.detect import FOLLOWED, Detect
from tests.running import model_folder


@pytest.fixture
def small_ones(
    weights: Path, files: GroundingFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Store, Path]:
    """A store whose catalogue has the small networks under the published ones' names, and its folder of models."""
    folder = tmp_path / "models"
    shutil.copytree(model_folder(), folder)
    placed = {
        "rf-detr-medium": weights, "grounding-dino-tiny": files.weights,
        "grounding-dino-tiny-config": files.config, "grounding-dino-tiny-words": files.words,
    }  # fmt: skip
    items = []
    for item in catalogue.LARGE:
        if item.name in placed:
            data = placed[item.name].read_bytes()
            (folder / item.path).parent.mkdir(exist_ok=True)
            (folder / item.path).write_bytes(data)
            item = replace(item, sha256=hashlib.sha256(data).hexdigest())
        items.append(item)
    monkeypatch.setattr(catalogue, "LARGE", tuple(items))
    for module in (networks, opening):
        monkeypatch.setattr(module, "RF_DETR_MEDIUM", SHAPE)
        monkeypatch.setattr(module, "GROUNDING_DINO_TINY", replace(GROUNDED, names=len(EVERYDAY), tokens=64))
    monkeypatch.setenv("STREFER_MODELS", str(folder))
    monkeypatch.setenv("STREFER_CACHE", str(tmp_path / "cache"))
    return Store(tmp_path / "cache", folder), folder


@pytest.mark.parametrize("name", opening.NAMES)
def test_opened_by_name(small_ones: tuple[Store, Path], tmp_path: Path, name: str) -> None:
    opened = open_detector(name, small_ones[0], How("torch"), Cache(tmp_path))
    assert opened.detector.name == opened.used.name == name
    assert (opened.used.role, opened.used.backend) == ("detect", "torch/eager on cpu")
    assert opened.used.sha256 == find(name).sha256
    frames = [np.zeros((40, 60, 3), np.uint8)] * 2
    assert len(opened.detector.detect_many(frames)) == 2


@pytest.mark.parametrize("name", opening.NAMES)
def test_not_here_is_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=rf"^{name} is not on this machine.*: strefer models pull {name}$"):
        open_detector(name, Store(tmp_path), usual(), Cache(tmp_path))


def test_no_such_detector(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no detector 'yolo'; there are rf-detr-medium, grounding-dino-tiny"):
        open_detector("yolo", Store(tmp_path), usual(), Cache(tmp_path))


def test_listed_with_and_without_files(small_ones: tuple[Store, Path], tmp_path: Path) -> None:
    here = {n.name: n.forms for n in networks.networks(small_ones[0])}
    assert here == dict.fromkeys(("rf-detr-medium", "grounding-dino-tiny", "grounding-dino-tiny-text"), ("torch",))
    away = {n.name: n.forms for n in networks.networks(Store(tmp_path / "none"))}
    assert away == dict.fromkeys(("rf-detr-medium", "grounding-dino-tiny"), ())


@pytest.mark.slow
def test_verified_on_real_frames_by_the_command(
    small_ones: tuple[Store, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["rf-detr-medium", "grounding-dino-tiny"]
    assert main(["engines", "verify", *names, "--backend", "torch", "--random", "1", "--real", "2"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert {(words[0], *words[5:7]) for words in lines} == {
        (n, *k) for n in names for k in (("1", "random"), ("2", "real"))
    }


@pytest.mark.slow
def test_profile_sam2_takes_the_detector_that_is_asked_for(small_ones: tuple[Store, Path]) -> None:
    for name in ("", *DETECTORS):
        loaded = Profile("sam2", drawn=True, detector=name).networks()
        assert loaded.detector is not None
        assert loaded.detector.name == (name or "rf-detr-medium")
        assert [u.name for u in loaded.used if u.role == "detect"] == [loaded.detector.name]
        assert loaded.pose is not None, "all else is lite's"
    assert Profile("lite").networks().detector.name == "yolox-nano"  # type: ignore[union-attr]


def test_profile_sam2_without_the_best_takes_lites(small_ones: tuple[Store, Path]) -> None:
    path = small_ones[1] / find("rf-detr-medium").path
    path.unlink()
    loaded = Profile("sam2", drawn=True).networks()
    assert loaded.detector is not None
    assert loaded.detector.name == "yolox-nano"
    assert loaded.missing == ()
    with pytest.raises(UserError, match="rf-detr-medium is not on this machine"):
        Profile("sam2", drawn=True, detector="rf-detr-medium").check()


@pytest.mark.parametrize("item", ["rf-detr-medium", "grounding-dino-tiny", "grounding-dino-tiny-words"])
def test_a_damaged_file_is_told_with_its_mend(
    small_ones: tuple[Store, Path], capsys: pytest.CaptureFixture[str], item: str
) -> None:
    path = small_ones[1] / find(item).path
    path.write_bytes(path.read_bytes()[:-1])
    says = f"{item} is damaged ({path} has another sha256): strefer models pull {item} fetches it anew"
    detector = item.removesuffix("-words")
    with pytest.raises(UserError, match=f"^{re.escape(says)}$"):
        Profile("sam2", drawn=True, detector=detector).check()
    assert main(["engines", "verify", detector]) == 2
    assert capsys.readouterr().err == f"strefer: {says}\n"
    loaded = Profile("sam2", drawn=True).networks()
    assert loaded.detector is not None
    assert (loaded.detector.name, loaded.missing) == (
        ("yolox-nano", (says,)) if item == "rf-detr-medium" else ("rf-detr-medium", ())
    )


def test_weights_that_do_not_load_are_told_and_lites_detect(
    small_ones: tuple[Store, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "RF_DETR_MEDIUM", replace(SHAPE, queries=11))
    loaded = Profile("sam2", drawn=True).networks()
    assert loaded.detector is not None
    assert loaded.detector.name == "yolox-nano"
    assert "does not fit RfDetrForObjectDetection" in loaded.missing[-1]
    with pytest.raises(UserError, match="does not fit"):
        Profile("sam2", drawn=True, detector="rf-detr-medium").networks()


def test_without_the_package_it_says_what_to_install(
    small_ones: tuple[Store, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    loaded = Profile("sam2", drawn=True).networks()
    assert loaded.detector is not None
    assert loaded.detector.name == "yolox-nano"
    assert loaded.missing[-1] == "transformers is not installed: pip install '.[detectors]'"
    with pytest.raises(UserError, match=r"\.\[detectors\]"):
        Profile("sam2", drawn=True, detector="grounding-dino-tiny").networks()


def test_names_and_profiles_that_do_not_go_together(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    asked = ["annotate", "synthetic:two-people", "--out", str(tmp_path / "o"), "--detector", "yolox-nano"]
    assert main(asked) == 2
    assert "--detector and --look-for go with --profile sam2" in capsys.readouterr().err
    assert Profile("sam2", detector="fastestdet").told == "sam2 tiny@usual fastestdet"
    assert Profile("sam2").told == "sam2 tiny@usual"


def test_what_is_looked_for_unasked_is_what_is_followed() -> None:
    assert set(EVERYDAY) <= FOLLOWED & set(COCO)
    assert set(lite.DETECTORS) < set(DETECTORS)


def test_what_is_asked_for_is_looked_for_and_no_scenery(
    small_ones: tuple[Store, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "GROUNDING_DINO_TINY", replace(GROUNDED, names=len(EVERYDAY) + 1, tokens=64))
    profile = Profile("sam2", drawn=True, detector="grounding-dino-tiny", look_for=("chair", "dog"))
    assert profile.told == "sam2 tiny@usual drawn grounding-dino-tiny chair, dog"
    assert profile.networks().asked == ("chair", "dog"), "one more than everyday things: the dog is among them"

    class Finds:
        name = "finds"

        def detect(self, rgb: np.ndarray) -> Detections:
            boxes = np.array([[10, 10, 40, 40], [50, 10, 80, 40]], np.float32)
            return Detections(boxes, np.array([0.9, 0.8], np.float32), ("chair", "tvmonitor"))

    rgb = np.zeros((90, 160, 3), np.uint8)
    assert Detect(Finds()).look(rgb).categories == ()
    assert Detect(Finds(), asked=profile.look_for).look(rgb).categories == ("chair",)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--profile", "sam2", "--sam2-drawn", "--look-for", "cart"], "goes with --detector grounding-dino-tiny"),
        (["--look-for", "Cart"], "and --look-for go with --profile sam2"),
        (["--profile", "sam2", "--sam2-drawn", "--detector", "grounding-dino-tiny", "--look-for", "a?"], "'a?'"),
        (["--profile", "sam2", "--sam2-drawn", "--detector", "grounding-dino-tiny", "--look-for", " "], "look for ''"),
        (["--profile", "sam2", "--sam2-drawn", "--detector", "grounding-dino-tiny", "--look-for", "cart"], "14 fit"),
        (
            ["--profile", "sam2", "--sam2-drawn", "--detector", "grounding-dino-tiny"]
            + [word for n in range(20) for word in ("--look-for", f"cart {n}")],
            "34 things to look for (14 of them the everyday ones): 32 fit, leave some out",
        ),
    ],
)
def test_words_that_cannot_be_looked_for(
    small_ones: tuple[Store, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], says: str
) -> None:
    asked = ["annotate", "synthetic:two-people?seconds=1", "--out", str(tmp_path / "o"), "--quiet"]
    assert main([*asked, *options]) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert says in told


@pytest.mark.slow
@pytest.mark.parametrize("name", opening.NAMES)
def test_annotate_by_each_end_to_end(
    small_ones: tuple[Store, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    out = tmp_path / "out"
    asked = ["annotate", "synthetic:two-people?seconds=1&fps=10", "--out", str(out), "--quiet", "--profile", "sam2"]
    assert main([*asked, "--sam2", "mini@256", "--sam2-drawn", "--detector", name]) == 0, capsys.readouterr().err
    lines = [json.loads(line) for line in (out / "annotations.jsonl").read_text().splitlines()]
    started = next(line["data"] for line in lines if line["type"] == "feed.started")
    detects = [e for e in started["engines"] if e["role"] == "detect"]
    assert detects == [
        {"name": name, "role": "detect", "backend": "torch/eager on cpu", "sha256": find(name).sha256}
    ]  # fmt: skip
    assert sum(line["data"]["frames"] for line in lines if line["type"] == "chunk.done") == 10
    assert not [line for line in lines if line["type"] == "error"]
