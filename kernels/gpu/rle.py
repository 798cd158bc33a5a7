"""Low-resolution logits to the runs of the full-size mask in Triton: upsample, cut, find changes, compact.

No full-size mask or logit is written. The column-major mask is walked by *intervals*: the output rows that lie between
one pair of low-resolution rows. `_count` says how many changes each block of columns has, and its share of area, box
and stability; `_place` turns the counts into places; `_write` finds the changes again and writes each to its place.
Finding them twice is cheaper than keeping them: the logits of a mask (256 KB) stay in the caches.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
import triton
import triton.language as tl
from numpy.typing import NDArray

from kernels.resize import axis

HEADER = 8
"""Numbers in front of a mask's changes: how many there are, area, x0, y0, x1, y1, pixels over both stability marks."""
MOST = 65_535
"""Masks of one launch: CUDA's limit for a grid's second side."""
TILE = 512
"""Intervals a program works on: some columns times all low-resolution rows."""


@triton.jit
def _column(logits, rows, first, second, weight, w, valid):
    """The logits [.., ..] of low-resolution rows at output columns: between two low-resolution columns."""
    a = tl.load(logits + rows * w + first, mask=valid, other=0).to(tl.float32)
    b = tl.load(logits + rows * w + second, mask=valid, other=0).to(tl.float32)
    return tl.fma(a, 1.0 - weight, weight * b)


@triton.jit
def _intervals(
    logits, first_x, weight_x, first_y, begin_y, weight_y, block, h, w, out_h, out_w, threshold,
    BX: tl.constexpr, BI: tl.constexpr, WHOLE: tl.constexpr,
):  # fmt: skip
    """The block's intervals [BX, BI]: columns, first and last row, the values above and below, and the bit before."""
    x = block * BX + tl.arange(0, BX)[:, None]
    i = tl.arange(0, BI)[None, :]
    valid = (x < out_w) & (i < h)
    begin = tl.load(begin_y + i, mask=i < h, other=0)
    end = tl.load(begin_y + i + 1, mask=i < h, other=0)
    valid = valid & (begin < end)
    if WHOLE:  # the logits are of the full size already: nothing lies between their rows and columns
        p = tl.load(logits + i * w + x, mask=valid, other=0).to(tl.float32)
        above = begin == 0
        by, bx = tl.where(above, out_h - 1, begin - 1), tl.where(above, x - 1, x)
        known = valid & (bx >= 0)
        before = (tl.load(logits + by * w + bx, mask=known, other=0).to(tl.float32) > threshold) & known
        return x, begin, end, valid, p, p, before
    fx = tl.load(first_x + x, mask=x < out_w, other=0)
    wx = tl.load(weight_x + x, mask=x < out_w, other=0.0)
    sx = tl.minimum(fx + 1, w - 1)
    p = _column(logits, i, fx, sx, wx, w, valid)
    q = _column(logits, tl.minimum(i + 1, h - 1), fx, sx, wx, w, valid)
    # The pixel before an interval's first one: above it, or the last of the column before.
    at_top = begin == 0
    bx = tl.where(at_top, x - 1, x)
    by = tl.where(at_top, out_h - 1, begin - 1)
    known = valid & (bx >= 0)
    fb = tl.load(first_x + bx, mask=known, other=0)
    wb = tl.load(weight_x + bx, mask=known, other=0.0)
    sb = tl.minimum(fb + 1, w - 1)
    row = tl.load(first_y + by, mask=known, other=0)
    weight = tl.load(weight_y + by, mask=known, other=0.0)
    above = _column(logits, row, fb, sb, wb, w, known)
    below = _column(logits, tl.minimum(row + 1, h - 1), fb, sb, wb, w, known)
    before = (tl.fma(above, 1.0 - weight, weight * below) > threshold) & known
    return x, begin, end, valid, p, q, before


@triton.jit
def _count(
    logits, first_x, weight_x, first_y, begin_y, weight_y, blocks,
    h, w, out_h, out_w, longest, threshold, offset,
    BX: tl.constexpr, BI: tl.constexpr, WHOLE: tl.constexpr,
):  # fmt: skip
    n = tl.program_id(1).to(tl.int64)
    block = tl.program_id(0)
    x, begin, end, valid, p, q, inside = _intervals(
        logits + n * h * w, first_x, weight_x, first_y, begin_y, weight_y, block, h, w, out_h, out_w, threshold,
        BX, BI, WHOLE,
    )  # fmt: skip
    changes = tl.zeros((BX, BI), tl.int32)
    area, high, low = tl.zeros((BX, BI), tl.int32), tl.zeros((BX, BI), tl.int32), tl.zeros((BX, BI), tl.int32)
    top, bottom = tl.zeros((BX, BI), tl.int32) + out_h, tl.zeros((BX, BI), tl.int32)
    for k in range(longest):
        y = begin + k
        here = valid & (y < end)
        weight = tl.load(weight_y + y, mask=here, other=0.0)
        value = tl.fma(p, 1.0 - weight, weight * q)
        now = (value > threshold) & here
        changes += (here & (now != inside)).to(tl.int32)
        inside = tl.where(here, now, inside)
        area += now.to(tl.int32)
        high += (here & (value > threshold + offset)).to(tl.int32)
        low += (here & (value > threshold - offset)).to(tl.int32)
        top = tl.minimum(top, tl.where(now, y, out_h))
        bottom = tl.maximum(bottom, tl.where(now, y + 1, 0))
    seen = area > 0
    out = blocks + (n * tl.num_programs(0) + block) * 8
    tl.store(out, tl.sum(tl.sum(changes, 1), 0))
    tl.store(out + 1, tl.sum(tl.sum(area, 1), 0))
    tl.store(out + 2, tl.min(tl.min(tl.where(seen, x, out_w), 1), 0))
    tl.store(out + 3, tl.min(tl.min(top, 1), 0))
    tl.store(out + 4, tl.max(tl.max(tl.where(seen, x + 1, 0), 1), 0))
    tl.store(out + 5, tl.max(tl.max(bottom, 1), 0))
    tl.store(out + 6, tl.sum(tl.sum(high, 1), 0))
    tl.store(out + 7, tl.sum(tl.sum(low, 1), 0))


