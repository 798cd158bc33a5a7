"""Second thoughts on identity: doubles become one, switched names go back, and nothing happens without a clear lead."""

from __future__ import annotations

import numpy as np
import pytest
from pictures import BLUE_RGB, RED_RGB, U8, disc, entity, frame, look_at, painted_scene, texture
from test_reidentify import BLUE, GREEN, RED, gone

from stream import look as looks
from stream.doubles import MEETINGS, SecondThoughts
from stream.entity import Entity, Look, Met
from stream.events import Body, EntityMerged, EntitySplit
from stream.reidentify import Reidentifier
from stream.strangers import Strangers
from stream.view import FollowState


def step(state: FollowState, rgb: U8, times: int, first_us: int = 0) -> list[Body]:
    """Looks in a row at one picture. Most pictures here show none of the entities, so nobody is a stranger."""
    second_thoughts, events = SecondThoughts(Strangers(Reidentifier(), least=0.0)), list[Body]()
    for i in range(times):
        for e in state.entities:
            e.looked_us = first_us + i * 166_000
        events += second_thoughts.step(state, look_at(rgb, first_us + i * 166_000))
    return events


def seen(number: int, at: tuple[int, int], look: Look, *, born_us: int = 0, radius: int = 24) -> Entity:
    e = entity(number, disc(*at, radius))
    e.look, e.born_us = look, born_us
    e.look.count = 6
    return e


def copy_of(look: Look) -> Look:
    return Look(look.colour.copy(), look.light.copy(), look.embed.copy(), look.aspect, 6)


def test_two_in_one_place_of_which_one_is_detected_become_one() -> None:
    old, young = seen(1, (100, 90), copy_of(RED)), seen(2, (104, 90), copy_of(RED), born_us=5)
    old.misses, young.within = 3, 1
    state = FollowState(entities=[old, young])
    state.frames = {1: [frame(0, 5), frame(1, 50)], 2: [frame(1, 20), frame(2, 20)]}
    events = step(state, texture(), 10)
    (merge,) = events
    assert isinstance(merge, EntityMerged)
    assert (merge.entity, merge.merged, merge.reason) == (1, 2, "one place")
    assert [e.id for e in state.entities] == [1]
    assert [(f.pts_us, f.area) for f in state.frames[1]] == [(0, 5), (1, 50), (2, 20)]
    assert old.misses == 0


@pytest.mark.parametrize("misses", [(0, 0), (3, 3), (1, 0)])
def test_two_that_are_both_detected_or_both_not_stay_two(misses: tuple[int, int]) -> None:
    a, b = seen(1, (100, 90), copy_of(RED)), seen(2, (104, 90), copy_of(RED))
    a.misses, b.misses = misses
    b.within = 1
    assert step(FollowState(entities=[a, b]), texture(), 10) == []


def test_who_comes_behind_another_is_no_double() -> None:
    """Two that were apart before are two, however long one of them is hidden."""
    front, back = seen(1, (100, 90), copy_of(RED)), seen(2, (104, 90), copy_of(RED), born_us=5)
    back.misses = 5
    assert step(FollowState(entities=[front, back]), texture(), 10) == []
    back.within = 1
    back.box = back.box + np.float32(100)
    step(state := FollowState(entities=[front, back]), texture(), 1)
    back.box = back.box - np.float32(100)
    assert step(state, texture(), 10) == []


def test_who_looks_like_one_who_left_before_is_that_one() -> None:
    left = gone(1, with_embed(RED), seen_us=1_000_000)
    now = seen(7, (60, 90), with_embed(RED), born_us=3_000_000)
    state = FollowState(entities=[now])
    state.gallery.dormant = [left, gone(2, with_embed(BLUE, 1))]
    for known in state.gallery.dormant:
        known.look.count = 6  # type: ignore[union-attr]
    state.frames = {7: [frame(0)]}
    (merge,) = step(state, texture(), 1)
    assert isinstance(merge, EntityMerged)
    assert (merge.entity, merge.merged, merge.reason) == (1, 7, "same look")
    assert (now.id, list(state.frames), [e.id for e in state.gallery.dormant]) == (1, [1], [2])
    assert step(state, texture(), 5) == []


def with_embed(look: Look, axis: int = 0) -> Look:
    made = copy_of(look)
    made.embed = np.eye(4, dtype=np.float32)[axis]
    return made


@pytest.mark.parametrize(
    ("left_us", "look", "rival"),
    [
        (4_000_000, RED, None),  # they were there together
        (1_000_000, GREEN, None),  # looks otherwise
        (1_000_000, RED, RED),  # so does somebody else in sight
    ],
)
def test_no_merge_without_a_clear_lead(left_us: int, look: Look, rival: Look | None) -> None:
    left = gone(1, with_embed(look), seen_us=left_us)
    assert left.look is not None
    left.look.count = 6
    people = [seen(7, (60, 90), with_embed(RED), born_us=3_000_000)]
    if rival is not None:
        people.append(seen(8, (200, 90), with_embed(rival), born_us=2_000_000))
    state = FollowState(entities=people)
    state.gallery.dormant = [left]
    assert step(state, texture(), 5) == []


