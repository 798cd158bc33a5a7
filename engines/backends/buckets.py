"""Buckets: the few sizes of a batch that a graph is captured for, and how any batch is cut and padded into them.

Policy only: no tensor and no device (after nano-vllm's list of graph sizes).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows start to start + count of a batch, run in a bucket of `bucket` rows."""

    start: int
    count: int
    bucket: int


def powers(most: int) -> tuple[int, ...]:
    """1, 2, 4 … and `most` itself."""
    return tuple(sorted({min(1 << i, most) for i in range(most.bit_length() + 1)}))


def pieces(count: int, buckets: Sequence[int]) -> tuple[Piece, ...]:
    """`count` rows in as few pieces as the largest bucket allows, the last in the smallest bucket that holds it.

    Without buckets a batch is one piece of its own size. Raises ValueError where count or a bucket is below 1."""
    if count < 1 or any(b < 1 for b in buckets):
        raise ValueError(f"{count} rows in buckets {tuple(buckets)}: wanted at least 1 of each")
    if not buckets:
        return (Piece(0, count, count),)
    largest = max(buckets)
    out = [Piece(at, largest, largest) for at in range(0, count - largest + 1, largest)]
    at = len(out) * largest
    if at < count:
        out.append(Piece(at, count - at, min(b for b in buckets if b >= count - at)))
    return tuple(out)
