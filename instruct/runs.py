"""Area and middle of masks straight from their run lengths: the checker measures thousands and needs no pixels.

Source of the format: the COCO API (github.com/cocodataset/cocoapi): column-major runs that alternate from 0; five bits
a character, the last one's fifth a sign, a sixth for "more"; from the fourth run on told as the difference to the run
two before.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from kernels import rle
from stream.events import Rle


class Measured(msgspec.Struct, frozen=True, gc=False):
    """A mask's pixels, and the mean column of their middles in pixels (0 where it is empty)."""

    area: int
    column: float


def measured(code: Rle) -> Measured:
    """A mask's measures. Raises ValueError where the runs do not fill its size."""
    area, columns = rle.measure(code.counts, code.size)
    if area < 0:
        raise ValueError(f"runs do not fill a mask of {code.size}")
    return Measured(area, columns / area + 0.5 if area else 0.0)


def lengths(counts: str) -> NDArray[np.int64]:
    """The run lengths of one mask [k] int64, the first one of zeros."""
    raw = np.frombuffer(counts.encode("ascii"), np.uint8) - np.uint8(48)
    if len(raw) and raw[-1] >= 32:
        raise ValueError("runs do not fill a mask: its last number breaks off")
    ends = np.flatnonzero(raw < 32)
    numbers = (raw[ends].astype(np.int64) ^ 16) - 16
    number, place = np.arange(len(ends)), ends
    while True:  # numbers of two characters, of three, ...: the last holds the highest bits
        longer = np.flatnonzero(raw[place - 1] >= 32)  # before the first stands, by Python's -1, the last: it is < 32
        if not len(longer):
            break
        number, place = number[longer], place[longer] - 1
        numbers[number] = numbers[number] << 5 | (raw[place] & 31)
    numbers[1::2].cumsum(out=numbers[1::2])  # from differences to run lengths
    numbers[2::2].cumsum(out=numbers[2::2])
    return numbers
