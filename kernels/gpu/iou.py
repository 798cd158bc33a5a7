"""Pairwise mask IoU in Triton on bit-packed masks: 32 pixels a word, intersections by population count.

`_pack` packs masks and notes which stretches of words hold any pixel; `_pairs` counts, tile of pairs by tile of pairs,
over the stretches that both sides occupy. A table of tiles lets the pairs of many feeds, of different sizes, go in one
launch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import triton
import triton.language as tl

WORDS = 32
"""Words of a stretch."""
TILE = 16
"""Masks on each side of a tile of pairs."""


@dataclass(frozen=True, slots=True)
class Packed:
    """N masks of one size: words [N, stretches x WORDS] int32 (row-major pixels, lowest bit first), used [N, stretches]
    uint8, whether a stretch holds any pixel; area [N] int32."""

    words: torch.Tensor
    used: torch.Tensor
    area: torch.Tensor


@triton.jit
def _pack(masks, words, used, areas, pixels, stretches, WORDS: tl.constexpr):
    n = tl.program_id(1).to(tl.int64)
    stretch = tl.program_id(0)
    word = stretch * WORDS + tl.arange(0, WORDS)
    bit = tl.arange(0, 32)
    at = word[:, None] * 32 + bit[None, :]
    inside = (tl.load(masks + n * pixels + at, mask=at < pixels, other=0) != 0).to(tl.uint32)
    packed = tl.sum(inside << bit[None, :].to(tl.uint32), 1)
    tl.store(words + n * stretches * WORDS + word, packed.to(tl.int32, bitcast=True))
    count = tl.sum(tl.sum(inside.to(tl.int32), 1), 0)
    tl.store(used + n * stretches + stretch, (count > 0).to(tl.uint8))
    tl.atomic_add(areas + n, count)


@triton.jit
def _popcount(v):
    """Bits set in each uint32 (by shifts and adds, which LLVM makes one instruction of)."""
    v = v - ((v >> 1) & 0x55555555)
    v = (v & 0x33333333) + ((v >> 2) & 0x33333333)
    v = (v + (v >> 4)) & 0x0F0F0F0F
    return (v * 0x01010101) >> 24


@triton.jit
def _pairs(a, b, used_a, used_b, tiles, shared, WORDS: tl.constexpr, TILE: tl.constexpr):
    """Pixels that both masks of each pair hold.

    tiles: [T, 9] int64: first word of the tile's first mask in a and b, its first stretch in used_a and used_b, masks
    on both sides, stretches of a mask, where the result goes and its row length.
    """
    row = tiles + tl.program_id(0) * 9
    word_a, word_b = tl.load(row), tl.load(row + 1)
    stretch_a, stretch_b = tl.load(row + 2), tl.load(row + 3)
    count_a, count_b, stretches = tl.load(row + 4), tl.load(row + 5), tl.load(row + 6)
    i, j, k = tl.arange(0, TILE), tl.arange(0, TILE), tl.arange(0, WORDS)
    total = tl.zeros((TILE, TILE), tl.int32)
    for s in range(stretches):
        any_a = tl.max(tl.load(used_a + stretch_a + i * stretches + s, mask=i < count_a, other=0).to(tl.int32), 0)
        any_b = tl.max(tl.load(used_b + stretch_b + j * stretches + s, mask=j < count_b, other=0).to(tl.int32), 0)
        if any_a * any_b > 0:
            at = s * WORDS + k[None, :]
            pa = tl.load(a + word_a + i[:, None] * stretches * WORDS + at, mask=i[:, None] < count_a, other=0)
            pb = tl.load(b + word_b + j[:, None] * stretches * WORDS + at, mask=j[:, None] < count_b, other=0)
            both = pa.to(tl.uint32, bitcast=True)[:, None, :] & pb.to(tl.uint32, bitcast=True)[None, :, :]
            total += tl.sum(_popcount(both).to(tl.int32), 2)
    out = shared + tl.load(row + 7) + i[:, None] * tl.load(row + 8) + j[None, :]
    tl.store(out, total, mask=(i[:, None] < count_a) & (j[None, :] < count_b))


def pack(masks: torch.Tensor) -> Packed:
    """Pack masks [N, H, W] bool."""
    n, pixels = masks.shape[0], masks.shape[1] * masks.shape[2]
    stretches = max(1, triton.cdiv(pixels, 32 * WORDS))
    words = torch.empty((n, stretches * WORDS), dtype=torch.int32, device=masks.device)
    used = torch.empty((n, stretches), dtype=torch.uint8, device=masks.device)
    area = torch.zeros(n, dtype=torch.int32, device=masks.device)
    if n:
        _pack[(stretches, n)](
            masks.contiguous().view(torch.uint8), words, used, area, pixels, stretches,
            WORDS=WORDS, enable_fp_fusion=False,
        )  # fmt: skip
    return Packed(words, used, area)


def shared(groups: Sequence[tuple[Packed, Packed]]) -> list[torch.Tensor]:
    """For each group the pixels [M, N] int32 that its pairs of masks share, all groups in one launch."""
    shapes = [(len(a.words), len(b.words)) for a, b in groups]
    first = np.concatenate([[0], np.cumsum([m * n for m, n in shapes])]).astype(np.int64)
    device = groups[0][0].words.device
    out = torch.empty(int(first[-1]), dtype=torch.int32, device=device)
    if out.numel():
        # One group's tensors serve as they are; several are laid end to end.
        sides = [groups[0]] if len(groups) == 1 else groups
        a, b = (_joined([g[k].words for g in sides]) for k in (0, 1))
        used_a, used_b = (_joined([g[k].used for g in sides]) for k in (0, 1))
        tiles = torch.from_numpy(_tiles(groups, first)).to(device)
        _pairs[(len(tiles),)](a, b, used_a, used_b, tiles, out, WORDS=WORDS, TILE=TILE, enable_fp_fusion=False)
    return [out[first[g] : first[g + 1]].view(*shape) for g, shape in enumerate(shapes)]


def _joined(parts: list[torch.Tensor]) -> torch.Tensor:
    return parts[0] if len(parts) == 1 else torch.cat([p.reshape(-1) for p in parts])


def _tiles(groups: Sequence[tuple[Packed, Packed]], first: np.ndarray) -> np.ndarray:
    rows: list[tuple[int, ...]] = []
    begin_a = begin_b = 0  # in stretches
    for g, (a, b) in enumerate(groups):
        m, n, stretches = len(a.words), len(b.words), a.used.shape[1]
        for i in range(0, m, TILE):
            for j in range(0, n, TILE):
                at = (begin_a + i * stretches, begin_b + j * stretches)
                rows.append(
                    (at[0] * WORDS, at[1] * WORDS, *at, min(TILE, m - i), min(TILE, n - j), stretches,
                     int(first[g]) + i * n + j, n)
                )  # fmt: skip
        begin_a, begin_b = begin_a + m * stretches, begin_b + n * stretches
    return np.array(rows, np.int64).reshape(-1, 9)
