"""Each layout, written from a small scene and read back; masks checked with pycocotools and PIL by themselves."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from bench import layouts
from bench.cases import Case, Spoken, record, rounds
from bench.layouts import common, mevis, refytvos, sav, ytvis
from engines.errors import UserError
from kernels import rle
from producers.synthetic import make_scene


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    scene = make_scene("synthetic:exit-reentry?seconds=2&size=160x96&fps=6")
    return record(scene, "one", "exit", tmp_path_factory.mktemp("drawn"))


def same_truth(a: Case, b: Case, every: int = 1) -> None:
    assert a.size == b.size
    for x, y in zip(a.truth[::every], b.truth[::every], strict=True):
        assert x == y


def test_recording_a_scene(case: Case) -> None:
    assert (len(case.files), case.size, case.complete) == (12, (96, 160), True)
    assert [s.entities for s in case.expressions] == [(1,), (2,)]
    drawn = make_scene("synthetic:exit-reentry?seconds=2&size=160x96&fps=6").frames()
    for frame, image, (rgb, pts_us, truth) in zip(case.truth, case.images(), drawn, strict=True):
        assert frame is not None
        assert {e: rle.decode(c, case.size).sum() for e, c in frame.items()} == {
            e: m.sum() for e, m in truth.masks.items()
        }
        assert np.abs(image.astype(int) - rgb.astype(int)).mean() < 6, "JPEG, no more"
        assert case.times_us[truth.frame] == pts_us


def test_mevis(case: Case, tmp_path: Path) -> None:
    both = replace(case, expressions=(*case.expressions, Spoken("2", "the persons", (1, 2))))
    mevis.write([both], tmp_path)
    (read,) = layouts.read(tmp_path)
    same_truth(case, read)
    assert (read.expressions, read.categories, read.complete) == (both.expressions, case.categories, True)
    assert (read.times_us, read.shots) == (case.times_us, case.shots)
    masks = json.loads((tmp_path / "mask_dict.json").read_text())
    video = json.loads((tmp_path / "meta_expressions.json").read_text())["videos"]["one"]
    anno = video["expressions"]["0"]["anno_id"][0]
    first = case.truth[0]
    assert first is not None
    assert (coco.decode(masks[str(anno)][0]) == rle.decode(first[1], case.size)).all()
    assert None in masks[str(anno)], "it is away for a while"


def test_ref_youtube_vos(case: Case, tmp_path: Path) -> None:
    refytvos.write([case], tmp_path)
    (read,) = layouts.read(tmp_path)
    same_truth(case, read)
    assert (read.expressions, read.categories) == (case.expressions, case.categories)
    assert read.times_us[1] == 33_333, "names are frame numbers at 30 a second"
    with Image.open(tmp_path / "Annotations/one/00000.png") as image:
        assert image.mode == "P"
        ids = np.asarray(image)
    first = case.truth[0]
    assert first is not None
    assert ((ids == 2) == rle.decode(first[2], case.size)).all()
    with pytest.raises(ValueError, match="takes one"):
        refytvos.write([replace(case, expressions=(Spoken("0", "both", (1, 2)),))], tmp_path / "two")


def test_ref_youtube_vos_frames_nobody_annotated(case: Case, tmp_path: Path) -> None:
    refytvos.write([case], tmp_path)
    (tmp_path / "Annotations/one/00003.png").unlink()
    assert layouts.read(tmp_path)[0].truth[3] is None


def test_youtube_vis(case: Case, tmp_path: Path) -> None:
    ytvis.write([case], tmp_path)
    (read,) = layouts.read(tmp_path)
    same_truth(case, read)
    assert [(s.text, s.entities) for s in read.expressions] == [("the persons", (1, 2))]
    track = json.loads((tmp_path / "instances.json").read_text())["annotations"][0]
    code, box = track["segmentations"][0], track["bboxes"][0]
    assert track["areas"][0] == coco.decode(code).sum()
    assert box == coco.toBbox(code).tolist()


def test_sa_v(case: Case, tmp_path: Path) -> None:
    sav.write([case], tmp_path)
    (read,) = layouts.read(tmp_path)
    same_truth(case, read, every=sav.EVERY)
    assert read.expressions == case.expressions
    assert [t is None for t in read.truth[:5]] == [False, True, True, True, False]
    for a, b in zip(read.images(), case.images(), strict=True):
        assert np.abs(a.astype(int) - b.astype(int)).mean() < 4
    (tmp_path / "one_expressions.json").unlink()
    assert layouts.read(tmp_path)[0].expressions == ()


def test_runs_as_lists_are_read_too() -> None:
    mask = np.zeros((4, 5), bool)
    mask[1:3, 2:4] = True
    runs = {"size": [4, 5], "counts": [9, 2, 2, 2, 5]}
    assert (rle.decode(common.counts_of(runs, (4, 5)), (4, 5)) == mask).all()
    with pytest.raises(ValueError, match="its video"):
        common.counts_of(runs, (5, 4))


@pytest.mark.parametrize(
    ("layout", "message"),
    [(None, "none of the layouts"), ("sav", "no video of layout sav"), ("mevis", "cannot be read")],
)
def test_a_folder_that_is_no_dataset(tmp_path: Path, layout: str | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        layouts.read(tmp_path, layout)


@pytest.mark.parametrize("text", ["[]", "null", '{"videos": []}', '{"videos": {"v": {"frames": 5}}}', "{", ""])
def test_broken_files_are_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "meta_expressions.json").write_text(text)
    (tmp_path / "mask_dict.json").write_text("{}")
    with pytest.raises(UserError) as caught:
        layouts.read(tmp_path, "mevis")
    assert "\n" not in str(caught.value)


def test_rounds() -> None:
    said = [Spoken("a", "", (1,)), Spoken("b", "", (1,)), Spoken("c", "", (2,)), Spoken("d", "", (1, 2))]
    assert [[s.id for s in group] for group in rounds(said)] == [["a", "c"], ["b"], ["d"]]
