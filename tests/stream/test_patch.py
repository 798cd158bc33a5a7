"""Patches: masks in windows behave like the masks of the full frame they stand for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kernels.iou import box_iou
from stream.patch import HALF, Patch, intersect, iou, shared_area, to_levels, window_of

SIZE = (48, 64)


@st.composite
def patches(draw: st.DrawFn) -> Patch:
    h, w = draw(st.integers(1, 16)), draw(st.integers(1, 16))
    x0, y0 = draw(st.integers(0, SIZE[1] - w)), draw(st.integers(0, SIZE[0] - h))
    return Patch(x0, y0, draw(hnp.arrays(np.uint8, (h, w))))


def full(patch: Patch) -> np.ndarray:
    return patch.on((0, 0, SIZE[1], SIZE[0])) >= HALF


@given(patches(), patches())
def test_set_operations_are_those_of_full_masks(a: Patch, b: Patch) -> None:
    fa, fb = full(a), full(b)
    assert a.area == fa.sum()
    assert shared_area(a, b) == (fa & fb).sum()
    union = (fa | fb).sum()
    assert iou(a, b) == pytest.approx((fa & fb).sum() / union if union else 0.0)
    assert (full(a.without(b.mask, b.window)) == (fa & ~fb)).all()
    inside = np.zeros(SIZE, bool)
    x0, y0, x1, y1 = b.window
    inside[y0:y1, x0:x1] = True
    assert (full(a.within(b.window)) == (fa & inside)).all()


@given(patches())
def test_trim_keeps_the_mask_and_box(patch: Patch) -> None:
    small = patch.trim()
    assert (full(small) == full(patch)).all()
    box, mask = patch.box(), full(patch)
    if box is None:
        assert not mask.any()
        return
    x0, y0, x1, y1 = (int(v) for v in box)
    assert mask[y0:y1, x0:x1].sum() == mask.sum()
    assert mask[y0].any()
    assert mask[y1 - 1].any()
    assert mask[:, x0].any()
    assert mask[:, x1 - 1].any()


@given(patches(), st.integers(0, 40), st.integers(0, 30))
def test_on_another_window(patch: Patch, x0: int, y0: int) -> None:
    seen = patch.on((x0, y0, x0 + 20, y0 + 15)) >= HALF
    wanted = np.zeros((SIZE[0] + 20, SIZE[1] + 20), bool)
    wanted[: SIZE[0], : SIZE[1]] = full(patch)
    assert (seen == wanted[y0 : y0 + 15, x0 : x0 + 20]).all()


def test_levels_are_logits() -> None:
    patch = Patch.of_logits(3, 4, np.array([[-10, -0.01, 0, 0.5, 10]], np.float32))
    assert patch.mask.tolist() == [[False, False, True, True, True]]
    assert to_levels(np.float32([-4, 4])).tolist() == [0, 255]
    assert patch.window == (3, 4, 8, 5)


def test_main_part_drops_specks() -> None:
    levels = np.zeros((20, 20), np.uint8)
    levels[2:12, 2:12] = 200
    levels[15:17, 15:17] = 200  # 4 of 100 pixels
    levels[15:20, 2:8] = 200  # 30 of 100: a part of it
    kept = Patch(0, 0, levels).main_part()
    assert kept.area == 130
    assert not kept.mask[15:17, 15:17].any()


@given(
    hnp.arrays(np.float64, (4,), elements=st.floats(-50, 150)),
    st.floats(0, 0.5),
)
def test_window_is_inside_and_not_empty(corners: np.ndarray, grow: float) -> None:
    box = np.concatenate([np.minimum(corners[:2], corners[2:]), np.maximum(corners[:2], corners[2:])])
    x0, y0, x1, y1 = window_of(box, SIZE, grow=grow)
    assert 0 <= x0 < x1 <= SIZE[1]
    assert 0 <= y0 < y1 <= SIZE[0]
    if 0 <= box[0] < box[2] <= SIZE[1] and 0 <= box[1] < box[3] <= SIZE[0]:
        assert x0 <= box[0]
        assert box[2] <= x1
        assert y0 <= box[1]
        assert box[3] <= y1


@given(st.lists(st.tuples(*[st.integers(0, 20)] * 4), min_size=1, max_size=4))
def test_box_iou_counts_pixels(rows: list[tuple[int, int, int, int]]) -> None:
    boxes = np.array([(min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in rows])
    assume((boxes[:, 2:] > boxes[:, :2]).all())
    drawn = np.zeros((len(boxes), 20, 20), bool)
    for mask, (x0, y0, x1, y1) in zip(drawn, boxes, strict=True):
        mask[y0:y1, x0:x1] = True
    both = (drawn[:, None] & drawn[None]).sum(axis=(2, 3))
    union = (drawn[:, None] | drawn[None]).sum(axis=(2, 3))
    np.testing.assert_allclose(box_iou(boxes, boxes), both / union)


def test_boxes_of_no_size() -> None:
    assert box_iou(np.zeros((0, 4)), np.ones((2, 4))).shape == (0, 2)
    assert box_iou(np.array([[1, 1, 1, 1]]), np.array([[1, 1, 1, 1]])).tolist() == [[0.0]]
    assert intersect((0, 0, 4, 4), (4, 0, 8, 4)) is None
