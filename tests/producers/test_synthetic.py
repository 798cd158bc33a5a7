"""Synthetic scenes: the same every time, and their truth is true."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from chunks import frames_of, pieces_of
from pycocotools import mask as coco

from engines.errors import UserError
from producers.scenes.scripts import SCENES
from producers.sources import SceneSource
from producers.synthetic import make_scene
from producers.truth import read_truth, write_truth

SMALL = "?seconds=4&size=320x180&fps=15"


def _seen(name: str) -> list[set[int]]:
    """Who can be seen, frame by frame."""
    return [set(truth.masks) for _, _, truth in make_scene(f"synthetic:{name}{SMALL}").frames()]


@pytest.mark.parametrize("name", SCENES)
def test_a_scene_is_the_same_every_time(name: str) -> None:
    pairs = zip(make_scene(name + SMALL).frames(), make_scene(f"synthetic:{name}{SMALL}").frames(), strict=True)
    for i, ((rgb, pts_us, truth), (again, _, truth_again)) in enumerate(pairs):
        assert rgb.shape == (180, 320, 3)
        assert pts_us == round(i * 1_000_000 / 15)
        assert (rgb == again).all()
        assert all((truth.masks[e] == truth_again.masks[e]).all() for e in truth.masks)
        together = sum(m.astype(int) for m in truth.masks.values())
        assert np.max(together) <= 1, "a pixel is seen of one entity only"
        if i > 12:
            break


def test_seed_changes_the_picture() -> None:
    one, two = (next(iter(make_scene(f"two-people{SMALL}&seed={s}").frames()))[0] for s in (1, 2))
    assert (one != two).mean() > 0.5


def test_two_people_cross_and_both_stay() -> None:
    frames = [t for _, _, t in make_scene("two-people" + SMALL).frames()]
    centres = np.array([[np.nonzero(t.masks[e])[1].mean() for e in (1, 2)] for t in frames])
    order = np.sign(centres[:, 0] - centres[:, 1])
    assert (np.diff(order[order != 0]) != 0).sum() == 2, "they pass each other twice"
    hidden = [t.masks[2].sum() for t in frames]
    assert min(hidden) < 0.75 * max(hidden), "the one in front hides a part of the other"


def test_exit_and_reentry() -> None:
    seen = [1 in who for who in _seen("exit-reentry")]
    assert [seen[0], seen[len(seen) // 2 - 2], seen[-1]] == [True, False, True]
    assert sum(a != b for a, b in itertools.pairwise(seen)) == 2


def test_late_entry() -> None:
    seen = _seen("late-entry")
    assert seen[0] == {1}
    assert seen[-1] == {1, 2, 3}


def test_cut_changes_shot_and_people() -> None:
    shots = [(t.shot, set(t.masks)) for _, _, t in make_scene("cut" + SMALL).frames()]
    assert shots == [(0, {1, 2})] * 30 + [(1, {3, 4})] * 30


def test_pillar_hides_all_of_a_person() -> None:
    seen = [1 in who for who in _seen("behind-pillar")]
    assert sum(a != b for a, b in itertools.pairwise(seen)) == 4


def test_people_have_human_size() -> None:
    _, _, truth = next(iter(make_scene("two-people").frames()))
    for mask in truth.masks.values():
        rows = np.flatnonzero(mask.any(axis=1))
        assert 0.5 <= (rows[-1] - rows[0] + 1) / mask.shape[0] <= 0.67


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("synthetic:nobody", "there is no synthetic scene 'nobody'; there are two-people"),
        ("synthetic:cut?colour=red", "has no option 'colour'"),
        ("synthetic:cut?seconds=soon", "cannot read"),
        ("synthetic:cut?fps=1/0", "cannot read"),
        ("synthetic:cut?size=10x10", "out of bounds"),
        ("synthetic:cut?seconds=-1", "out of bounds"),
    ],
)
def test_bad_specs(spec: str, message: str) -> None:
    with pytest.raises(UserError, match=message.replace("?", r"\?")):
        make_scene(spec)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools 2.0.11's decode
def test_truth_file(tmp_path: Path) -> None:
    scene = make_scene("cut?seconds=1&size=160x96&fps=8")
    write_truth(scene, tmp_path / "truth.jsonl")
    lines = list(read_truth(tmp_path / "truth.jsonl"))
    assert len(lines) == 8
    for line, (_, pts_us, truth) in zip(lines, scene.frames(), strict=True):
        assert (line.pts_us, line.shot, {e.entity for e in line.entities}) == (pts_us, truth.shot, set(truth.masks))
        for e in line.entities:
            mask = coco.decode({"size": list(e.rle.size), "counts": e.rle.counts.encode()})
            assert (mask.astype(bool) == truth.masks[e.entity]).all()


@pytest.mark.slow
def test_scene_as_a_source() -> None:
    scene = make_scene("two-people?seconds=2.5&size=320x180&fps=30000/1001")
    pieces = pieces_of(SceneSource(scene))
    assert [p.frames for p in pieces] == [30, 30, 14]
    assert {(p.codec, p.reencoded) for p in pieces} == {("vp9", False)}
    frames = frames_of(pieces, "rgb24")
    for frame, (rgb, pts_us, _) in zip(frames, scene.frames(), strict=True):
        assert round(frame.time * 1_000_000) == pts_us
        error = np.mean((frame.planes.astype(float) - rgb.ravel()) ** 2)
        assert 10 * np.log10(255**2 / error) > 33  # RGB through 4:2:0
