"""Composite scenes: the truth is what is pasted and stays in sight; a matte follows what it is of."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import pytest

from bench.composite import PLOTS, composite, moved, paste, trunk_patch
from bench.cutouts import CUTS, Sprite, differs, matte
from producers.scenes.scripts import Route, Shot
from producers.scenes.shapes import F32
from producers.synthetic import Scene
from stream.parse import parse
from tests.media import samples


def sprite(index: int = 0, n: int = 3) -> Sprite:
    """A box 20 wide and 40 high, standing at (15, 45) of 30 x 50; brighter from frame to frame."""
    rgba = np.zeros((n, 50, 30, 4), np.uint8)
    for i in range(n):
        rgba[i, 5:45, 5:25] = (200, 40 + 20 * i, 40, 255)
    return Sprite(CUTS[index], rgba, (15.0, 45.0), 40.0)


def grey(size: tuple[int, int]) -> F32:
    return np.full((size[1], size[0], 3), 90, np.float32)


def scene(*routes: Route) -> Scene:
    actors = tuple(paste(i, sprite(), r, height=40 / 100) for i, r in enumerate(routes, 1))
    return Scene("composite", 2, (160, 100), Fraction(5), 1, (Shot(0, grey, actors),))


def test_sprites_go_to_the_end_and_back() -> None:
    s = sprite()
    assert [int(s.frame(k)[10, 10, 1]) for k in range(6)] == [40, 60, 80, 60, 40, 60]


def test_truth_is_what_is_pasted_and_in_sight() -> None:
    behind, before = Route(((0, 0.5), (1, 0.5)), 0.80, 2), Route(((0, 0.55), (1, 0.55)), 0.90, 2)
    for rgb, _, truth in scene(behind, before).frames():
        ys, xs = np.nonzero(truth.masks[2])
        assert (xs.min(), xs.max() + 1, ys.min(), ys.max() + 1) == (78, 98, 50, 90)
        assert truth.masks[2].sum() == 20 * 40
        assert truth.masks[1].sum() == 20 * 40 - 12 * 30, "less what the nearer one covers"
        assert not (truth.masks[1] & truth.masks[2]).any()
        red = rgb[..., 0].astype(int) - rgb[..., 2] > 100
        assert (red == (truth.masks[1] | truth.masks[2])).all(), "the picture shows them just there"


def test_who_is_outside_is_not_in_the_truth() -> None:
    seen = [1 in t.masks for _, _, t in scene(Route(((0, 0.5), (0.5, 1.3), (1, 1.3)), 0.9, 2)).frames()]
    assert seen[0]
    assert not seen[-1]


def test_parts_of_a_pixel() -> None:
    patch = moved(np.full((4, 4, 3), 100, np.float32), np.ones((4, 4), np.float32), 10.5, 20.0, (100, 100))
    assert patch is not None
    assert (patch.left, patch.top) == (10, 20)
    assert patch.alpha[0].tolist() == pytest.approx([0.5, 1, 1, 1, 0.5], abs=0.02)
    assert moved(patch.rgb, patch.alpha, 200, 0, (100, 100)) is None


def test_a_matte_finds_the_border_that_the_network_blurred() -> None:
    rng = np.random.default_rng(1)
    rgb = np.clip(rng.normal((60, 120, 60), 8, (200, 200, 3)), 0, 255).astype(np.uint8)
    rgb[50:150, 70:130] = np.clip(rng.normal((190, 60, 60), 8, (100, 60, 3)), 0, 255).astype(np.uint8)
    levels = np.zeros((200, 200), np.uint8)
    cv2.ellipse(levels, (100, 100), (32, 52), 0, 0, 360, 255, -1)
    box = np.array([66, 46, 134, 154], np.float32)
    alpha = matte(rgb, levels, box) >= 128
    true = np.zeros((200, 200), bool)
    true[50:150, 70:130] = True
    assert (alpha & ~true).sum() < 0.02 * true.sum()
    assert (alpha & true).sum() > 0.85 * true.sum()


def test_shadows_and_leashes_are_not_the_dog() -> None:
    plate = np.full((100, 160, 3), 180, np.uint8)
    rgb = plate.copy()
    rgb[60:90, 20:60] = 140  # a shadow
    rgb[50:52, 0:160] = 10  # a leash
    rgb[20:60, 90:140] = (210, 190, 150)  # a dog
    mask = differs(rgb, plate) > 0
    assert mask[25:47, 95:135].all()
    assert not mask[:, :80].any()


def test_expressions_tell_cut_outs_apart() -> None:
    meant = [parse(c.expression) for c in CUTS]
    assert [(m.category, m.unknown) for m in meant] == [(c.category, ()) for c in CUTS]
    assert len({(m.category, m.attributes) for m in meant}) == len(CUTS)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(len(PLOTS)))
def test_every_plot_over_real_ground(seed: int) -> None:
    sprites = [sprite(i) for i in range(len(CUTS))]
    clips = samples()
    frames = []
    for _ in range(2):
        s = composite(sprites, clips, seed, seconds=6, size=(160, 90), fps=Fraction(2))
        frames.append([(rgb, truth.masks) for rgb, _, truth in s.frames()])
    assert 2 <= len(s.entities) <= 4
    for (rgb, masks), (again, same) in zip(*frames, strict=True):
        assert (rgb == again).all()
        assert masks.keys() == same.keys()
    assert {e for _, masks in frames[0] for e in masks} == {e.entity for e in s.entities}


def test_the_trunk_stands_in_the_middle() -> None:
    patch = trunk_patch(samples(), (640, 360))
    middle = patch.left + patch.alpha.shape[1] / 2
    assert middle == pytest.approx(320, abs=1)
    assert patch.alpha.max() == pytest.approx(1)
    assert 0.1 < (patch.alpha >= 0.5).mean() * patch.alpha.size / (640 * 360) < 0.3
