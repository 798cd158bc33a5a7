"""Whose a detection is, where people stand behind each other: by place, and by look where place misleads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from pictures import disc, full, mask_iou, patch_of
from test_doubles import BLUE_RGB, RED_RGB, painted_scene

from engines.crops import F32, U8
from engines.detections import Detections
from stream.associate import Associate
from stream.entity import Entity
from stream.outline import Outline, Outliner
from stream.redraw import Redraw
from stream.view import FollowOptions, FollowState, View

RADIUS = 24
GREEN_RGB = (40, 180, 60)


class Discs(Outliner):
    """Draws of a box the disc that fills it, as a pose network draws the one at the centre of its crop."""

    def __init__(self) -> None:
        super().__init__(None, None)

    def kind(self, category: str) -> str:
        return "pose"

    def outline(self, rgb: U8, box: F32, *_: Any, **__: Any) -> Outline:
        return Outline(patch_of(disc((box[0] + box[2]) / 2, (box[1] + box[3]) / 2, RADIUS)), 1.0)


def detections(*places: tuple[int, int]) -> Detections:
    boxes = np.array([(x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS) for x, y in places], np.float32)
    return Detections(boxes, np.full(len(places), 0.9, np.float32), ("person",) * len(places))


def look_again(rgb: U8, people: Sequence[Entity], found: Detections, *, at_us: int = 500_000) -> FollowState:
    state, options, outliner = FollowState(entities=list(people)), FollowOptions(), Discs()
    view = View(rgb, at_us, 33_000, None, False, found)
    Associate(outliner, Redraw(outliner, options), options).step(state, view, found)
    return state


def covers(e: Entity, at: tuple[int, int]) -> bool:
    return e.patch is not None and mask_iou(full(e.patch), disc(*at, RADIUS)) > 0.8


def test_a_mask_that_went_along_with_another_does_not_take_its_detection() -> None:
    """Red has gone on behind somebody; its mask stayed on blue, who stood behind it and of whom a sliver showed."""
    rgb, people = painted_scene({1: ((100, 90), RED_RGB), 2: ((220, 90), BLUE_RGB)})
    red, blue = people[1], people[2]
    rgb, _ = painted_scene({2: ((130, 90), BLUE_RGB)})
    red.patch = patch_of(disc(130, 90, RADIUS))
    red.box = np.array([112, 66, 154, 114], np.float32)
    sliver = disc(130, 90, RADIUS)
    sliver[:, :146] = False
    blue.patch, blue.box = patch_of(sliver), np.array([122, 66, 162, 114], np.float32)
    look_again(rgb, [red, blue], detections((130, 90)))
    assert blue.misses == 0
    assert covers(blue, (130, 90))
    assert red.misses > 0


def test_one_of_whom_a_sliver_shows_is_not_found_where_somebody_else_is() -> None:
    """The sliver of green has gone along with red, who passed in front, and lies alone near red's detection."""
    rgb, people = painted_scene({1: ((220, 90), RED_RGB), 2: ((100, 90), GREEN_RGB)})
    red, green = people[1], people[2]
    sliver = disc(220, 90, RADIUS)
    sliver[:, :236] = False
    green.patch, green.box = patch_of(sliver), np.array([190, 66, 236, 114], np.float32)
    red.patch, red.box = None, np.array([150, 66, 198, 114], np.float32)
    red.state = "hidden"
    look_again(rgb, [green, red], detections((220, 90)))
    assert covers(red, (220, 90))
    assert green.misses > 0


def test_who_comes_out_beside_a_bystander_is_recalled_and_nobody_new() -> None:
    """The box touches that of a bystander, who has a detection of his own: the one left over is asked."""
    rgb, people = painted_scene({1: ((144, 90), RED_RGB), 2: ((114, 90), BLUE_RGB)})
    red, blue = people[1], people[2]
    rest = disc(144, 90, RADIUS)
    rest[:, :166] = False
    blue.patch, blue.box = patch_of(rest), np.array([160, 60, 210, 120], np.float32)
    state = look_again(rgb, [red, blue], detections((144, 90), (114, 90)))
    assert [e.id for e in state.entities] == [1, 2]
    assert covers(blue, (114, 90))


def test_a_mask_of_nothing_is_missed_though_somebody_stands_there() -> None:
    rgb, people = painted_scene({1: ((150, 90), RED_RGB), 2: ((260, 90), BLUE_RGB)})
    red, blue = people[1], people[2]
    rgb[disc(260, 90, RADIUS)] = 120  # blue has gone,
    beside = disc(170, 90, RADIUS) & ~disc(150, 90, RADIUS)
    blue.patch, blue.box = patch_of(beside), np.array([146, 66, 194, 114], np.float32)  # its mask is left on the wall
    look_again(rgb, [red, blue], detections((150, 90)))
    assert red.misses == 0
    assert blue.misses == 1


def test_who_is_covered_is_not_missed() -> None:
    rgb, people = painted_scene({1: ((150, 90), RED_RGB), 2: ((260, 90), BLUE_RGB)})
    red, blue = people[1], people[2]
    blue.patch, blue.box, blue.state = None, np.array([130, 66, 178, 114], np.float32), "hidden"
    look_again(rgb, [red, blue], detections((150, 90)))
    assert blue.misses == 0
    assert blue.patch is None


def test_who_comes_in_by_the_edge_by_which_another_leaves_is_somebody_else() -> None:
    _, people = painted_scene({1: ((30, 90), RED_RGB)})
    red = people[1]
    assert red.look is not None
    red.look.count = 5
    rest = disc(14, 90, RADIUS)
    rest[:, 24:] = False
    red.patch, red.box = patch_of(rest), np.array([0, 66, 48, 114], np.float32)
    rgb, _ = painted_scene({2: ((26, 90), GREEN_RGB)})
    state = look_again(rgb, [red], detections((26, 90)))
    assert [(e.id, e.state) for e in state.entities] == [(1, "visible"), (-1, "tentative")]
    assert covers(state.entities[1], (26, 90))


def test_who_stood_half_out_keeps_the_name_when_who_came_in_there_in_front_moves_on() -> None:
    """The mask has gone along with green; red, whom it was drawn of, comes back to sight beside."""
    rgb, people = painted_scene({1: ((150, 90), RED_RGB), 2: ((100, 90), GREEN_RGB)})
    red = people[1]
    red.patch, red.box = people[2].patch, people[2].box
    state = look_again(rgb, [red], detections((100, 90), (150, 90)))
    assert [(e.id, e.state) for e in state.entities] == [(1, "visible"), (-1, "tentative")]
    assert covers(state.entities[0], (150, 90))
    assert covers(state.entities[1], (100, 90))


def test_who_turned_and_looks_another_is_not_found_in_a_bystander() -> None:
    """Blue has turned and shows green; who is like blue in blue stays who he is."""
    _, people = painted_scene({1: ((100, 90), BLUE_RGB), 2: ((150, 90), BLUE_RGB)})
    rgb, _ = painted_scene({1: ((100, 90), GREEN_RGB), 2: ((150, 90), BLUE_RGB)})
    state = look_again(rgb, [people[1], people[2]], detections((100, 90), (150, 90)))
    assert [e.id for e in state.entities] == [1, 2]
    assert covers(state.entities[0], (100, 90))
    assert covers(state.entities[1], (150, 90))