def test_two_that_changed_names_when_they_met_get_them_back() -> None:
    apart, who = painted_scene({1: ((60, 90), RED_RGB), 2: ((240, 90), BLUE_RGB)})
    state = FollowState(entities=[who[1], who[2]])
    assert step(state, apart, 4) == []
    together, close = painted_scene({1: ((140, 90), RED_RGB), 2: ((170, 90), BLUE_RGB)})
    for e in state.entities:
        e.patch, e.box = close[e.id].patch, close[e.id].box
    assert step(state, together, 2, 1_000_000) == []
    assert [(m.a, m.b) for m in state.met] == [(1, 2)]
    # apart again, each name on the other's body
    after, far = painted_scene({1: ((60, 90), BLUE_RGB), 2: ((240, 90), RED_RGB)})
    for e in state.entities:
        e.patch, e.box = far[e.id].patch, far[e.id].box
        e.expression = f"was {e.id}"
    state.frames = {1: [frame(900_000), frame(2_000_000, 1)], 2: [frame(2_000_000, 2)]}
    (split,) = step(state, after, 8, 2_000_000)
    assert isinstance(split, EntitySplit)
    assert (split.entity, split.into, split.since_us) == (1, 2, 2_000_000), "when they met each was still who it was"
    assert split.similarity < 0.6
    names = {round(float(e.box[0])): (e.id, e.expression) for e in state.entities}
    assert names == {36: (2, "was 2"), 216: (1, "was 1")}
    assert {k: [f.area for f in v] for k, v in state.frames.items()} == {1: [10, 2], 2: [1]}
    assert state.met == []


def test_who_left_in_anothers_name_gives_it_back() -> None:
    """The two cross at the frame's edge and one is gone at once: its body took the other's name along."""
    together, close = painted_scene({1: ((140, 90), RED_RGB), 2: ((170, 90), BLUE_RGB)})
    state = FollowState(entities=[close[1], close[2]])
    red = copy_of(close[1].look) if close[1].look is not None else None
    assert step(state, together, 2, 1_000_000) == []
    after, far = painted_scene({1: ((140, 90), BLUE_RGB)})
    stays, leaves = state.entities
    stays.patch, stays.box = far[1].patch, far[1].box
    state.entities = [stays]
    leaves.state, leaves.patch = "dormant", None
    state.gallery.dormant = [leaves]
    (split,) = step(state, after, 8, 2_000_000)
    assert isinstance(split, EntitySplit)
    assert (split.entity, split.into) == (1, 2)
    assert (stays.id, leaves.id) == (2, 1)
    assert looks.similarity(leaves.look, red) > 0.95, "who comes back in red is to be known again"


def test_one_pair_changes_back_at_a_time() -> None:
    """Three that went round: names are never lost or doubled, whatever the order in which it is noticed."""
    colours = {1: RED_RGB, 2: BLUE_RGB, 3: (40, 170, 60)}
    places = {1: (60, 90), 2: (160, 90), 3: (260, 90)}
    rgb, who = painted_scene({i: (places[i], colours[i]) for i in colours})
    state = FollowState(entities=[who[2], who[3], who[1]])
    settled = {i: copy_of(e.look) for i, e in who.items() if e.look is not None}
    for name, body in ((1, 2), (2, 3), (3, 1)):
        who[body].id, who[body].look = name, copy_of(settled[name])
    state.met = [Met(a, b, settled[a], settled[b], apart=1) for a, b in ((1, 2), (2, 3), (1, 3))]
    step(state, rgb, 12)
    assert sorted(e.id for e in state.entities) == [1, 2, 3]
    assert len(state.met) <= MEETINGS


def test_two_that_keep_their_names_are_left_alone() -> None:
    apart, who = painted_scene({1: ((60, 90), RED_RGB), 2: ((240, 90), BLUE_RGB)})
    state = FollowState(entities=[who[1], who[2]])
    together, close = painted_scene({1: ((140, 90), RED_RGB), 2: ((170, 90), BLUE_RGB)})
    _, far = painted_scene({1: ((60, 90), RED_RGB), 2: ((240, 90), BLUE_RGB)})
    for then, rgb in ((close, together), (far, apart)):
        for x in state.entities:
            x.patch, x.box = then[x.id].patch, then[x.id].box
        assert step(state, rgb, 20) == []
    assert state.met == [], "long apart: forgotten"


def test_meetings_are_bounded() -> None:
    crowd = [seen(i, (100 + i, 90), copy_of(RED)) for i in range(1, 20)]
    state = FollowState(entities=crowd)
    step(state, texture(), 1)
    assert len(state.met) <= MEETINGS
