"""Masks carried by flow, on pictures that move by a known way."""

from __future__ import annotations

import numpy as np
import pytest
from pictures import SIZE, disc, full, mask_iou, patch_of, shifted, texture

from stream.flow import Flow, flow_image, small_image


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


@pytest.mark.parametrize("size", [(60, 960), (120, 1920), (20, 300), (16, 100), (31, 401), (960, 40)])
def test_strips_are_followed(size: tuple[int, int]) -> None:
    """A camera's crop, or a wall of screens: OpenCV's flow ended the process on images of 20 to 31 lines."""
    before = texture(size=size)
    flow = Flow(image(shifted(before, 3, 0)), image(before), size)
    assert flow.camera == pytest.approx((3, 0), abs=0.6)


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
