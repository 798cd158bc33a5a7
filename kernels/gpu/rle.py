"""Low-resolution logits to the runs of the full-size mask in Triton: upsample, cut, find changes, compact.

No full-size mask or logit is written. A lane walks down a column of the output, low-resolution row by row; between two
such rows its values lie on one line. Only where a column of the warp crosses a threshold are the pixels between
computed: `_limits` finds the least and most of a group of rows, so that whole groups are passed by, and within a group
each interval is looked at. `_count` says how many changes each column has, and its share of area, box and stability;
`_place` turns the counts into places; `_write` walks again, where there are any, and writes each change.

Loop bounds are loaded where they are needed: Triton 3.6 reads a bound that is carried from one turn of the outer loop
to the next as it was in the first (seen on an H200; its interpreter and Triton 3.9's own code are right).
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

HEADER = 9
"""Numbers of a mask before all changes: how many it has, area, x0, y0, x1, y1, pixels over both stability marks, and
where its changes lie among all."""
MOST = 65_535
"""Masks of one launch: CUDA's limit for a grid's third side."""
COLUMNS = 32
"""Columns a program walks down: one warp, so that it alone decides what to pass by."""
GROUP = 8
"""Low-resolution rows that are passed by at once."""
WARPS, SEGMENTS = 16_384, 8
"""Programs wanted in flight: where masks are few, columns are cut into segments, but not into more than so many."""
BLOCK = 2048
"""Counts that `_place` sums in one step."""
BLOCK_X = 128
"""Low-resolution columns of a program of `_limits`."""


@triton.jit
def _between(p, q, weight):
    """The value between two neighbours, rounded as PyTorch's CPU kernel rounds it."""
    return tl.fma(p, 1.0 - weight, weight * q)


@triton.jit
def _along(logits, row, first, second, weight, w, valid):
    """The logits of one low-resolution row at output columns."""
    a = tl.load(logits + row * w + first, mask=valid, other=0).to(tl.float32)
    b = tl.load(logits + row * w + second, mask=valid, other=0).to(tl.float32)
    return _between(a, b, weight)


@triton.jit
def _pixel(logits, first_x, weight_x, first_y, weight_y, x, y, h, w, valid):
    """The values of output pixels."""
    first = tl.load(first_x + x, mask=valid, other=0)
    second = tl.minimum(first + 1, w - 1)
    across = tl.load(weight_x + x, mask=valid, other=0.0)
    row = tl.load(first_y + y, mask=valid, other=0)
    below = tl.minimum(row + 1, h - 1)
    p = _along(logits, row, first, second, across, w, valid)
    q = _along(logits, below, first, second, across, w, valid)
    return _between(p, q, tl.load(weight_y + y, mask=valid, other=0.0))


@triton.jit
def _limits(logits, limits, h, w, groups, GROUP: tl.constexpr, BX: tl.constexpr):
    """The least and most logit of each group of rows and the one after it, in each low-resolution column."""
    n = tl.program_id(2).to(tl.int64)
    group = tl.program_id(1)
    x = tl.program_id(0) * BX + tl.arange(0, BX)
    logits += n * h * w + x
    valid = x < w
    least = tl.load(logits + group * GROUP * w, mask=valid, other=0).to(tl.float32)
    most = least
    for k in tl.static_range(GROUP):
        row = tl.minimum(group * GROUP + k + 1, h - 1)
        value = tl.load(logits + row * w, mask=valid, other=0).to(tl.float32)
        least, most = tl.minimum(least, value), tl.maximum(most, value)
    # Rounding may carry a value between two others a hair past them.
    margin = 2e-6 * tl.maximum(tl.abs(least), tl.abs(most))
    out = limits + (n * groups + group) * 2 * w + x
    tl.store(out, least - margin, mask=valid)
    tl.store(out + w, most + margin, mask=valid)


@triton.jit
def _within(limits, group, first, second, w, valid):
    """The least and most that a group's rows hold at output columns."""
    row = limits + group * 2 * w
    least = tl.minimum(tl.load(row + first, mask=valid, other=0), tl.load(row + second, mask=valid, other=0))
    most = tl.maximum(tl.load(row + w + first, mask=valid, other=0), tl.load(row + w + second, mask=valid, other=0))
    return least, most


@triton.jit
def _crosses(least, most, over, threshold, valid):
    """Whether any column may leave its side of a threshold."""
    return tl.max((valid & tl.where(over, least <= threshold, most > threshold)).to(tl.int32), 0) > 0


@triton.jit
def _pixels(p, q, weight_y, begin, end, threshold, over, valid):
    """Of the rows between two others: how many pixels are over a threshold, and whether the last one is."""
    count = tl.zeros_like(p).to(tl.int32)
    for y in range(begin, end):
        over = valid & (_between(p, q, tl.load(weight_y + y)) > threshold)
        count += over.to(tl.int32)
    return count, over