@triton.jit
def _place(blocks, places, out, n_blocks, width, BB: tl.constexpr):
    """For one mask: where each block's changes go, and the header."""
    n = tl.program_id(0).to(tl.int64)
    b = tl.arange(0, BB)
    valid = b < n_blocks
    row = blocks + (n * n_blocks + b) * 8
    counts = tl.load(row, mask=valid, other=0)
    tl.store(places + n * n_blocks + b, tl.cumsum(counts, 0) - counts, mask=valid)
    area = tl.sum(tl.load(row + 1, mask=valid, other=0), 0)
    head = out + n * width
    tl.store(head, tl.sum(counts, 0))
    tl.store(head + 1, area)
    x0 = tl.min(tl.load(row + 2, mask=valid, other=2147483647), 0)
    y0 = tl.min(tl.load(row + 3, mask=valid, other=2147483647), 0)
    tl.store(head + 2, tl.where(area > 0, x0, 0))
    tl.store(head + 3, tl.where(area > 0, y0, 0))
    tl.store(head + 4, tl.max(tl.load(row + 4, mask=valid, other=0), 0))
    tl.store(head + 5, tl.max(tl.load(row + 5, mask=valid, other=0), 0))
    tl.store(head + 6, tl.sum(tl.load(row + 6, mask=valid, other=0), 0))
    tl.store(head + 7, tl.sum(tl.load(row + 7, mask=valid, other=0), 0))


@triton.jit
def _write(
    logits, first_x, weight_x, first_y, begin_y, weight_y, places, out,
    h, w, out_h, out_w, longest, threshold, width,
    BX: tl.constexpr, BI: tl.constexpr, WHOLE: tl.constexpr,
):  # fmt: skip
    n = tl.program_id(1).to(tl.int64)
    block = tl.program_id(0)
    x, begin, end, valid, p, q, before = _intervals(
        logits + n * h * w, first_x, weight_x, first_y, begin_y, weight_y, block, h, w, out_h, out_w, threshold,
        BX, BI, WHOLE,
    )  # fmt: skip
    changes = tl.zeros((BX, BI), tl.int32)
    inside = before
    for k in range(longest):
        here = valid & (begin + k < end)
        weight = tl.load(weight_y + begin + k, mask=here, other=0.0)
        now = (tl.fma(p, 1.0 - weight, weight * q) > threshold) & here
        changes += (here & (now != inside)).to(tl.int32)
        inside = tl.where(here, now, inside)
    flat = tl.reshape(changes, (BX * BI,))
    place = tl.reshape(tl.cumsum(flat, 0) - flat, (BX, BI))
    place += tl.load(places + n * tl.num_programs(0) + block)
    inside = before
    for k in range(longest):
        y = begin + k
        here = valid & (y < end)
        weight = tl.load(weight_y + y, mask=here, other=0.0)
        now = (tl.fma(p, 1.0 - weight, weight * q) > threshold) & here
        change = here & (now != inside)
        tl.store(out + n * width + 8 + place, x * out_h + y, mask=change & (place < width - 8))
        place += change.to(tl.int32)
        inside = tl.where(here, now, inside)


@triton.jit
def _fill(starts, offsets, out, out_h, out_w, steps, BY: tl.constexpr, BX: tl.constexpr):
    """Pixels of one mask from its changes: a pixel is inside where an odd number of changes lies at or before it."""
    n = tl.program_id(2).to(tl.int64)
    y = tl.program_id(1) * BY + tl.arange(0, BY)[:, None]
    x = tl.program_id(0) * BX + tl.arange(0, BX)[None, :]
    valid = (y < out_h) & (x < out_w)
    at = x * out_h + y
    begin, end = tl.load(offsets + n), tl.load(offsets + n + 1)
    low = tl.zeros((BY, BX), tl.int64) + begin
    high = tl.zeros((BY, BX), tl.int64) + end
    for _ in range(steps):
        middle = (low + high) // 2
        searching = low < high
        start = tl.load(starts + middle, mask=searching & valid, other=0)
        low = tl.where(searching & (start <= at), middle + 1, low)
        high = tl.where(searching & (start > at), middle, high)
    inside = ((low - begin) & 1).to(tl.uint8)
    tl.store(out + n * out_h * out_w + y.to(tl.int64) * out_w + x, inside, mask=valid)


