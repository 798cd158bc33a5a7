"""Every row of a batch is in one piece, and no piece is larger than its bucket."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.backends.buckets import Piece, pieces, powers


@pytest.mark.parametrize(("most", "sizes"), [(1, (1,)), (8, (1, 2, 4, 8)), (6, (1, 2, 4, 6)), (16, (1, 2, 4, 8, 16))])
def test_powers(most: int, sizes: tuple[int, ...]) -> None:
    assert powers(most) == sizes


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (3, (Piece(0, 3, 4),)),
        (4, (Piece(0, 4, 4),)),
        (9, (Piece(0, 4, 4), Piece(4, 4, 4), Piece(8, 1, 1))),
        (11, (Piece(0, 4, 4), Piece(4, 4, 4), Piece(8, 3, 4))),
    ],
)
def test_pieces(count: int, expected: tuple[Piece, ...]) -> None:
    assert pieces(count, (1, 2, 4)) == expected


def test_without_buckets_a_batch_is_one_piece() -> None:
    assert pieces(7, ()) == (Piece(0, 7, 7),)


@given(st.integers(1, 200), st.sets(st.integers(1, 32), min_size=1))
def test_all_rows_once(count: int, buckets: set[int]) -> None:
    found = pieces(count, tuple(buckets))
    assert [r for p in found for r in range(p.start, p.start + p.count)] == list(range(count))
    assert all(p.count <= p.bucket and p.bucket in buckets for p in found)


@pytest.mark.parametrize(("count", "buckets"), [(0, (1,)), (1, (0,))])
def test_nothing_to_run(count: int, buckets: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="wanted at least 1"):
        pieces(count, buckets)
