"""Where a mask's pixels are in another frame, against shifts that are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import SIZE, disc, patch_of, shifted, texture

from stream.flow import flow_image
from stream.shift import shift_of

STILL = np.zeros(2)


@given(
    st.integers(0, 50),
    st.floats(-14, 14),
    st.floats(-14, 14),
    st.floats(0, SIZE[1] - 1),
    st.floats(0, SIZE[0] - 1),
    st.floats(9, 30),
)
def test_any_shift_is_found_wherever_enough_stays_in_sight(
    seed: int, dx: float, dy: float, x: float, y: float, radius: float
) -> None:
    picture = texture(seed)
    mask = disc(x, y, radius)
    stays = disc(x + dx, y + dy, radius).sum()
    if stays < max(150, 0.4 * mask.sum()):
        return
    found = shift_of(patch_of(mask), flow_image(picture), flow_image(shifted(picture, dx, dy)), STILL, 16)
    assert found is not None
    assert found == pytest.approx((dx, dy), abs=0.5)


def test_what_only_the_mask_covers_counts() -> None:
    """A thing that moves over ground that moves otherwise."""
    ground, thing = texture(1), texture(2)
    before, now = ground.copy(), shifted(ground, 5, 0)
    before[disc(150, 90, 20)] = thing[disc(150, 90, 20)]
    now[disc(143, 92, 20)] = shifted(thing, -7, 2)[disc(143, 92, 20)]
    found = shift_of(patch_of(disc(143, 92, 20)), flow_image(now), flow_image(before), STILL, 12)
    assert found == pytest.approx((7, -2), abs=0.5)


def test_where_nothing_tells_shifts_apart_the_expected_one_is_taken() -> None:
    grey = np.full(SIZE, 90, np.uint8)
    assert shift_of(patch_of(disc(150, 90, 20)), grey, grey, np.array([3.0, -2.0]), 8) == pytest.approx((3, -2))


def test_out_of_sight() -> None:
    grey = flow_image(texture())
    assert shift_of(patch_of(disc(2, 90, 8)), grey, grey, np.array([-40.0, 0.0]), 8) is None
