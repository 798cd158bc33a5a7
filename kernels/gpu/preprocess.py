"""Preprocessing in one Triton launch: a program walks down some columns of one output frame.

Frames are read where they lie, through a table of addresses, so that feeds of different sizes share a launch and
nothing is copied together first. Each output pixel weighs its pixels by a triangle as wide as the scale (PyTorch's
antialiased bilinear filter): across first, then down. A frame that becomes smaller has each row summed across once; a
row counts for two rows of the output, which are kept in registers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import triton
import triton.language as tl

from kernels.gpu.table import to_device
from kernels.preprocess import Nv12, coefficients, fit

COLUMNS = 128
"""Output columns of a program, one a lane."""
ROWS = 32
"""Output rows that a program walks down."""
MOST = 65_535
"""Frames of one launch: CUDA's limit for a grid's third side."""
UNROLLED = 8
"""Pixels under an output point, across, up to which the loop over them is unrolled (no frame being narrower)."""


@triton.jit
def _taps(at, scale, length):
    """First pixel and number of pixels under each output point, its centre, and the filter's inverse width."""
    reach = tl.maximum(scale, 1.0)
    centre = scale * (at + 0.5)
    first = tl.maximum((centre - reach + 0.5).to(tl.int32), 0)
    count = tl.minimum((centre + reach + 0.5).to(tl.int32), length) - first
    return first, count, centre, 1.0 / reach


@triton.jit
def _hat(pixel, centre, inverse):
    """What a pixel counts for under an output point."""
    return tl.maximum(1.0 - tl.abs((pixel - centre + 0.5) * inverse), 0.0)


@triton.jit
def _rgb(at, k):
    """Red, green and blue of the k-th pixel from each of these addresses."""
    return (
        tl.load(at + 3 * k).to(tl.float32),
        tl.load(at + (3 * k + 1)).to(tl.float32),
        tl.load(at + (3 * k + 2)).to(tl.float32),
    )


@triton.jit
def _nv12(at, chroma, colours):
    """Red, green and blue of NV12's pixels. colours: of `coefficients`."""
    level = (tl.load(at).to(tl.float32) - tl.load(colours)) * tl.load(colours + 1)
    u, v = tl.load(chroma).to(tl.float32) - 128.0, tl.load(chroma + 1).to(tl.float32) - 128.0
    red = level + tl.load(colours + 2) * v
    green = level - tl.load(colours + 3) * u - tl.load(colours + 4) * v
    blue = level + tl.load(colours + 5) * u
    return (
        tl.minimum(tl.maximum(red, 0.0), 255.0),
        tl.minimum(tl.maximum(green, 0.0), 255.0),
        tl.minimum(tl.maximum(blue, 0.0), 255.0),
    )


