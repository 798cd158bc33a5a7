"""Runs of an upsampled mask from its low-resolution logits, by numba; no full-size array is made.

Between two low-resolution rows the interpolated column is linear, so that most stretches are inside or outside as a
whole: only where both rows' signs differ (or come close to the threshold) the pixels between are computed.
"""

from __future__ import annotations

import numba
import numpy as np
from llvmlite import ir
from numba.extending import intrinsic
from numpy.typing import NDArray

F32 = NDArray[np.float32]

FACTS = 8
"""area, x0, y0, x1, y1 (of the box, ends exclusive), pixels over threshold + offset, over threshold - offset, 0."""


@intrinsic
def _fma(context, a, b, c):
    """a * b + c with one rounding."""
    kind = numba.types.float32

    def emit(_context, builder: ir.IRBuilder, _signature, values):
        return builder.fma(*values)

    return kind(kind, kind, kind), emit


@numba.njit(nogil=True, cache=True)
def _between(p, q, weight):
    """The value between two rows, rounded as PyTorch's CPU kernel rounds it."""
    return _fma(p, np.float32(1) - weight, weight * q)


@numba.njit(nogil=True, cache=True)
def _over(p, q, weights, begin, end, threshold):
    """How many of the pixels between two rows are over the threshold."""
    margin = np.float32(1e-6) * (abs(p) + abs(q))
    if min(p, q) > threshold + margin:
        return end - begin
    if max(p, q) < threshold - margin:
        return 0
    count = 0
    for y in range(begin, end):
        if _between(p, q, weights[y]) > threshold:
            count += 1
    return count


@numba.njit(nogil=True, cache=True)
def runs(columns, first_x, weight_x, begin_y, weight_y, threshold, offset, positions, facts):
    """Where the mask of one logit map changes, in column-major pixels; and its facts.

    columns: [w, h] float32, the logits transposed. first_x, weight_x, begin_y, weight_y: of `resize.axis`.
    positions: [capacity] int32, out. facts: [FACTS] int64, out. Returns how many changes there are; where that is more
    than the capacity, positions holds the first ones and the caller has to come again with more room.
    """
    w, h = columns.shape
    out_w, out_h = len(first_x), len(weight_y)
    column = np.empty(h, np.float32)
    found, inside, last = 0, False, 0
    area, high, low = 0, 0, 0
    x0, x1, y0, y1 = out_w, 0, out_h, 0
    for x in range(out_w):
        a, b = columns[first_x[x]], columns[min(first_x[x] + 1, w - 1)]
        weight = weight_x[x]
        for i in range(h):
            column[i] = _fma(a[i], np.float32(1) - weight, weight * b[i])
        seen = False
        for i in range(h):
            begin, end = begin_y[i], begin_y[i + 1]
            if begin == end:
                continue
            p, q = column[i], column[min(i + 1, h - 1)]
            margin = np.float32(1e-6) * (abs(p) + abs(q))
            least, most = min(p, q) - margin, max(p, q) + margin
            if least > threshold + offset:
                high, low = high + end - begin, low + end - begin
            elif offset > 0 and not most < threshold - offset:
                high += _over(p, q, weight_y, begin, end, threshold + offset)
                low += _over(p, q, weight_y, begin, end, threshold - offset)
            whole_in = least > threshold
            if whole_in or most < threshold:
                if whole_in != inside:
                    at = x * out_h + begin
                    if inside:
                        area += at - last
                    if found < len(positions):
                        positions[found] = at
                    found, inside, last = found + 1, whole_in, at
                if whole_in:
                    seen = True
                    y0, y1 = min(y0, begin), max(y1, end)
                continue
            for y in range(begin, end):
                now = _between(p, q, weight_y[y]) > threshold
                if now:
                    seen = True
                    y0, y1 = min(y0, y), max(y1, y + 1)
                if now != inside:
                    at = x * out_h + y
                    if inside:
                        area += at - last
                    if found < len(positions):
                        positions[found] = at
                    found, inside, last = found + 1, now, at
        if seen:
            x0, x1 = min(x0, x), x + 1
    if inside:
        area += out_w * out_h - last
    facts[0] = area
    if area > 0:
        facts[1], facts[2], facts[3], facts[4] = x0, y0, x1, y1
    facts[5], facts[6] = high, low
    return found


@numba.njit(nogil=True, cache=True)
def pack_all(positions, ends, pixels, text, text_ends):
    """Compressed counts of masks of so many pixels that change at these positions.

    positions: [k] int32, of all masks, one after the other. ends: [N] int64, where each mask's end. text: [(k + N) * 7]
    uint8, out. text_ends: [N] int64, out: where each mask's text ends.
    Each run but the first three is written as its difference to the run two before, five bits a character, lowest
    first, the sixth bit for "more", plus 48 (the COCO API's packing).
    """
    n, at = 0, 0
    for mask in range(len(ends)):
        last, one_before, two_before = np.int64(0), np.int64(0), np.int64(0)
        first = at
        while True:
            end = np.int64(positions[at]) if at < ends[mask] else np.int64(pixels)
            run = end - last
            value = run - two_before if at - first > 2 else run
            more = True
            while more:
                bits = value & 0x1F
                value >>= 5
                more = value != -1 if bits & 0x10 else value != 0
                text[n] = (bits | 0x20 if more else bits) + 48
                n += 1
            last, two_before, one_before = end, one_before, run
            if at == ends[mask]:
                break
            at += 1
        text_ends[mask] = n


@numba.njit(nogil=True, cache=True)
def unpack(text, positions):
    """Where the mask of compressed counts (bytes [n] uint8) changes, into positions [n] int64: how many there are, and
    the pixels of all runs together. An ending in the middle of a number, or a run below zero, gives -1 pixels."""
    found, total, value, shift = 0, 0, 0, 0
    one_before, two_before, run_number = 0, 0, 0
    for i in range(len(text)):
        bits = int(text[i]) - 48
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        run = value + two_before if run_number > 2 else value
        if run < 0:
            return 0, -1
        total += run
        positions[found] = total
        found += 1
        run_number, two_before, one_before = run_number + 1, one_before, run
        value, shift = 0, 0
    return (max(0, found - 1), total) if shift == 0 else (0, -1)


@numba.njit(nogil=True, cache=True)
def measure(text, h, w):
    """The pixels of the mask (H, W) of compressed counts (bytes), and the sum of their columns; -1 pixels
    where the runs do not fill it."""
    value, shift, number = 0, 0, 0
    one_before, two_before = 0, 0
    column, row, left = 0, 0, h * w
    area, columns = 0, 0
    for character in text:
        bits = int(character) - 48
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            if shift > 35:  # no run is that long
                return -1, 0
            continue
        if bits & 0x10:
            value -= 1 << shift
        run = value + two_before if number > 2 else value
        left -= run
        if run < 0 or left < 0:
            return -1, 0
        first, first_row, row = column, row, row + run
        if row >= h:  # most runs end in the column they begin in: they cost no division
            column += row // h
            row %= h
        if number & 1:
            area += run
            if column == first:
                columns += run * first
            else:
                between = column - first - 1
                columns += (h - first_row) * first + row * column + h * (between * (first + column) // 2)
        number, two_before, one_before = number + 1, one_before, run
        value, shift = 0, 0
    return (area, columns) if left == 0 and shift == 0 else (-1, 0)