@lru_cache(maxsize=16)
def _axes(h: int, w: int, size: tuple[int, int], device: str) -> tuple[tuple[torch.Tensor, ...], int]:
    """The axes' tables on the device, and the most rows of an interval."""
    rows, columns = axis(h, size[0]), axis(w, size[1])
    parts = (columns.first, columns.weight, rows.first, rows.begin, rows.weight)
    return tuple(torch.from_numpy(part).to(device) for part in parts), int(np.diff(rows.begin).max())


def runs(
    logits: Any, size: tuple[int, int], threshold: float, offset: float, capacity: int
) -> tuple[list[NDArray[np.int32]], NDArray[np.int64]]:
    """Changes of each mask of logits [N, h, w], a tensor of floats (or uint8, for masks that are there already).

    Returns, on the host, the column-major pixels at which each mask changes, and facts [N, 8] int64: area, x0, y0, x1,
    y1, pixels over threshold + offset and over threshold - offset, 0.
    """
    n = len(logits)
    if n == 0:
        return [], np.zeros((0, 8), np.int64)
    if n > MOST:
        parts = [runs(part, size, threshold, offset, capacity) for part in logits.split(MOST)]
        return [p for positions, _ in parts for p in positions], np.concatenate([facts for _, facts in parts])
    logits = logits.contiguous()
    while True:
        found = launch(logits, size, threshold, offset, capacity)
        host = torch.empty(found.shape, dtype=found.dtype, pin_memory=found.is_cuda)
        host.copy_(found, non_blocking=True)
        if found.is_cuda:
            torch.cuda.current_stream(found.device).synchronize()
        rows = host.numpy()
        if rows[:, 0].max() <= capacity:
            break
        capacity = triton.next_power_of_2(int(rows[:, 0].max()))
    facts = np.zeros((n, 8), np.int64)
    facts[:, :7] = rows[:, 1:HEADER]
    return [row[HEADER : HEADER + row[0]].copy() for row in rows], facts


def launch(logits: torch.Tensor, size: tuple[int, int], threshold: float, offset: float, capacity: int) -> torch.Tensor:
    """[N, HEADER + capacity] int32 on the logits' device: headers and changes; what is behind them is void."""
    n, h, w = logits.shape
    out_h, out_w = size
    axes, longest = _axes(h, w, size, str(logits.device))
    block_x, block_i, warps = tile(h)
    n_blocks = triton.cdiv(out_w, block_x)
    blocks = torch.empty((n, n_blocks, 8), dtype=torch.int32, device=logits.device)
    places = torch.empty((n, n_blocks), dtype=torch.int32, device=logits.device)
    out = torch.empty((n, HEADER + capacity), dtype=torch.int32, device=logits.device)
    _count[(n_blocks, n)](
        logits, *axes, blocks, h, w, out_h, out_w, longest, threshold, offset,
        BX=block_x, BI=block_i, WHOLE=(h, w) == size, num_warps=warps, enable_fp_fusion=False,
    )  # fmt: skip
    _place[(n,)](
        blocks, places, out, n_blocks, HEADER + capacity, BB=triton.next_power_of_2(n_blocks), enable_fp_fusion=False
    )
    _write[(n_blocks, n)](
        logits, *axes, places, out, h, w, out_h, out_w, longest, threshold, HEADER + capacity,
        BX=block_x, BI=block_i, WHOLE=(h, w) == size, num_warps=warps, enable_fp_fusion=False,
    )  # fmt: skip
    return out


def tile(h: int) -> tuple[int, int, int]:
    """For `h` low-resolution rows the columns and intervals of a program, and its warps."""
    intervals = triton.next_power_of_2(h)
    columns = max(1, TILE // intervals)
    return columns, intervals, max(8, min(16, columns * intervals // 128))


def fill(positions: list[NDArray[np.int32]], size: tuple[int, int], device: str) -> torch.Tensor:
    """Masks [N, H, W] bool on a device from the pixels at which each changes."""
    n, (h, w) = len(positions), size
    out = torch.empty((n, h, w), dtype=torch.bool, device=device)
    if n == 0:
        return out
    counts = [len(p) for p in positions]
    offsets = torch.from_numpy(np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)).to(device)
    starts = torch.from_numpy(np.concatenate([*positions, np.zeros(1, np.int32)]).astype(np.int32)).to(device)
    steps = max(counts).bit_length() + 1
    grid = (triton.cdiv(w, 64), triton.cdiv(h, 16), n)
    _fill[grid](starts, offsets, out.view(torch.uint8), h, w, steps, BY=16, BX=64, enable_fp_fusion=False)
    return out
