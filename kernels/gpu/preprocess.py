"""Preprocessing in one Triton launch: every program makes a tile of one output frame from the pixels under it.

Frames are read where they lie, through a table of addresses, so that feeds of different sizes share a launch and
nothing is copied together first. Each output pixel weighs its pixels by a triangle as wide as the scale (PyTorch's
antialiased bilinear filter), rows and columns in one sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import triton
import triton.language as tl

from kernels.preprocess import Nv12, coefficients, fit

TILE_Y, TILE_X = 8, 32


@triton.jit
def _taps(at, scale, length):
    """First pixel and number of pixels under each output point, its centre, and the filter's inverse width."""
    reach = tl.maximum(scale, 1.0)
    centre = scale * (at.to(tl.float32) + 0.5)
    first = tl.maximum((centre - reach + 0.5).to(tl.int32), 0)
    count = tl.minimum((centre + reach + 0.5).to(tl.int32), length) - first
    return first, count, centre, 1.0 / reach


@triton.jit
def _weight(tap, first, count, centre, inverse):
    weight = tl.maximum(1.0 - tl.abs(((first + tap).to(tl.float32) - centre + 0.5) * inverse), 0.0)
    return tl.where(tap < count, weight, 0.0)


@triton.jit
def _preprocess(
    table, colours, out, side, taps_y, taps_x,
    mean_r, mean_g, mean_b, over_r, over_g, over_b, pad,
    TILE_Y: tl.constexpr, TILE_X: tl.constexpr,
):  # fmt: skip
    """table: [N, 9] int64: address of the pixels, of the chroma (0 for RGB), H, W, then of `Fit`: height, width, top,
    left, and the chroma's width. colours: [N, 6] float32 of `coefficients`."""
    n = tl.program_id(2).to(tl.int64)
    row = table + n * 9
    pixels = tl.load(row).to(tl.pointer_type(tl.uint8))
    chroma_at = tl.load(row + 1)
    height, width = tl.load(row + 2).to(tl.int32), tl.load(row + 3).to(tl.int32)
    fit_h, fit_w = tl.load(row + 4).to(tl.int32), tl.load(row + 5).to(tl.int32)
    top, left = tl.load(row + 6).to(tl.int32), tl.load(row + 7).to(tl.int32)
    chroma_w = tl.load(row + 8).to(tl.int32)
    y = tl.program_id(1) * TILE_Y + tl.arange(0, TILE_Y)[:, None]
    x = tl.program_id(0) * TILE_X + tl.arange(0, TILE_X)[None, :]
    inside = (y >= top) & (y < top + fit_h) & (x >= left) & (x < left + fit_w)
    scale_y, scale_x = height.to(tl.float32) / fit_h.to(tl.float32), width.to(tl.float32) / fit_w.to(tl.float32)
    first_y, count_y, centre_y, inverse_y = _taps(y - top, scale_y, height)
    first_x, count_x, centre_x, inverse_x = _taps(x - left, scale_x, width)
    red, green, blue = (
        tl.zeros((TILE_Y, TILE_X), tl.float32),
        tl.zeros((TILE_Y, TILE_X), tl.float32),
        tl.zeros((TILE_Y, TILE_X), tl.float32),
    )
    total = tl.zeros((TILE_Y, TILE_X), tl.float32)
    chroma = chroma_at.to(tl.pointer_type(tl.uint8))
    offset, luma = tl.load(colours + n * 6), tl.load(colours + n * 6 + 1)
    red_v, green_u = tl.load(colours + n * 6 + 2), tl.load(colours + n * 6 + 3)
    green_v, blue_u = tl.load(colours + n * 6 + 4), tl.load(colours + n * 6 + 5)
    for ky in range(taps_y):
        weight_y = _weight(ky, first_y, count_y, centre_y, inverse_y)
        for kx in range(taps_x):
            weight = weight_y * _weight(kx, first_x, count_x, centre_x, inverse_x)
            here = inside & (weight > 0)
            py, px = first_y + ky, first_x + kx
            if chroma_at == 0:
                at = (py.to(tl.int64) * width + px) * 3
                r = tl.load(pixels + at, mask=here, other=0).to(tl.float32)
                g = tl.load(pixels + at + 1, mask=here, other=0).to(tl.float32)
                b = tl.load(pixels + at + 2, mask=here, other=0).to(tl.float32)
            else:
                level = tl.load(pixels + py.to(tl.int64) * width + px, mask=here, other=0).to(tl.float32)
                at = ((py // 2).to(tl.int64) * chroma_w + px // 2) * 2
                u = tl.load(chroma + at, mask=here, other=128).to(tl.float32) - 128.0
                v = tl.load(chroma + at + 1, mask=here, other=128).to(tl.float32) - 128.0
                level = (level - offset) * luma
                r = tl.minimum(tl.maximum(level + red_v * v, 0.0), 255.0)
                g = tl.minimum(tl.maximum(level - green_u * u - green_v * v, 0.0), 255.0)
                b = tl.minimum(tl.maximum(level + blue_u * u, 0.0), 255.0)
            red += weight * r
            green += weight * g
            blue += weight * b
            total += weight
    total = tl.where(inside, total, 1.0)
    red = (tl.where(inside, red / total, pad) - mean_r) * over_r
    green = (tl.where(inside, green / total, pad) - mean_g) * over_g
    blue = (tl.where(inside, blue / total, pad) - mean_b) * over_b
    valid = (y < side) & (x < side)
    to = out + n * 3 * side * side + y * side + x
    tl.store(to, red.to(out.dtype.element_ty), mask=valid)
    tl.store(to + side * side, green.to(out.dtype.element_ty), mask=valid)
    tl.store(to + 2 * side * side, blue.to(out.dtype.element_ty), mask=valid)


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
    taps = [1, 1]
    for batch in batches:
        is_nv12 = isinstance(batch, Nv12)
        pixels = (batch.y if is_nv12 else batch).contiguous()
        chroma = batch.uv.contiguous() if is_nv12 else None
        kept += [pixels] if chroma is None else [pixels, chroma]
        t, h, w = (int(v) for v in pixels.shape[:3])
        place = fit((h, w), side, letterbox=letterbox)
        taps = [max(taps[0], _most_taps(h, place.height)), max(taps[1], _most_taps(w, place.width))]
        for i in range(t):
            second = 0 if chroma is None else chroma[i].data_ptr()
            where = [place.height, place.width, place.top, place.left]
            rows.append([pixels[i].data_ptr(), second, h, w, *where, (w + 1) // 2])
            colours.append(coefficients(batch) if is_nv12 else (0.0,) * 6)
    device = kept[0].device
    out = torch.empty((len(rows), 3, side, side), dtype=dtype, device=device)
    if not rows:
        return out
    table = torch.tensor(rows, dtype=torch.int64, device=device)
    mean, deviation = normalise
    grid = (triton.cdiv(side, TILE_X), triton.cdiv(side, TILE_Y), len(rows))
    _preprocess[grid](
        table, torch.tensor(colours, dtype=torch.float32, device=device), out, side, *taps,
        *(float(m) for m in mean), *(1.0 / float(d) for d in deviation), float(pad), TILE_Y=TILE_Y, TILE_X=TILE_X,
        enable_fp_fusion=True,
    )  # fmt: skip
    return out


def _most_taps(length: int, to: int) -> int:
    """Pixels under an output point, at most."""
    return min(length, int(2 * max(1.0, length / to)) + 2)
