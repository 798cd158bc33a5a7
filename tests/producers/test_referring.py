"""Referring scenes: the same every time, truth exact under a moving camera, expressions true of one only."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from producers.scenes.camera import Camera, see_patch
from producers.scenes.referring import PLOTS, plot_of
from producers.scenes.shapes import Patch
from producers.synthetic import GroundTruth, Scene, make_scene
from stream import colours
from stream.parse import parse
from stream.patch import Patch as Outlined

SEEDS = range(2 * len(PLOTS))


def scene(seed: int, more: str = "&seconds=6&fps=3&size=320x180") -> Scene:
    return make_scene(f"synthetic:referring?seed={seed}{more}")


def seen(s: Scene) -> list[set[int]]:
    return [set(truth.masks) for _, _, truth in s.frames()]


@pytest.mark.parametrize("seed", range(len(PLOTS)))
def test_the_same_every_time_and_a_pixel_is_seen_of_one_only(seed: int) -> None:
    tiny = "&seconds=6&fps=1&size=160x90"
    for (rgb, _, truth), (again, _, other) in zip(scene(seed, tiny).frames(), scene(seed, tiny).frames(), strict=True):
        assert (rgb == again).all()
        assert truth.masks.keys() == other.masks.keys()
        assert all((m == other.masks[e]).all() for e, m in truth.masks.items())
        assert np.max(sum(m.astype(int) for m in truth.masks.values()), initial=0) <= 1


@pytest.mark.parametrize("seed", SEEDS)
def test_expressions_are_understood_and_tell_everybody_apart(seed: int) -> None:
    entities = scene(seed).entities
    said = [text for e in entities for text in e.expressions]
    assert 2 <= len(entities) <= 9
    assert len(set(said)) == len(said)
    meanings = []
    for e in entities:
        for text in e.expressions:
            parsed = parse(text)
            assert (parsed.category, parsed.unknown, parsed.plural) == (e.category, (), False)
            meanings.append((parsed.category, parsed.attributes))
    assert len(set(meanings)) == len(meanings)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(len(PLOTS)))
def test_a_top_has_the_colour_it_is_said_to_have(seed: int) -> None:
    s = scene(seed, "&seconds=6&fps=4&size=640x360")
    best: dict[int, tuple[int, float]] = {}
    tops = {
        e.entity: next((a.value for a in parse(e.expressions[0]).attributes if a.part in ("top", "whole")), "")
        for e in s.entities
    }
    for rgb, _, truth in s.frames():
        for entity, mask in truth.masks.items():
            if tops[entity] and mask.sum() > best.get(entity, (0, 0.0))[0]:
                patch = Outlined(0, 0, (mask * 255).astype(np.uint8))
                part = "top" if s.entities[entity - 1].category == "person" else "whole"
                shares = colours.parts(rgb, patch, None)[part]
                best[entity] = (int(mask.sum()), colours.likeness(shares, tops[entity]))
    assert best
    assert min(fit for _, fit in best.values()) > 0.45, {tops[e]: fit for e, (_, fit) in best.items()}


@pytest.mark.parametrize(
    ("plot", "happens"), [("re-entry", (True, False, True)), ("late-entry", (False, True)), ("exit", (True, False))]
)
def test_plots_do_what_they_say(plot: str, happens: tuple[bool, ...]) -> None:
    for seed in (s for s in SEEDS if plot_of(s) == plot):
        s = scene(seed, "&seconds=6&fps=4&size=160x90")
        who = seen(s)
        stays = [tuple(x for i, x in enumerate(row) if not i or x != row[i - 1]) for row in
                 ([e.entity in frame for frame in who] for e in s.entities)]  # fmt: skip
        assert happens in stays, (seed, stays)


def test_a_cut_changes_the_shot_and_one_person_is_in_both() -> None:
    truths = [t for _, _, t in scene(PLOTS.index("cut")).frames()]
    assert [t.shot for t in truths] == sorted(t.shot for t in truths)
    assert {t.shot for t in truths} == {0, 1}
    assert set(truths[0].masks) & set(truths[-1].masks) == {1}


def test_a_camera_that_rests_on_the_whole_world_changes_nothing() -> None:
    bare = scene(PLOTS.index("re-entry"))
    filmed = replace(
        bare, shots=tuple(replace(s, camera=Camera(1.0, ((0, 0.5, 0.5, 1), (1, 0.5, 0.5, 1)))) for s in bare.shots)
    )
    for (rgb, _, truth), (other, _, same) in zip(bare.frames(), filmed.frames(), strict=True):
        assert (rgb == other).all()
        assert all((m == same.masks[e]).all() for e, m in truth.masks.items())


def test_a_seen_patch_is_where_the_view_says() -> None:
    patch = Patch.empty(100, 50, 40, 20)
    patch.alpha[:], patch.rgb[:] = 1, 200
    seen = see_patch(patch, (80, 40, 0.5), (160, 90))
    assert seen is not None
    ys, xs = np.nonzero(seen.alpha >= 0.5)
    assert (seen.left + xs.min(), seen.left + xs.max() + 1) == (10, 30)
    assert (seen.top + ys.min(), seen.top + ys.max() + 1) == (5, 15)
    assert see_patch(patch, (400, 40, 1.0), (160, 90)) is None


def test_truth_follows_the_moving_camera() -> None:
    """Where the true mask is, the picture is another than the ground alone; where none is, the same."""
    s = scene(PLOTS.index("pan"), "&seconds=6&fps=1&size=320x180")
    empty = replace(s, shots=tuple(replace(shot, actors=()) for shot in s.shots))
    shown: list[GroundTruth] = []
    for (rgb, _, truth), (ground, _, _) in zip(s.frames(), empty.frames(), strict=True):
        shown.append(truth)
        differs = np.abs(rgb.astype(int) - ground.astype(int)).max(axis=2) > 40
        mask = np.zeros(differs.shape, bool)
        for m in truth.masks.values():
            mask |= m
        near = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
        assert (differs & ~near).sum() < 0.12 * max(1, mask.sum()), "shadows only"
        assert (differs & mask).sum() > 0.5 * mask.sum()
    assert len({t.shot for t in shown}) == 1
