"""A name that another bears by now is given up; a moment, a bad sight or another light is no reason to."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from pictures import BLUE_RGB, RED_RGB, U8, disc, frame, look_at, painted_scene, texture
from test_reidentify import RED

from stream import look as looks
from stream.entity import Entity, Look
from stream.events import EntityExited
from stream.lookback import Past
from stream.reidentify import Reidentifier
from stream.relight import relight
from stream.strangers import Strangers
from stream.view import FollowState

WHITE, BLUE = (225, 220, 215), (60, 80, 170)


def step(state: FollowState, rgb: U8, times: int, first_us: int = 0) -> list[EntityExited]:
    """Looks in a row at one picture."""
    events = []
    for i in range(times):
        view = look_at(rgb, first_us + i * 166_000)
        relight(state, view)
        events += Strangers(Reidentifier()).step(state, view)
    return events


def one(rgb: U8, mask_of: Entity, count: int = 6) -> FollowState:
    """Who is followed, and how they have looked so far: as in `rgb`."""
    mask_of.look = looks.measure(rgb, mask_of.patch, None) if mask_of.patch is not None else None
    assert mask_of.look is not None
    mask_of.look.count, mask_of.look_area = count, mask_of.reference_area
    return FollowState(entities=[mask_of])


def dressed(skirt: bool = False) -> tuple[U8, Entity]:
    """A child in white, with or without a blue skirt, before a wall of many colours; and the entity that it is."""
    rgb, who = painted_scene({1: ((160, 90), WHITE)}, 40)
    figure = disc(160, 90, 40)
    rgb[~figure] = texture()[~figure]
    if skirt:
        low = figure & (np.arange(180) >= 98)[:, None]
        rgb[low] = np.clip(np.array(BLUE) + np.random.default_rng(5).integers(-9, 10, (int(low.sum()), 3)), 0, 255)
    return rgb, who[1]


def test_who_has_become_another_gets_a_name_of_their_own() -> None:
    """The mask of 1 has moved over to somebody in blue: 1 has left, and who is there is to be asked for."""
    rgb, who = painted_scene({1: ((60, 90), BLUE_RGB)})
    e, own = who[1], who[1].look
    e.look, e.found_us = Look(RED.colour, RED.light, RED.embed, RED.aspect, 6), 0
    state = FollowState(entities=[e])
    state.frames = {1: [frame(-1), frame(0), frame(500_000)]}
    (left,) = step(state, rgb, 4)
    assert (left.entity, left.at_us) == (1, 0)
    (other,) = state.entities
    assert (other.state, other.was, other.odd_us) == ("tentative", 1, 0)
    assert looks.similarity(other.look, own) > 0.99
    assert [d.id for d in state.gallery.dormant] == [1]
    assert [f.pts_us for f in state.frames[1]] == [-1]
    assert [f.pts_us for f in state.frames[other.id]] == [0, 500_000]
    assert Reidentifier().find(state.gallery, other, (180, 320)) is None, "not the one it was just told from"


def test_who_looks_odd_for_a_moment_stays() -> None:
    rgb, who = painted_scene({1: ((60, 90), BLUE_RGB)})
    other, _ = painted_scene({1: ((60, 90), RED_RGB)})
    state = one(rgb, who[1])
    for _ in range(4):
        assert step(state, other, 3) == []
        assert step(state, rgb, 1) == []


def test_a_jump_cut_puts_another_in_the_same_place() -> None:
    """They are too alike for a mask that moves over to tell; that it came from one look to the next does."""
    (before, boy), (after, girl) = dressed(), dressed(skirt=True)
    state = one(before, boy, count=2)
    alike = looks.similarity(boy.look, looks.measure(after, girl.patch, None))
    strangers = Strangers(Reidentifier())
    assert strangers.least + 0.05 < alike < strangers.replaced
    assert step(state, before, 5) == []
    assert strangers.is_odd(boy, looks.measure(after, girl.patch, None) or RED), "nothing to learn"
    (left,) = step(state, after, 4, 1_000_000)
    assert (left.entity, left.at_us) == (1, 1_000_000)


def test_the_frame_of_a_jump_cut_is_found_between_two_looks() -> None:
    (before, boy), (after, _) = dressed(), dressed(skirt=True)
    state, past, left = one(before, boy), Past(), list[EntityExited]()
    state.frames = {1: [frame(i * 33_000) for i in range(31)]}
    for i in range(31):
        rgb = before if i < 8 else after
        past.add(i * 33_000, cv2.resize(rgb, (160, 90), interpolation=cv2.INTER_AREA))
        if i % 5 == 0:
            left += Strangers(Reidentifier()).step(state, replace(look_at(rgb, i * 33_000), past=past))
    assert [(e.at_us, e.reason) for e in left] == [(8 * 33_000, "cut")]
    (other,) = state.entities
    assert (other.first_us, state.frames[other.id][0].pts_us, state.frames[1][-1].pts_us) == (264_000, 264_000, 231_000)


@pytest.mark.parametrize("spoil", ["just come in", "slowly", "half hidden before", "half hidden after", "not found"])
def test_a_smaller_difference_is_no_other_where_it_could_be_a_bad_sight(spoil: str) -> None:
    (before, boy), (after, _) = dressed(), dressed(skirt=True)
    state, whole = one(before, boy), boy.reference_area
    boy.reference_area *= 2 if spoil == "half hidden before" else 1
    assert step(state, before, 3) == []
    boy.reference_area = whole * (1.5 if spoil == "half hidden after" else 1)
    boy.misses = int(spoil == "not found")
    boy.look_area = whole / (2 if spoil == "just come in" else 1)
    ways = np.linspace(0, 1, 12) if spoil == "slowly" else [1.0] * 8
    for i, k in enumerate(ways):
        blend = np.clip(before * (1 - k) + after * k, 0, 255).astype(np.uint8)
        assert step(state, blend, 1, 1_000_000 + i * 166_000) == []


@pytest.mark.parametrize("light", ["infrared", "dark", "warm"])
def test_another_light_makes_nobody_another(light: str) -> None:
    rgb, boy = dressed()
    grey = np.repeat(rgb.mean(axis=2, keepdims=True), 3, axis=2)
    after = {"infrared": grey, "dark": rgb * 0.4, "warm": rgb * np.array([1.0, 0.8, 0.4])}[light].astype(np.uint8)
    state = one(rgb, boy)
    assert looks.similarity(boy.look, looks.measure(after, boy.patch, None)) < 0.8
    assert step(state, rgb, 3) == []
    assert step(state, after, 8, 1_000_000) == []
    assert looks.similarity(boy.look, looks.measure(after, boy.patch, None)) > 0.99, "learnt anew"
    assert step(state, rgb, 8, 3_000_000) == []


def test_who_is_half_hidden_keeps_the_look_of_the_old_light() -> None:
    rgb, boy = dressed()
    state = one(rgb, boy)
    known = boy.look
    relight(state, look_at(rgb, 0))
    boy.reference_area *= 3
    relight(state, look_at((rgb * 0.4).astype(np.uint8), 166_000))
    assert boy.look is known
