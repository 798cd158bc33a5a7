"""A feed's state survives its way through bytes, and an interrupted pipeline goes on as if nothing had been."""

from __future__ import annotations

import zlib
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stream.entity import Entity, Gallery, Look, Met, Sight, Traits
from stream.patch import Patch
from stream.pressure import Pressure, Skipped
from stream.refer import Query
from stream.state import FeedState, RecentChunk, restore, snapshot

FLOATS = st.floats(-1e6, 1e6, width=32)
TIMES = st.integers(-1, 2**60)


def same(a: Any, b: Any) -> bool:
    """Equality that goes into arrays, bit for bit, types included."""
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, msgspec.Struct):
        return type(a) is type(b) and all(same(getattr(a, f), getattr(b, f)) for f in a.__struct_fields__)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    return type(a) is type(b) and a == b


def arrays(dtype: type, *shape: int) -> st.SearchStrategy[np.ndarray]:
    return hnp.arrays(dtype, shape, elements=FLOATS if dtype is np.float32 else None)


LOOKS = st.builds(
    Look, arrays(np.float32, 2, 6), arrays(np.float32, 2), st.sampled_from([0, 5]).flatmap(
        lambda n: arrays(np.float32, n)), FLOATS, st.integers(1, 9),
)  # fmt: skip
MAPS = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2))
PATCHES = st.builds(Patch, st.integers(0, 99), st.integers(0, 99), MAPS)
SIGHTS = st.builds(Sight, TIMES, *[FLOATS] * 6, st.none() | arrays(np.float32, 3, 3))
SHARED = st.dictionaries(st.text(max_size=3), FLOATS, max_size=2)
TRAITS = st.builds(
    Traits, st.dictionaries(st.sampled_from(["top", "whole"]), arrays(np.float32, 4)), FLOATS, FLOATS, width=FLOATS,
    growth=FLOATS, postures=SHARED, named=SHARED,
)  # fmt: skip
MEETINGS = st.builds(Met, st.integers(1, 99), st.integers(1, 99), LOOKS, LOOKS, TIMES, st.integers(0, 9))
ENTITIES = st.builds(
    Entity,
    st.integers(-99, 99),
    st.sampled_from(["person", "dog"]),
    st.sampled_from(["tentative", "visible", "hidden"]),
    TIMES,
    TIMES,
    arrays(np.float32, 4),
    st.none() | PATCHES,
    look=st.none() | LOOKS,
    sights=st.lists(SIGHTS, max_size=2),
    velocity=st.tuples(FLOATS, FLOATS),
    traits=TRAITS,
    votes=SHARED,
    born_us=TIMES,
    within=st.integers(0, 99),
    odd=st.integers(0, 9),
    odd_us=TIMES,
    was=st.integers(0, 99),
    was_alike=FLOATS,
)
SHARES = st.floats(0, 1)
REGIONS = st.lists(st.tuples(SHARES, SHARES), max_size=4).map(tuple)
QUERIES = st.builds(
    Query, st.text(), st.text(), st.dictionaries(st.integers(1, 99), FLOATS, max_size=2), roi=REGIONS,
    fits=st.dictionaries(st.integers(1, 99), st.lists(FLOATS, max_size=3), max_size=2), rebound=st.integers(0, 9),
)  # fmt: skip
PRESSURES = st.builds(Pressure, st.integers(0, 3), st.integers(0, 9), st.integers(0, 99), st.booleans())


@st.composite
def states(draw: st.DrawFn) -> FeedState:
    state = FeedState(draw(st.text(min_size=1, max_size=5)), seq=draw(TIMES), last_us=draw(TIMES), scale=draw(FLOATS))
    state.follow.entities = draw(st.lists(ENTITIES, max_size=2))
    state.follow.gallery = Gallery(draw(st.lists(ENTITIES, max_size=1)))
    state.follow.met = draw(st.lists(MEETINGS, max_size=2))
    state.follow.doubles = draw(st.dictionaries(st.text(max_size=3), st.integers(0, 9), max_size=2))
    state.follow.next_id = draw(st.integers(1, 10**9))
    state.refer.queries = draw(st.lists(QUERIES, max_size=2))
    state.recent = draw(st.lists(st.builds(RecentChunk, TIMES, TIMES, TIMES, st.integers(1, 2)), max_size=2))
    state.pressure, state.scan.level = draw(PRESSURES), draw(st.integers(0, 3))
    state.skipped = draw(st.none() | st.builds(Skipped, TIMES, TIMES, st.text()))
    state.unread_queries = draw(st.dictionaries(st.text(), TIMES, max_size=2))
    state.scan.masks = draw(st.lists(REGIONS, max_size=2))
    state.scan.motion.energy = draw(st.none() | arrays(np.float32, 5, 7))
    state.scan.clip.cuts.image = draw(st.none() | hnp.arrays(np.uint8, (4, 6, 3)))
    return state


@settings(max_examples=40, deadline=None)
@given(states())
def test_round_trip(state: FeedState) -> None:
    data = snapshot(state)
    again = restore(data)
    assert same(state, again)
    assert snapshot(again) == data, "bytes are a function of the state"


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(states())
def test_restored_arrays_can_be_written(state: FeedState) -> None:
    for e in restore(snapshot(state)).follow.entities:
        e.box += 1
        if e.look is not None:
            e.look.colour *= 2


def test_images_of_the_past_stay_where_they_are() -> None:
    state = FeedState("feed")
    for i in range(4):
        state.past.add(1000 + i, np.full((90, 160), i, np.uint8))
    data = snapshot(state)
    assert [int(i[0, 0]) for i in state.past.images] == [0, 1, 2, 3], "the living state keeps them"
    again = restore(data)
    assert (again.past.images, again.past.times, again.past_from_us) == ([], [], 1000)
    assert len(data) < 2000


@pytest.mark.parametrize(
    ("data", "says"),
    [(b"", "does not read"), (b"junk", "does not read"), (zlib.compress(b"\x93\x01"), "does not read")],
)
def test_damaged(data: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        restore(data)
    with pytest.raises(ValueError, match="does not read"):
        restore(snapshot(FeedState("feed"))[:-7])


def test_of_another_version() -> None:
    old = FeedState("feed", seq=7, rejected=2, last_us=99)
    old.follow.next_id, old.scan.clip.segment = 12, 3
    _, kept, body = msgspec.msgpack.decode(zlib.decompress(snapshot(old)))
    state = restore(zlib.compress(msgspec.msgpack.encode([999, kept, {**body, "from_the_future": 1}])))
    assert (state.feed, state.seq, state.rejected) == ("feed", 7, 2)
    assert (state.follow.next_id, state.scan.clip.segment) == (12, 3), "no id is given out twice"
    assert (state.started, state.last_us, state.follow.entities) == (False, -1, []), "all else begins anew"
