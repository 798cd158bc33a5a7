"""Pixels that pairs of masks share, in Triton: a matrix product of bytes on the tensor cores, no mask is converted.

A mask of bool is already a row of bytes 0 and 1, which is what the tensor cores multiply fastest. A program takes a
tile of pairs over a stretch of the pixels and adds what it finds; a table of tiles lets the pairs of many feeds, of
different sizes, go in one launch. (Bit-packed masks and population counts were measured first: an H200 counts the bits
of 16 words a clock and multiprocessor, and multiplies 4,096 bytes. docs/benchmarks.md has the figures.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
import triton
import triton.language as tl

from kernels.gpu.table import to_device

PIXELS = 128
"""Pixels of a step, each a byte."""
PROGRAMS = 132
"""Programs wanted in flight: where there are few tiles, the pixels are cut into stretches."""


@triton.jit
def _pairs(table, out, TILE: tl.constexpr, PIXELS: tl.constexpr, ALIGNED: tl.constexpr, OWN: tl.constexpr):
    """Add the pixels that the masks of each pair share, and each mask's own.

    table: [T, 11] int64: address of the tile's first mask of a and of b, masks on both sides, pixels of a mask, pixels
    of a stretch, where in out the shared pixels go and their row length, where those of the same pairs the other way
    round go, where a's areas go and where b's (all of these -1: another tile sees to them, or nobody needs them).
    out: int32, zeros at first. OWN: whether areas are wanted.
    """
    row = table + tl.program_id(0) * 11
    at_a, at_b, pixels, stretch = tl.load(row), tl.load(row + 1), tl.load(row + 4), tl.load(row + 5)
    first_a, first_b = at_a.to(tl.pointer_type(tl.int8)), at_b.to(tl.pointer_type(tl.int8))
    if ALIGNED:
        first_a, first_b = tl.multiple_of(first_a, 16), tl.multiple_of(first_b, 16)
        pixels, stretch = tl.multiple_of(pixels, 16), tl.multiple_of(stretch, 16)
    begin = tl.program_id(1) * stretch
    end = tl.minimum(begin + stretch, pixels)
    count_a, count_b = tl.load(row + 2).to(tl.int32), tl.load(row + 3).to(tl.int32)
    i, k = tl.arange(0, TILE), tl.arange(0, PIXELS)
    # Lanes past the last mask read it again; what they find is not stored.
    a = first_a + tl.minimum(i, count_a - 1)[:, None] * pixels + k[None, :]
    b = first_b + tl.minimum(i, count_b - 1)[:, None] * pixels + k[None, :]
    both = tl.zeros((TILE, TILE), tl.int32)
    own_a, own_b = tl.zeros((TILE, 16), tl.int32), tl.zeros((TILE, 16), tl.int32)
    ones = tl.full((PIXELS, 16), 1, tl.int8)
    if begin < end:
        for at in range(begin, end, PIXELS):
            inside = at + k[None, :] < end
            one = tl.load(a + at, mask=inside, other=0)
            two = tl.load(b + at, mask=inside, other=0)
            both = tl.dot(one, tl.trans(two), both, out_dtype=tl.int32)
            if OWN:
                own_a = tl.dot(one, ones, own_a, out_dtype=tl.int32)
                own_b = tl.dot(two, ones, own_b, out_dtype=tl.int32)
        length = tl.load(row + 7).to(tl.int32)
        valid = (i[:, None] < count_a) & (i[None, :] < count_b)
        tl.atomic_add(out + tl.load(row + 6) + (i[:, None] * length + i[None, :]), both, mask=valid, sem="relaxed")
        mirrored, area_a, area_b = tl.load(row + 8), tl.load(row + 9), tl.load(row + 10)
        if mirrored >= 0:
            tl.atomic_add(out + mirrored + (i[None, :] * length + i[:, None]), both, mask=valid, sem="relaxed")
        if OWN:
            if area_a >= 0:
                tl.atomic_add(out + area_a + i, tl.max(own_a, 1), mask=i < count_a, sem="relaxed")
            if area_b >= 0:
                tl.atomic_add(out + area_b + i, tl.max(own_b, 1), mask=i < count_b, sem="relaxed")


@dataclass(frozen=True, slots=True)
class Shared:
    """Of one group: both [M, N] int32, pixels that each pair shares; areas [M] and [N] int32, pixels of each mask (0
    where the other side is empty)."""

    both: torch.Tensor
    area_a: torch.Tensor
    area_b: torch.Tensor


def shared(groups: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> list[Shared]:
    """For each group of masks a [M, H, W] and b [N, H, W] bool what its pairs share, all groups in one launch. Where b
    is a, half of the pairs are counted, and the areas are found among them."""
    kept = [(a.contiguous(), b.contiguous()) for a, b in groups]
    shapes = [(len(a), len(b)) for a, b in kept]
    first = [0, *accumulate(m * n + m + n for m, n in shapes)]
    device = kept[0][0].device
    out = torch.zeros(first[-1], dtype=torch.int32, device=device)
    aligned = all(t.data_ptr() % 16 == 0 and t.shape[1] * t.shape[2] % 16 == 0 for pair in kept for t in pair)
    wide = widest(torch.cuda.get_device_capability(device) if out.is_cuda else (9, 0))
    side = tile(max((max(s) for s in shapes), default=0), aligned, wide)
    tiles, stretches = _table(kept, first, side)
    if tiles:
        own = any(not _same(a, b) for a, b in kept)
        _pairs[(len(tiles), stretches)](
            to_device(np.array(tiles, np.int64), device), out, TILE=side, PIXELS=PIXELS, ALIGNED=aligned, OWN=own,
            num_warps=warps(side), num_stages=stages(side), enable_fp_fusion=False,
        )  # fmt: skip
    found = []
    for begin, (m, n), (a, b) in zip(first[:-1], shapes, kept, strict=True):
        area = begin + m * n
        both = out[begin:area].view(m, n)
        own_a, own_b = out[area : area + m], out[area + m : area + m + n]
        found.append(Shared(both, both.diagonal(), both.diagonal()) if _same(a, b) else Shared(both, own_a, own_b))
    return found


def _same(a: torch.Tensor, b: torch.Tensor) -> bool:
    return bool(a.data_ptr() == b.data_ptr() and a.shape == b.shape)


def widest(capability: tuple[int, int]) -> int:
    """Masks on each side of the widest tile of a GPU: 128 where the tensor cores read shared memory themselves (sm_90,
    sm_100), else what fits the registers."""
    return 128 if capability[0] in (9, 10) else 64


def tile(most: int, aligned: bool, wide: int) -> int:
    """Masks on each side of a tile, where a group has so many at most. Masks whose rows do not begin at multiples of 16
    bytes go through registers, which have room for smaller tiles."""
    return int(min(wide if aligned else 16, max(16, triton.next_power_of_2(most))))


def warps(side: int) -> int:
    return 8 if side == 128 else 4


def stages(side: int) -> int:
    """Steps under way at once: what fits the 99 KB of shared memory that every GPU since sm_86 has."""
    return 3 if side == 128 else 4


def _table(
    groups: Sequence[tuple[torch.Tensor, torch.Tensor]], first: Sequence[int], side: int
) -> tuple[list[tuple[int, ...]], int]:
    """The tiles, and the stretches that the longest masks are cut into."""
    places = [_places(a, b, side) for a, b in groups]
    programs = triton.cdiv(PROGRAMS, max(1, sum(map(len, places))))
    tiles: list[tuple[int, ...]] = []
    most = 1
    for begin, (a, b), group in zip(first[:-1], groups, places, strict=True):
        m, n, pixels, same = len(a), len(b), a.shape[1] * a.shape[2], _same(a, b)
        wanted = max(1, min(programs, triton.cdiv(pixels, 8 * PIXELS)))
        stretch = triton.cdiv(triton.cdiv(pixels, wanted), PIXELS) * PIXELS
        area = begin + m * n
        for i, j in group:
            tiles.append(
                (a.data_ptr() + i * pixels, b.data_ptr() + j * pixels, min(side, m - i), min(side, n - j),
                 pixels, stretch, begin + i * n + j, n, begin + j * n + i if same and i != j else -1,
                 area + i if j == 0 else -1, area + m + j if i == 0 else -1)
            )  # fmt: skip
            most = max(most, triton.cdiv(pixels, stretch))
    return tiles, most


def _places(a: torch.Tensor, b: torch.Tensor, side: int) -> list[tuple[int, int]]:
    """The first pair of each tile of a group; of masks with themselves one half, and none where there are no pixels."""
    if 0 in a.shape:
        return []
    return [(i, j) for i in range(0, len(a), side) for j in range(i if _same(a, b) else 0, len(b), side)]
