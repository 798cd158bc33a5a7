"""kernels/rle against plain NumPy and pycocotools, on masks of any shape in windows of any place."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from pycocotools import mask as coco

from kernels import rle

Bool = NDArray[np.bool_]
SIDE = st.integers(1, 40)
MASKS = st.tuples(SIDE, SIDE).flatmap(lambda shape: hnp.arrays(np.bool_, shape))


@st.composite
def windows(draw: st.DrawFn) -> tuple[Bool, int, int, tuple[int, int]]:
    """A mask, its place, and the frame's (H, W) round it."""
    mask = draw(MASKS)
    h, w = mask.shape
    x0, y0, right, below = (draw(st.integers(0, 30)) for _ in range(4))
    return mask, x0, y0, (y0 + h + below, x0 + w + right)


def full(mask: Bool, x0: int, y0: int, size: tuple[int, int]) -> Bool:
    out = np.zeros(size, np.bool_)
    out[y0 : y0 + mask.shape[0], x0 : x0 + mask.shape[1]] = mask
    return out


def oracle(mask: Bool) -> str:
    return coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()


@given(windows())
def test_window_round_trip(case: tuple[Bool, int, int, tuple[int, int]]) -> None:
    mask, x0, y0, size = case
    counts = rle.encode_window(mask, x0, y0, size)
    whole = full(mask, x0, y0, size)
    assert counts == oracle(whole)
    assert (rle.decode(counts, size) == whole).all()
    assert rle.area(counts, size) == mask.sum()


@given(MASKS)
def test_whole_frame(mask: Bool) -> None:
    h, w = mask.shape
    decoded = rle.decode(rle.encode(mask), (h, w))
    assert decoded.dtype == np.bool_
    assert (decoded == mask).all()


@given(st.tuples(SIDE, SIDE).flatmap(lambda s: st.tuples(*(hnp.arrays(np.bool_, (2, *s)) for _ in range(2)))))
def test_iou(pair: tuple[Bool, Bool]) -> None:
    a, b = pair
    size = (a.shape[1], a.shape[2])
    both = (a[:, None] & b[None]).sum(axis=(2, 3))
    union = (a[:, None] | b[None]).sum(axis=(2, 3))
    wanted = np.where(union > 0, both / np.maximum(union, 1), 0)
    got = rle.iou([rle.encode(m) for m in a], [rle.encode(m) for m in b], size)
    np.testing.assert_allclose(got, wanted, atol=1e-12)


@pytest.mark.parametrize(("m", "n"), [(0, 0), (0, 3), (2, 0)])
def test_iou_of_nothing(m: int, n: int) -> None:
    one = rle.encode(np.ones((4, 4), np.bool_))
    assert rle.iou([one] * m, [one] * n, (4, 4)).shape == (m, n)


@pytest.mark.parametrize(("x0", "y0"), [(-1, 0), (0, -1), (7, 0), (0, 8)])
def test_window_outside_the_frame(x0: int, y0: int) -> None:
    with pytest.raises(ValueError, match="is not inside a frame of 10x10"):
        rle.encode_window(np.ones((3, 4), np.bool_), x0, y0, (10, 10))


def test_not_ascii() -> None:
    with pytest.raises(ValueError, match="do not decode to a mask"):
        rle.decode("ö", (4, 4))


@pytest.mark.parametrize("size", [(3, 3), (5, 5), (4, 40)])
def test_counts_of_another_size(size: tuple[int, int]) -> None:
    counts = rle.encode(np.eye(4, dtype=np.bool_))
    with pytest.raises(ValueError, match="do not decode to a mask"):
        rle.decode(counts, size)


@pytest.mark.parametrize("counts", ["001103NO000O53LO21P", "041N1OO022NO14OK0P", "0o", "P"])
def test_a_number_that_is_cut_off_is_refused(counts: str) -> None:
    """pycocotools would read and write past its buffers."""
    for size in ((4, 8), (9, 9)):
        with pytest.raises(ValueError, match="do not fill it"):
            rle.decode(counts, size)
