"""Area, box and middle of masks straight from their run lengths: the checker measures thousands and needs no pixels.

Source of the format: the COCO API (github.com/cocodataset/cocoapi): column-major runs that alternate from 0; five bits
a character, the last one's fifth a sign, a sixth for "more"; from the fourth run on told as the difference to the run
two before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from kernels import rle
from stream.events import Rle


def areas(codes: Sequence[Rle]) -> list[int]:
    """Of each mask its pixels."""
    return rle.areas([(c.counts, c.size) for c in codes])


def boxes(codes: Sequence[Rle]) -> list[tuple[float, float, float, float]]:
    """Of each mask its box: x, y, width, height in pixels."""
    return rle.boxes([(c.counts, c.size) for c in codes])


def columns(codes: Sequence[Rle]) -> list[float]:
    """Of each mask the mean column of the middles of its pixels, in pixels (0 where it is empty).

    Raises ValueError where the runs do not fill a mask's size.
    """
    return [_mean(told, *code.size) for code, told in zip(codes, _told([c.counts for c in codes]), strict=True)]


def lengths(counts: str) -> NDArray[np.int64]:
    """The run lengths of one mask [k] int64, the first one of zeros."""
    (told,) = _told([counts])
    _undo(told)
    return told


def _told(counts: Sequence[str]) -> Iterator[NDArray[np.int64]]:
    """Of each mask its numbers as they are written, runs and differences [k] int64."""
    # All masks' characters at once: a numpy call costs more than the characters of one mask.
    raw = np.frombuffer("".join(counts).encode("ascii"), np.uint8) - np.uint8(48)
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
    borders = np.searchsorted(ends, np.cumsum([len(c) for c in counts]))
    start = 0
    for end in borders.tolist():
        yield numbers[start:end]
        start = end


def _mean(told: NDArray[np.int64], h: int, w: int) -> float:
    """The mean column; what is told is turned into run lengths in place."""
    _undo(told)
    border = told.cumsum()
    if not len(border) or border[-1] != h * w:
        raise ValueError(f"runs do not fill a mask of {(h, w)}")
    # Of the pixels before a border, in column-major order: twice the sum of their columns.
    column = border // h
    twice = column * (2 * border - h * (column + 1))
    last = len(border) // 2 * 2  # a last run of zeros begins nothing
    area = int(told[1::2].sum())
    both = int(twice[1:last:2].sum() - twice[:last:2].sum())
    return both / 2 / area + 0.5 if area else 0.0


def _undo(told: NDArray[np.int64]) -> None:
    """Turn numbers as they are written into run lengths, in place."""
    told[1::2].cumsum(out=told[1::2])
    told[2::2].cumsum(out=told[2::2])