@triton.jit
def _colour(pixels, chroma, colours, row, x, k, width, chroma_w, KIND: tl.constexpr):
    """Red, green and blue of one row of the frame, k columns right of x."""
    at = pixels.to(tl.pointer_type(tl.uint8))
    pair = chroma.to(tl.pointer_type(tl.uint8)) + (row // 2) * chroma_w.to(tl.int64) * 2
    if KIND == "rgb":
        red, green, blue = _rgb(at + row * width.to(tl.int64) * 3 + x * 3, k)
    elif KIND == "nv12":
        red, green, blue = _nv12(at + row * width.to(tl.int64) + x + k, pair + ((x + k) // 2) * 2, colours)
    else:
        if chroma == 0:
            red, green, blue = _rgb(at + row * width.to(tl.int64) * 3 + x * 3, k)
        else:
            red, green, blue = _nv12(at + row * width.to(tl.int64) + x + k, pair + ((x + k) // 2) * 2, colours)
    return red, green, blue


@triton.jit
def _across(
    pixels, chroma, colours, row, width, chroma_w, first, centre, inverse, taps,
    KIND: tl.constexpr, TAPS: tl.constexpr, BX: tl.constexpr,
):  # fmt: skip
    """Red, green and blue of one row of the frame at the output columns, weighted and not yet divided.

    KIND: "rgb" or "nv12", where all frames are of it. TAPS: `taps`, where they are few: then the loop is unrolled, and
    what does not depend on the row is found once.
    """
    red, green, blue = tl.zeros((BX,), tl.float32), tl.zeros((BX,), tl.float32), tl.zeros((BX,), tl.float32)
    if TAPS > 0:
        for k in tl.static_range(TAPS):
            weight = _hat(first + k, centre, inverse)
            r, g, b = _colour(pixels, chroma, colours, row, first, k, width, chroma_w, KIND)
            red, green, blue = red + weight * r, green + weight * g, blue + weight * b
    else:
        for k in range(taps):
            weight = _hat(first + k, centre, inverse)
            r, g, b = _colour(pixels, chroma, colours, row, first, k, width, chroma_w, KIND)
            red, green, blue = red + weight * r, green + weight * g, blue + weight * b
    return red, green, blue


@triton.jit
def _emit(to, plane, red, green, blue, factor, gain_r, gain_g, gain_b, less_r, less_g, less_b, valid):
    """Store one row of the output; `factor` divides by the rows' weights."""
    kind = to.dtype.element_ty
    tl.store(to, (red * (factor * gain_r) - less_r).to(kind), mask=valid)
    tl.store(to + plane, (green * (factor * gain_g) - less_g).to(kind), mask=valid)
    tl.store(to + 2 * plane, (blue * (factor * gain_b) - less_b).to(kind), mask=valid)


@triton.jit
def _preprocess(
    table, colours, out, side, rows, taps,
    mean_r, mean_g, mean_b, over_r, over_g, over_b, pad,
    KIND: tl.constexpr, TAPS: tl.constexpr, BX: tl.constexpr,
):  # fmt: skip
    """table: [N, 9] int64: address of the pixels, of the chroma (0 for RGB), H, W, then of `Fit`: height, width, top,
    left, and the chroma's width. colours: [N, 6] float32 of `coefficients`. rows: that a program makes."""
    n = tl.program_id(2).to(tl.int64)
    row = table + n * 9
    colours += n * 6
    pixels, chroma = tl.load(row), tl.load(row + 1)
    height, width = tl.load(row + 2).to(tl.int32), tl.load(row + 3).to(tl.int32)
    fit_h, fit_w = tl.load(row + 4).to(tl.int32), tl.load(row + 5).to(tl.int32)
    top, left = tl.load(row + 6).to(tl.int32), tl.load(row + 7).to(tl.int32)
    chroma_w = tl.load(row + 8).to(tl.int32)
    x = tl.program_id(0) * BX + tl.arange(0, BX)
    y0 = tl.program_id(1) * rows
    y1 = tl.minimum(y0 + rows, side)
    inside = (x >= left) & (x < left + fit_w)
    scale_y, scale_x = height.to(tl.float32) / fit_h.to(tl.float32), width.to(tl.float32) / fit_w.to(tl.float32)
    first, _, centre, inverse = _taps(tl.minimum(tl.maximum(x - left, 0), fit_w - 1), scale_x, width)
    taps = tl.minimum(taps, width)
    first = tl.minimum(first, width - taps)  # all pixels lie in the frame; those outside the filter weigh nothing
    weights = tl.zeros((BX,), tl.float32)
    for k in range(taps):
        weights += _hat(first + k, centre, inverse)
    # A level is (sum / weights - mean) * over; where nothing is, gain is 0 and pad is left.
    gain_r = tl.where(inside, over_r / weights, 0.0)
    gain_g = tl.where(inside, over_g / weights, 0.0)
    gain_b = tl.where(inside, over_b / weights, 0.0)
    less_r = tl.where(inside, mean_r * over_r, (mean_r - pad) * over_r)
    less_g = tl.where(inside, mean_g * over_g, (mean_g - pad) * over_g)
    less_b = tl.where(inside, mean_b * over_b, (mean_b - pad) * over_b)
    plane = side * side
    to = out + n * 3 * plane + x
    valid = x < side
    nothing = tl.zeros((BX,), tl.float32)
    for y in range(y0, y1):
        if (y < top) | (y >= top + fit_h):
            _emit(
                to + y * side, plane, nothing, nothing, nothing, 0.0, nothing, nothing, nothing,
                nothing + (mean_r - pad) * over_r, nothing + (mean_g - pad) * over_g,
                nothing + (mean_b - pad) * over_b, valid,
            )  # fmt: skip
    begin, end = tl.maximum(y0 - top, 0), tl.minimum(y1 - top, fit_h)
    if begin < end:
        if scale_y >= 1.0:
            # A row of the frame lies between the centres of two rows of the output, `y` and the next, and counts for
            # both: it is read once. What the row before `begin` gets is thrown away.
            y = begin - 1
            red, green, blue = nothing, nothing, nothing
            next_red, next_green, next_blue = nothing, nothing, nothing
            total, next_total = 0.0, 0.0
            down = 1.0 / scale_y
            from_row = tl.maximum((scale_y * (begin - 0.5) + 0.5).to(tl.int32), 0)
            to_row = tl.minimum((scale_y * (end + 0.5) + 0.5).to(tl.int32), height)
            for at in range(from_row, to_row + 2, 2):
                # Two rows are under way at once.
                one_red, one_green, one_blue = _across(
                    pixels, chroma, colours, tl.minimum(at, to_row - 1), width, chroma_w,
                    first, centre, inverse, taps, KIND, TAPS, BX,
                )  # fmt: skip
                two_red, two_green, two_blue = _across(
                    pixels, chroma, colours, tl.minimum(at + 1, to_row - 1), width, chroma_w,
                    first, centre, inverse, taps, KIND, TAPS, BX,
                )  # fmt: skip
                for second in tl.static_range(2):
                    r = at + second
                    if (r >= to_row) | (r + 0.5 >= scale_y * (y + 1.5)):  # nothing more of row y
                        if (y >= begin) & (y < end):
                            _emit(
                                to + (y + top) * side, plane, red, green, blue, 1.0 / total,
                                gain_r, gain_g, gain_b, less_r, less_g, less_b, valid,
                            )  # fmt: skip
                        red, green, blue, total = next_red, next_green, next_blue, next_total
                        next_red, next_green, next_blue, next_total = nothing, nothing, nothing, 0.0
                        y += 1
                    then = tl.minimum(tl.maximum((r + 0.5 - scale_y * (y + 0.5)) * down, 0.0), 1.0)
                    here = tl.where(r < to_row, 1.0 - then, 0.0)
                    then = tl.where(r < to_row, then, 0.0)
                    if second == 0:
                        r_red, r_green, r_blue = one_red, one_green, one_blue
                    else:
                        r_red, r_green, r_blue = two_red, two_green, two_blue
                    red, green, blue = red + here * r_red, green + here * r_green, blue + here * r_blue
                    next_red, next_green = next_red + then * r_red, next_green + then * r_green
                    next_blue += then * r_blue
                    total += here
                    next_total += then
        else:
            for y in range(begin, end):
                red, green, blue, total = nothing, nothing, nothing, 0.0
                first_y, count_y, centre_y, inverse_y = _taps(y, scale_y, height)
                for r in range(first_y, first_y + count_y):
                    r_red, r_green, r_blue = _across(
                        pixels, chroma, colours, r, width, chroma_w,
                        first, centre, inverse, taps, KIND, TAPS, BX,
                    )  # fmt: skip
                    here = _hat(r, centre_y, inverse_y)
                    red, green, blue = red + here * r_red, green + here * r_green, blue + here * r_blue
                    total += here
                _emit(
                    to + (y + top) * side, plane, red, green, blue, 1.0 / total,
                    gain_r, gain_g, gain_b, less_r, less_g, less_b, valid,
                )  # fmt: skip


def preprocess(
    batches: Sequence[Any],
    side: int,
    normalise: tuple[Sequence[float], Sequence[float]],
    letterbox: bool,
    pad: float,
    dtype: torch.dtype,
) -> torch.Tensor:
    """See kernels.preprocess.preprocess."""
    rows: list[list[int]] = []
    colours: list[tuple[float, ...]] = []
    kept: list[torch.Tensor] = []  # what the addresses point to must outlive the launch
    taps = 1
    kinds = {"nv12" if isinstance(b, Nv12) else "rgb" for b in batches}
    narrowest = 1 << 30
    for batch in batches:
        is_nv12 = isinstance(batch, Nv12)
        pixels = (batch.y if is_nv12 else batch).contiguous()
        chroma = batch.uv.contiguous() if is_nv12 else None
        kept += [pixels] if chroma is None else [pixels, chroma]
        t, h, w = (int(v) for v in pixels.shape[:3])
        place = fit((h, w), side, letterbox=letterbox)
        taps, narrowest = max(taps, _most_taps(w, place.width)), min(narrowest, w)
        for i in range(t):
            second = 0 if chroma is None else chroma[i].data_ptr()
            where = [place.height, place.width, place.top, place.left]
            rows.append([pixels[i].data_ptr(), second, h, w, *where, (w + 1) // 2])
            colours.append(coefficients(batch) if is_nv12 else (0.0,) * 6)
    device = kept[0].device
    out = torch.empty((len(rows), 3, side, side), dtype=dtype, device=device)
    if not rows:
        return out
    if len(rows) > MOST:
        raise ValueError(f"{len(rows)} frames in one batch, wanted {MOST} at most")
    table = to_device(np.array(rows, np.int64), device)
    mean, deviation = normalise
    grid = (triton.cdiv(side, COLUMNS), triton.cdiv(side, ROWS), len(rows))
    _preprocess[grid](
        table, to_device(np.array(colours, np.float32), device), out, side, ROWS, taps,
        *(float(m) for m in mean), *(1.0 / float(d) for d in deviation), float(pad),
        KIND=kinds.pop() if len(kinds) == 1 else "mixed", TAPS=taps if taps <= min(UNROLLED, narrowest) else 0,
        BX=COLUMNS, num_warps=COLUMNS // 32, enable_fp_fusion=True,
    )  # fmt: skip
    return out


def _most_taps(length: int, to: int) -> int:
    """Pixels under an output point, at most."""
    return min(length, math.ceil(2 * max(1.0, length / to)))
