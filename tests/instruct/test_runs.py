"""Masks measured from their runs, beside their pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from instruct.runs import Measured, lengths, measured
from kernels import rle
from stream.events import Rle


def _of_pixels(mask: np.ndarray) -> Measured:
    columns = np.nonzero(mask)[1]
    return Measured(int(mask.sum()), columns.mean() + 0.5 if len(columns) else 0.0)


@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=40)))
def test_area_and_middle_are_those_of_the_pixels(mask: np.ndarray) -> None:
    assert measured(Rle(mask.shape, rle.encode(mask))) == _of_pixels(mask)


@pytest.mark.parametrize("mask", [np.ones((3000, 4000), np.bool_), np.zeros((1, 1), np.bool_), np.eye(999) > 0])
def test_long_runs_and_many(mask: np.ndarray) -> None:
    assert measured(Rle(mask.shape, rle.encode(mask))) == pytest.approx(_of_pixels(mask))


@pytest.mark.parametrize("side", [1, 7, 1 << 15])
def test_the_largest_picture(side: int) -> None:
    whole = rle.encode_window(np.ones((1, 1), np.bool_), side - 1, side - 1, (side, side))
    assert measured(Rle((side, side), whole)) == Measured(1, side - 0.5)


@given(st.sampled_from(["", "0", "01", "^^", "o" * 40, "0P" * 9, "`" * 40 + "0"]))
def test_runs_that_do_not_fill_the_size_are_refused(counts: str) -> None:
    with pytest.raises(ValueError, match="do not fill"):
        measured(Rle((20, 40), counts))


@given(st.text(st.characters(max_codepoint=127), max_size=30), st.integers(1, 5), st.integers(1, 5))
def test_any_text_is_measured_as_its_lengths_say_or_refused(counts: str, h: int, w: int) -> None:
    """Damaged masks too: nothing is read past their end, and none is taken for whole that is not."""
    try:
        mask = rle.decode(counts, (h, w))
    except ValueError:
        with pytest.raises(ValueError, match="do not fill"):
            measured(Rle((h, w), counts))
    else:
        assert measured(Rle((h, w), counts)) == _of_pixels(mask)


@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=40)))
def test_lengths_are_those_of_the_pixels(mask: np.ndarray) -> None:
    flat = mask.ravel(order="F")
    borders = np.flatnonzero(np.diff(flat, prepend=False)).tolist()
    assert lengths(rle.encode(mask)).tolist() == np.diff([0, *borders, flat.size]).tolist()
