"""The image-text network: its files, what it is fed, and what it makes of them."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from towers import SIDE, build, tell

from engines import imagetext, lite
from engines.crops import U8
from engines.imagetext import ImageTextNet
from engines.store import Store

RED, BLUE = (220, 20, 20), (20, 20, 220)


def load(models: Path) -> ImageTextNet:
    found = lite.load(Store(Path("/nowhere"), models)).imagetext
    assert found is not None
    return found


def told(models: Path) -> list[str]:
    """What is said of the network where it is not to be had."""
    loaded = lite.load(Store(Path("/nowhere"), models))
    assert loaded.imagetext is None
    assert loaded.used == ()
    return [line for line in loaded.missing if "strefer models pull" not in line]


def scene(colour: tuple[int, int, int], behind: tuple[int, int, int] = (0, 0, 0)) -> tuple[U8, np.ndarray]:
    """A frame with something of `colour` before `behind`, and its mask over the whole frame."""
    rgb = np.zeros((60, 80, 3), np.uint8)
    rgb[:] = behind
    mask = np.zeros((60, 80), np.bool_)
    mask[10:50, 30:45] = True
    rgb[mask] = colour
    return rgb, mask


@pytest.mark.parametrize("siglip", [True, False])
def test_the_word_is_nearest_to_its_picture(tmp_path: Path, siglip: bool) -> None:
    build(tmp_path / "imagetext", siglip=siglip)
    net = load(tmp_path)
    red, blue = (net.image(*scene(c), 0, 0) for c in (RED, BLUE))
    assert red is not None
    assert blue is not None
    for v in (red, blue, net.text("the girl")):
        assert v.dtype == np.float32
        assert float(np.linalg.norm(v)) == pytest.approx(1, abs=1e-5)
    assert red @ net.text("the girl") > blue @ net.text("the girl") + 0.5
    assert blue @ net.text("the boy") > red @ net.text("the boy") + 0.5
    assert (net.text("The GIRL!") == net.text("the girl")).all(), "read in lower case, without punctuation"


def test_what_is_behind_does_not_count(tmp_path: Path) -> None:
    build(tmp_path / "imagetext")
    net = load(tmp_path)
    seen = [net.image(*scene(RED, behind), 0, 0) for behind in ((0, 0, 0), (0, 255, 0), (255, 255, 255))]
    assert all((v == seen[0]).all() for v in seen)
    rgb, mask = scene(RED)
    assert (net.image(rgb, mask[5:, 20:], 20, 5) == seen[0]).all(), "a window's mask is that of the frame"
    assert net.image(rgb, np.zeros_like(mask), 0, 0) is None


def test_outside_the_mask_is_the_mean_colour(tmp_path: Path) -> None:
    mean = np.array([0.5, 0.25, 0.75], np.float32)
    cut = imagetext.square(*scene(RED, (9, 9, 9)), 0, 0, mean)
    assert cut is not None
    assert cut.shape == (44, 44, 3), "a square, a tenth larger than the mask's box"
    own = (cut == RED).all(axis=-1)
    assert own.sum() == 40 * 15
    assert (cut[~own] == (128, 64, 191)).all()


@pytest.mark.parametrize(("height", "width"), [(32, 32), (20, 20), (50, 50), (150, 150), (300, 300)])
def test_preparing_against_pillow(tmp_path: Path, height: int, width: int) -> None:
    """Pillow's bicubic is what the exporters' processors use; on smooth pictures ours is within two levels of it."""
    config = imagetext.configure(build(tmp_path / "imagetext"), "siglip")
    y, x = np.mgrid[:height, :width] / height
    rgb = np.stack([255 * x, 255 * y, 127 + 120 * np.sin(5 * x)], axis=-1).astype(np.uint8)
    ours = imagetext.prepare(rgb, config)
    assert ours.shape == (1, 3, SIDE, SIDE)
    assert ours.dtype == np.float32
    small = np.asarray(Image.fromarray(rgb).resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.float32)
    theirs = ((small / 255 - 0.5) / 0.5).transpose(2, 0, 1)[None]
    inner = (..., slice(2, -2), slice(2, -2))  # at the border the two extend a picture differently
    assert np.abs(ours - theirs)[inner].max() <= 2 * 2 / 255
    assert np.abs(ours - theirs).mean() < 2 / 255


def test_sizes_of_older_files_and_families(tmp_path: Path) -> None:
    """CLIP says an edge to scale and a square to crop; without files each family has its own values."""
    folder = tmp_path / "clip"
    folder.mkdir()
    bare = imagetext.configure(folder, "siglip")
    assert (bare.size, bare.length, bare.mean.tolist(), bare.pad) == (224, 64, [0.5] * 3, None)
    bare = imagetext.configure(folder, "clip")
    assert (bare.size, bare.length, bare.scale) == (224, 77, 100)
    assert bare.mean.tolist() == pytest.approx([0.48145466, 0.4578275, 0.40821073])
    tell(folder, "preprocessor_config.json", {"size": {"shortest_edge": 256}, "crop_size": 240})
    tell(folder, "tokenizer_config.json", {"model_max_length": 1e30, "pad_token": {"content": "<pad>"}})
    told_ = imagetext.configure(folder, "clip")
    assert (told_.size, told_.length, told_.pad) == (240, 77, "<pad>")


def test_what_ran_is_told(tmp_path: Path) -> None:
    folder = build(tmp_path / "imagetext")
    used = [u for u in lite.load(Store(Path("/nowhere"), tmp_path)).used if u.role == "refer"]
    assert [(u.name, u.backend) for u in used] == [
        ("imagetext-vision", "onnxruntime/CPU"), ("imagetext-text", "onnxruntime/CPU"),
        ("imagetext-tokenizer", "tokenizers"),
    ]  # fmt: skip
    assert used[0].sha256 == hashlib.sha256((folder / "vision_model.onnx").read_bytes()).hexdigest()


def test_none_is_not_missed(tmp_path: Path) -> None:
    assert told(tmp_path) == []
    (tmp_path / "imagetext").mkdir()
    assert told(tmp_path) == []


@pytest.mark.parametrize("name", ["vision_model.onnx", "text_model.onnx", "tokenizer.json", "config.json"])
def test_a_corrupt_file_is_one_line(tmp_path: Path, name: str) -> None:
    (build(tmp_path / "imagetext") / name).write_bytes(b"nothing of the kind")
    (line,) = told(tmp_path)
    assert name in line
    assert "\n" not in line


@pytest.mark.parametrize("name", ["vision_model.onnx", "text_model.onnx", "tokenizer.json"])
def test_a_missing_file_is_one_line(tmp_path: Path, name: str) -> None:
    (build(tmp_path / "imagetext") / name).unlink()
    (line,) = told(tmp_path)
    assert f"has no {name.replace('_model', '')}: add it" in line


def test_towers_of_two_networks(tmp_path: Path) -> None:
    build(tmp_path / "imagetext", depth=2)
    (line,) = told(tmp_path)
    assert "do not go together" in line


def test_towers_the_wrong_way_round(tmp_path: Path) -> None:
    folder = build(tmp_path / "imagetext")
    (folder / "vision_model.onnx").rename(folder / "other")
    (folder / "text_model.onnx").rename(folder / "vision_model.onnx")
    (folder / "other").rename(folder / "text_model.onnx")
    (line,) = told(tmp_path)
    assert "takes input_ids and not pixel_values" in line


def test_tokenizers_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(tmp_path / "imagetext")
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    assert told(tmp_path) == ["tokenizers is not installed: pip install '.[imagetext]'"]
