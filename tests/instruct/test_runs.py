"""Masks measured from their runs, beside pycocotools."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from instruct.runs import areas, boxes, columns
from kernels import rle
from stream.events import Rle


@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=40)))
def test_area_and_middle_are_those_of_the_pixels(mask: np.ndarray) -> None:
    code = Rle(mask.shape, rle.encode(mask))
    (area,), (column,), ((x, _, w, h),) = areas([code]), columns([code]), boxes([code])
    assert area == mask.sum()
    middle = np.nonzero(mask)[1].mean() + 0.5 if area else 0.0
    assert column == pytest.approx(middle)
    half = area / max(1, h) / 2
    assert x + half - 1e-9 <= column <= x + w - half + 1e-9


@pytest.mark.parametrize("mask", [np.ones((3000, 4000), np.bool_), np.zeros((1, 1), np.bool_), np.eye(999) > 0])
def test_long_runs_and_many(mask: np.ndarray) -> None:
    middle = np.nonzero(mask)[1].mean() + 0.5 if mask.any() else 0.0
    code = Rle(mask.shape, rle.encode(mask))
    assert columns([code, code]) == pytest.approx([middle] * 2)
    assert areas([code, code]) == [mask.sum()] * 2


@given(st.sampled_from(["", "0", "01", "^^"]))
def test_runs_that_do_not_fill_the_size_are_refused(counts: str) -> None:
    with pytest.raises(ValueError, match="do not fill"):
        columns([Rle((20, 40), counts)])
