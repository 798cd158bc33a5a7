"""Masks carried by flow, forward and back, on pictures that move by a known way."""

from __future__ import annotations

import numpy as np
import pytest
from pictures import SIZE, disc, full, mask_iou, patch_of, shifted, texture

from stream.flow import Flow, flow_image, small_image
from stream.lookback import Past, trace_back


def image(picture: np.ndarray) -> np.ndarray:
    return flow_image(small_image(picture))


@pytest.mark.parametrize(("dx", "dy"), [(0, 0), (3, 0), (-5, 2), (4.5, -3.5), (9, 4)])
def test_mask_goes_with_the_picture(dx: float, dy: float) -> None:
    before = texture()
    flow = Flow(image(shifted(before, dx, dy)), image(before), SIZE)
    carried = flow.carry(patch_of(disc(150, 90, 40)))
    assert mask_iou(full(carried), disc(150 + dx, 90 + dy, 40)) > 0.93
    assert flow.camera == pytest.approx((dx, dy), abs=0.4)
    assert flow.motion(carried) == pytest.approx((dx, dy), abs=0.4)


def test_large_frames_are_followed_at_a_smaller_size() -> None:
    size = (720, 1280)
    before = texture(size=size)
    flow = Flow(image(shifted(before, 12, -6)), image(before), size)
    assert max(flow.field.shape) <= 480
    carried = flow.carry(patch_of(disc(600, 300, 150, size)))
    assert mask_iou(full(carried, size), disc(612, 294, 150, size)) > 0.95


def test_what_moves_in_a_still_picture() -> None:
    ground, thing = texture(1), texture(2)
    pictures = []
    for x in (140, 146):
        picture = ground.copy()
        picture[disc(x, 90, 30)] = shifted(thing, x, 0)[disc(x, 90, 30)]
        pictures.append(picture)
    flow = Flow(image(pictures[1]), image(pictures[0]), SIZE)
    assert flow.camera == pytest.approx((0, 0), abs=0.3)
    carried = flow.carry(patch_of(disc(140, 90, 30)))
    assert mask_iou(full(carried), disc(146, 90, 30)) > 0.85
    assert flow.motion(carried) == pytest.approx((6, 0), abs=1)


def test_mask_leaves_at_the_border() -> None:
    patch = patch_of(disc(300, 90, 30))
    area = patch.area
    picture = texture()
    for _ in range(12):
        after = shifted(picture, 6, 0)
        patch = Flow(image(after), image(picture), SIZE).carry(patch)
        picture = after
    assert patch.area < 0.1 * area
    assert full(patch).shape == SIZE


def test_traced_back_to_the_beginning() -> None:
    past, picture = Past(), texture()
    for i in range(10):
        past.add(i * 100_000, image(shifted(picture, 4 * i, -i)))
    found = trace_back(past, patch_of(disc(180, 80, 30)), 900_000, SIZE)
    assert [t for t, _ in found] == [i * 100_000 for i in range(8, -1, -1)]
    for t, patch in found:
        i = t // 100_000
        assert mask_iou(full(patch), disc(180 - 4 * (9 - i), 80 + (9 - i), 30)) > 0.85


def test_not_traced_over_a_change() -> None:
    """What was there before looks otherwise: the trace ends, it does not invent."""
    past = Past()
    for i in range(8):
        past.add(i * 100_000, image(texture(seed=0 if i < 4 else 1)))
    found = trace_back(past, patch_of(disc(160, 90, 30)), 700_000, SIZE)
    assert [t for t, _ in found] == [600_000, 500_000, 400_000]
    assert trace_back(past, patch_of(disc(160, 90, 30)), 650_000, SIZE) == [], "no such frame"


def test_the_past_is_bounded() -> None:
    past = Past(window_us=500_000)
    for i in range(1000):
        past.add(i * 33_333, np.zeros((2, 2), np.uint8))
    assert len(past.images) == len(past.times) == 16
    assert past.times[-1] - past.times[0] <= 500_000
    past.clear()
    assert (past.times, past.images) == ([], [])
