"""Whether a newcomer is somebody who is still followed, elsewhere and by mistake; and what is drawn of nobody."""

from __future__ import annotations

import numpy as np
import pytest
from pictures import BLUE_RGB, RED_RGB, U8, disc, look_at, painted_scene, patch_of
from test_associate import Discs

from stream import look as looks
from stream.entity import Entity
from stream.masklets import Masklets, _may_be
from stream.reidentify import Reidentifier
from stream.view import FollowState


@pytest.mark.parametrize(
    ("newcomer", "where", "found_us", "answer"),
    [
        ("red", (60, 90), 0, "yes"),  # looks like it, and what is drawn of it does not
        ("half", (62, 92), 0, "yes"),  # like it by half, but stands where it was last detected
        ("half", (110, 90), 0, "wait"),
        ("blue", (62, 92), 0, "no"),
        ("red", (60, 90), 900_000, "wait"),  # what bears its name is still detected, and looks like another
    ],
)
def test_a_mask_that_has_gone_along_with_somebody_else(
    newcomer: str, where: tuple[int, int], found_us: int, answer: str
) -> None:
    """1 in red stood at (60, 90) and was covered; its mask has gone along with 2 in blue, to (220, 90)."""
    _, before = painted_scene({1: ((60, 90), RED_RGB)})
    rgb, now = painted_scene({2: ((220, 90), BLUE_RGB), 3: (where, BLUE_RGB if newcomer == "blue" else RED_RGB)})
    one, new = before[1], now[3]
    if newcomer == "half":
        rgb[where[1] :, where[0] - 30 : where[0] + 30] = BLUE_RGB
        assert new.patch is not None
        new.look = looks.measure(rgb, new.patch, None)
    one.found_box, one.found_us = one.box.copy(), found_us
    one.patch, one.box = now[2].patch, now[2].box
    new.first_us = 500_000
    assert _may_be(one, new, rgb) == answer


def hiding(drawn: tuple[int, int], radius: float, misses: int = 0) -> tuple[Entity, U8, FollowState]:
    """1 in red stands behind 2 in blue; a mask of `radius` is drawn of it at `drawn`, in frames of 0.1 s."""
    rgb, who = painted_scene({1: ((100, 90), RED_RGB), 2: ((150, 90), BLUE_RGB)})
    one = who[1]
    one.box = one.box + np.float32([30, 0, 30, 0])
    one.patch, one.misses, one.seen_us = patch_of(disc(*drawn, radius)), misses, 400_000
    one.velocity = (900.0, 0.0)
    return one, rgb, FollowState(entities=[one, who[2]])


def settle(state: FollowState, rgb: U8, at_us: int) -> None:
    Masklets(Discs(), None, Reidentifier())._settle(state, look_at(rgb, at_us))


def test_what_is_left_of_a_mask_on_who_stands_in_front_is_not_shown() -> None:
    one, rgb, state = hiding(drawn=(150, 80), radius=12)
    settle(state, rgb, 500_000)
    assert one.patch is not None, "it is followed on from there"
    assert (one.shown, one.seen_us) == (None, 400_000)
    one.box = one.box + 400  # where it is thought to be by now, out of the frame
    one.patch = patch_of(disc(150, 80, 2))
    settle(state, rgb, 600_000)
    assert (one.state, one.reason) == ("hidden", "occluded"), "it went behind, and did not leave by the edge"


def test_who_comes_out_from_behind_is_shown_again() -> None:
    one, rgb, state = hiding(drawn=(150, 80), radius=12)
    settle(state, rgb, 500_000)
    one.patch = patch_of(disc(95, 90, 12))
    settle(state, rgb, 600_000)
    assert (one.shown, one.seen_us) == (one.patch, 600_000)


def test_a_ghost_does_not_flicker() -> None:
    """What is no worse than before, by a hair, is a ghost still; what the detector finds there is not."""
    one, rgb, state = hiding(drawn=(150, 80), radius=12)
    settle(state, rgb, 500_000)
    assert one.ghost
    rgb[60:100, 138:148] = RED_RGB  # a rim of it in the mask
    settle(state, rgb, 600_000)
    assert one.ghost
    one.ghost = False
    settle(state, rgb, 700_000)
    assert not one.ghost, "by itself it would pass"
    one.ghost, one.found_us = True, 800_000
    settle(state, rgb, 800_000)
    assert not one.ghost


def test_a_part_that_looks_like_one_half_is_no_ghost() -> None:
    """Of who is red above and blue below the blue half alone shows."""
    one, rgb, state = hiding(drawn=(150, 80), radius=12, misses=2)
    both = rgb.copy()
    both[90:, 60:130] = BLUE_RGB
    one.look = looks.measure(both, patch_of(disc(100, 90, 24)), None)
    settle(state, rgb, 500_000)
    assert one.shown is one.patch


@pytest.mark.parametrize(
    ("drawn", "radius", "category"), [((95, 90), 8, "person"), ((150, 90), 20, "person"), ((150, 80), 12, "dog")]
)
def test_what_may_be_it_is_shown(drawn: tuple[int, int], radius: float, category: str) -> None:
    """A part of it; most of it, however it looks; what no network tells from its neighbours."""
    one, rgb, state = hiding(drawn, radius)
    one.category = category
    settle(state, rgb, 500_000)
    assert one.shown is one.patch