@triton.jit
def _start(
    logits, first_x, weight_x, first_y, weight_y, x, y, h, w, out_h, threshold, valid
):  # fmt: skip
    """The value of a segment's first pixels, and whether the pixels before them in column-major order are inside."""
    value = _pixel(logits, first_x, weight_x, first_y, weight_y, x, y, h, w, valid)
    at_top = y == 0
    before_x, before_y = tl.where(at_top, x - 1, x), tl.where(at_top, out_h - 1, y - 1)
    known = valid & (before_x >= 0)
    before = _pixel(logits, first_x, weight_x, first_y, weight_y, before_x, before_y, h, w, known)
    return value, (before > threshold) & known


@triton.jit
def _count(
    logits, limits, first_x, weight_x, first_y, begin_y, weight_y, counts, parts,
    h, w, out_h, out_w, groups, rows, segments, threshold, offset, GROUP: tl.constexpr, BX: tl.constexpr,
):  # fmt: skip
    n = tl.program_id(2).to(tl.int64)
    segment = tl.program_id(1)
    x = tl.program_id(0) * BX + tl.arange(0, BX)
    valid = x < out_w
    logits += n * h * w
    limits += n * groups * 2 * w
    from_row = segment * rows
    to_row = tl.minimum(from_row + rows, h)
    y0, y1 = tl.load(begin_y + from_row), tl.load(begin_y + to_row)
    at = y0 + 0 * x
    some = valid & (at < y1)
    low, high = threshold - offset, threshold + offset
    value, before = _start(logits, first_x, weight_x, first_y, weight_y, x, at, h, w, out_h, threshold, some)
    inside, over_low, over_high = some & (value > threshold), some & (value > low), some & (value > high)
    changes = (inside != before).to(tl.int32)
    # A run's pixels are its end less its beginning: each is added where it is met.
    area, area_low, area_high = tl.where(inside, -y0, 0), tl.where(over_low, -y0, 0), tl.where(over_high, -y0, 0)
    top, bottom = tl.where(inside, y0, out_h), tl.zeros((BX,), tl.int32)
    first = tl.load(first_x + x, mask=valid, other=0)
    second = tl.minimum(first + 1, w - 1)
    across = tl.load(weight_x + x, mask=valid, other=0.0)
    for group in range(from_row // GROUP, tl.cdiv(to_row, GROUP)):
        least, most = _within(limits, group, first, second, w, some)
        if (
            _crosses(least, most, inside, threshold, some)
            | _crosses(least, most, over_low, low, some)
            | _crosses(least, most, over_high, high, some)
        ):
            p = _along(logits, group * GROUP, first, second, across, w, some)
            for i in range(group * GROUP, tl.minimum(group * GROUP + GROUP, to_row)):
                q = _along(logits, tl.minimum(i + 1, h - 1), first, second, across, w, some)
                begin, end = tl.load(begin_y + i), tl.load(begin_y + i + 1)
                margin = 1e-6 * (tl.abs(p) + tl.abs(q))
                least, most = tl.minimum(p, q) - margin, tl.maximum(p, q) + margin
                if _crosses(least, most, inside, threshold, some):
                    area += tl.where(inside, begin, 0)
                    bottom = tl.where(inside, begin, bottom)
                    for y in range(begin, end):
                        now = some & (_between(p, q, tl.load(weight_y + y)) > threshold)
                        changes += (now != inside).to(tl.int32)
                        area += now.to(tl.int32)
                        top = tl.minimum(top, tl.where(now, y, out_h))
                        bottom = tl.where(now, y + 1, bottom)
                        inside = now
                    area -= tl.where(inside, end, 0)
                if _crosses(least, most, over_low, low, some):
                    count, now = _pixels(p, q, weight_y, begin, end, low, over_low, some)
                    area_low += count + tl.where(over_low, begin, 0) - tl.where(now, end, 0)
                    over_low = now
                if _crosses(least, most, over_high, high, some):
                    count, now = _pixels(p, q, weight_y, begin, end, high, over_high, some)
                    area_high += count + tl.where(over_high, begin, 0) - tl.where(now, end, 0)
                    over_high = now
                p = q
    area += tl.where(inside, y1, 0)
    bottom = tl.where(inside, y1, bottom)
    seen = bottom > top
    tl.store(counts + (n * out_w + x) * segments + segment, changes, mask=valid)
    out = parts + ((n * tl.num_programs(0) + tl.program_id(0)) * segments + segment) * 8
    tl.store(out + 1, tl.sum(area, 0))
    tl.store(out + 2, tl.min(tl.where(seen, x, out_w), 0))
    tl.store(out + 3, tl.min(tl.where(seen, top, out_h), 0))
    tl.store(out + 4, tl.max(tl.where(seen, x + 1, 0), 0))
    tl.store(out + 5, tl.max(tl.where(seen, bottom, 0), 0))
    tl.store(out + 6, tl.sum(area_high + tl.where(over_high, y1, 0), 0))
    tl.store(out + 7, tl.sum(area_low + tl.where(over_low, y1, 0), 0))


@triton.jit
def _place(counts, parts, places, cursor, out, slots, n_parts, BLOCK: tl.constexpr):
    """For one mask: where each column's changes go, and the header. cursor: [1] int32, how many changes there are."""
    n = tl.program_id(0).to(tl.int64)
    lane = tl.arange(0, BLOCK)
    total = 0
    for at in range(0, slots, BLOCK):
        count = tl.load(counts + n * slots + at + lane, mask=at + lane < slots, other=0)
        tl.store(places + n * slots + at + lane, total + tl.cumsum(count, 0) - count, mask=at + lane < slots)
        total += tl.sum(count, 0)
    base = tl.atomic_add(cursor, total, sem="relaxed")
    area, high, low = tl.zeros((BLOCK,), tl.int32), tl.zeros((BLOCK,), tl.int32), tl.zeros((BLOCK,), tl.int32)
    x1, y1 = tl.zeros((BLOCK,), tl.int32), tl.zeros((BLOCK,), tl.int32)
    x0, y0 = tl.full((BLOCK,), 2147483647, tl.int32), tl.full((BLOCK,), 2147483647, tl.int32)
    for at in range(0, n_parts, BLOCK):
        valid = at + lane < n_parts
        row = parts + (n * n_parts + at + lane) * 8
        area += tl.load(row + 1, mask=valid, other=0)
        x0 = tl.minimum(x0, tl.load(row + 2, mask=valid, other=2147483647))
        y0 = tl.minimum(y0, tl.load(row + 3, mask=valid, other=2147483647))
        x1 = tl.maximum(x1, tl.load(row + 4, mask=valid, other=0))
        y1 = tl.maximum(y1, tl.load(row + 5, mask=valid, other=0))
        high += tl.load(row + 6, mask=valid, other=0)
        low += tl.load(row + 7, mask=valid, other=0)
    head = out + n * 9
    whole = tl.sum(area, 0)
    tl.store(head, total)
    tl.store(head + 1, whole)
    tl.store(head + 2, tl.where(whole > 0, tl.min(x0, 0), 0))
    tl.store(head + 3, tl.where(whole > 0, tl.min(y0, 0), 0))
    tl.store(head + 4, tl.max(x1, 0))
    tl.store(head + 5, tl.max(y1, 0))
    tl.store(head + 6, tl.sum(high, 0))
    tl.store(head + 7, tl.sum(low, 0))
    tl.store(head + 8, base)


@triton.jit
def _write(
    logits, limits, first_x, weight_x, first_y, begin_y, weight_y, counts, places, out,
    h, w, out_h, out_w, groups, rows, segments, masks, threshold, room, GROUP: tl.constexpr, BX: tl.constexpr,
):  # fmt: skip
    n = tl.program_id(2).to(tl.int64)
    segment = tl.program_id(1)
    x = tl.program_id(0) * BX + tl.arange(0, BX)
    slot = (n * out_w + x) * segments + segment
    # Columns without a change are passed by whole.
    some = tl.load(counts + slot, mask=x < out_w, other=0) > 0
    if tl.max(some.to(tl.int32), 0) > 0:
        logits += n * h * w
        limits += n * groups * 2 * w
        place = tl.load(places + slot, mask=some, other=0) + tl.load(out + n * 9 + 8)
        out += masks * 9
        from_row = segment * rows
        to_row = tl.minimum(from_row + rows, h)
        at = tl.load(begin_y + from_row) + 0 * x
        value, before = _start(logits, first_x, weight_x, first_y, weight_y, x, at, h, w, out_h, threshold, some)
        inside = some & (value > threshold)
        tl.store(out + place, x * out_h + at, mask=some & (inside != before) & (place < room))
        place += (inside != before).to(tl.int32)
        first = tl.load(first_x + x, mask=some, other=0)
        second = tl.minimum(first + 1, w - 1)
        across = tl.load(weight_x + x, mask=some, other=0.0)
        for group in range(from_row // GROUP, tl.cdiv(to_row, GROUP)):
            least, most = _within(limits, group, first, second, w, some)
            if _crosses(least, most, inside, threshold, some):
                p = _along(logits, group * GROUP, first, second, across, w, some)
                for i in range(group * GROUP, tl.minimum(group * GROUP + GROUP, to_row)):
                    q = _along(logits, tl.minimum(i + 1, h - 1), first, second, across, w, some)
                    margin = 1e-6 * (tl.abs(p) + tl.abs(q))
                    least, most = tl.minimum(p, q) - margin, tl.maximum(p, q) + margin
                    if _crosses(least, most, inside, threshold, some):
                        for y in range(tl.load(begin_y + i), tl.load(begin_y + i + 1)):
                            now = some & (_between(p, q, tl.load(weight_y + y)) > threshold)
                            change = now != inside
                            tl.store(out + place, x * out_h + y, mask=change & (place < room))
                            place += change.to(tl.int32)
                            inside = now
                    p = q


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
def _axes(h: int, w: int, size: tuple[int, int], device: str) -> tuple[torch.Tensor, ...]:
    """The axes' tables on the device."""
    rows, columns = axis(h, size[0]), axis(w, size[1])
    parts = (columns.first, columns.weight, rows.first, rows.begin, rows.weight)
    return tuple(torch.from_numpy(part).to(device) for part in parts)


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
    most = max(1, min(MOST, (2**31 - 1) // (size[0] * size[1])))  # changes are counted in int32
    if n > most:
        parts = [runs(part, size, threshold, offset, capacity) for part in logits.split(most)]
        return [p for positions, _ in parts for p in positions], np.concatenate([facts for _, facts in parts])
    logits = logits.contiguous()
    while True:
        found = launch(logits, size, threshold, offset, capacity)
        host = torch.empty(found.shape, dtype=found.dtype, pin_memory=found.is_cuda)
        host.copy_(found, non_blocking=True)
        if found.is_cuda:
            torch.cuda.current_stream(found.device).synchronize()
        heads, changes = host[: n * HEADER].view(n, HEADER).numpy(), host[n * HEADER :].numpy()
        total = int(heads[:, 0].sum(dtype=np.int64))
        if total <= len(changes):
            break
        capacity = triton.cdiv(total, n)
    facts = np.zeros((n, 8), np.int64)
    facts[:, :7] = heads[:, 1:8]
    return [changes[at : at + count] for count, at in heads[:, [0, 8]].tolist()], facts


def launch(logits: torch.Tensor, size: tuple[int, int], threshold: float, offset: float, capacity: int) -> torch.Tensor:
    """[N * (HEADER + capacity)] int32 on the logits' device: all headers, then all changes, then what is void."""
    n, h, w = logits.shape
    out_h, out_w = size
    axes = _axes(h, w, size, str(logits.device))
    blocks, groups = triton.cdiv(out_w, COLUMNS), triton.cdiv(h, GROUP)
    rows, segments = cut(n * blocks, h)
    limits = torch.empty((n, groups, 2, w), dtype=torch.float32, device=logits.device)
    counts = torch.empty((2, n, out_w * segments), dtype=torch.int32, device=logits.device)
    parts = torch.empty((n, blocks * segments, 8), dtype=torch.int32, device=logits.device)
    out = torch.empty(n * (HEADER + capacity), dtype=torch.int32, device=logits.device)
    cursor = torch.zeros(1, dtype=torch.int32, device=logits.device)
    sizes = (h, w, out_h, out_w, groups, rows, segments)
    grid = (blocks, segments, n)
    one_warp: dict[str, Any] = {"GROUP": GROUP, "BX": COLUMNS, "num_warps": 1, "enable_fp_fusion": False}
    _limits[(triton.cdiv(w, BLOCK_X), groups, n)](
        logits, limits, h, w, groups, GROUP=GROUP, BX=BLOCK_X, enable_fp_fusion=False
    )
    _count[grid](logits, limits, *axes, counts, parts, *sizes, threshold, offset, **one_warp)
    _place[(n,)](
        counts[0], parts, counts[1], cursor, out, out_w * segments, blocks * segments,
        BLOCK=BLOCK, num_warps=8, enable_fp_fusion=False,
    )  # fmt: skip
    _write[grid](logits, limits, *axes, counts[0], counts[1], out, *sizes, n, threshold, n * capacity, **one_warp)
    return out


def cut(programs: int, h: int) -> tuple[int, int]:
    """Low-resolution rows of a segment, and segments, for so many programs that each walk down `h` rows."""
    groups = triton.cdiv(h, GROUP)
    wanted = max(1, min(triton.cdiv(WARPS, programs), SEGMENTS))
    rows = triton.cdiv(groups, wanted) * GROUP
    return rows, triton.cdiv(h, rows)


def fill(positions: list[NDArray[np.int32]], size: tuple[int, int], device: str) -> torch.Tensor:
    """Masks [N, H, W] bool on a device from the pixels at which each changes."""
    n, (h, w) = len(positions), size
    if n > MOST:
        return torch.cat([fill(positions[i : i + MOST], size, device) for i in range(0, n, MOST)])
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
