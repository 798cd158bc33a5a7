"""Attention of frames to memories in Triton, for heads whose values are narrower than their keys.

Flash attention (Dao et al., arXiv 2205.14135): scores stay on the chip. Each program takes a block of queries and one
memory, so that a batch of one fills the device too (as Flash-Decoding does, Dao et al., 2023), and a memory that is not
there costs nothing; whoever calls puts the parts together by their sums. SAM 2's keys have 256 channels and its values,
unprojected, 64: libraries want both alike and would do 1.6 times the arithmetic.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

SHARED_BYTES = 160 << 10
"""Shared memory of a block from which on the large tile fits."""


@triton.jit
def _attend(
    query, keys, values, alive, seen, sums, memories, cells, scale,
    D: tl.constexpr, V: tl.constexpr, BQ: tl.constexpr, BK: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Scores are in powers of two: `scale` holds log2(e) too."""
    part = tl.program_id(1).to(tl.int64)
    n = part // memories
    rows = tl.program_id(0) * BQ + tl.arange(0, BQ)
    width, depth = tl.arange(0, V), tl.arange(0, D)
    there = tl.load(alive + part) != 0
    top = tl.full([BQ], float("-inf"), tl.float32)
    total = tl.zeros([BQ], tl.float32)
    acc = tl.zeros([BQ, V], tl.float32)
    inside = rows < cells
    q = tl.load(query + (n * cells + rows[:, None]) * D + depth[None, :], mask=inside[:, None], other=0.0)
    end = tl.where(there, cells, 0)
    for start in range(0, end, BK):
        columns = start + tl.arange(0, BK)
        shown = columns < cells
        at = part * cells + columns
        k = tl.load(keys + at[None, :] * D + depth[:, None], mask=shown[None, :], other=0.0)
        scores = tl.dot(q, k, input_precision=PRECISION) * scale
        scores = tl.where(shown[None, :], scores, float("-inf"))
        higher = tl.maximum(top, tl.max(scores, 1))
        weights = tl.exp2(scores - higher[:, None])
        shrink = tl.exp2(top - higher)
        total = total * shrink + tl.sum(weights, 1)
        v = tl.load(values + at[:, None] * V + width[None, :], mask=shown[:, None], other=0.0)
        acc = acc * shrink[:, None] + tl.dot(weights.to(v.dtype), v, input_precision=PRECISION)
        top = higher
    total_or_one = tl.where(total > 0, total, 1.0)
    out = part * cells + rows
    tl.store(seen + out[:, None] * V + width[None, :], acc / total_or_one[:, None], mask=inside[:, None])
    # log of the sum, to the base e; of nothing, minus infinity
    logarithm = tl.where(total > 0, (top + tl.log2(total_or_one)) * 0.6931471805599453, float("-inf"))
    tl.store(sums + out, logarithm, mask=inside)


def tile(dtype: torch.dtype, shared_bytes: int) -> tuple[int, int, int, int]:
    """Queries and keys of a block, warps and stages."""
    if dtype == torch.float32:
        return 16, 32, 4, 1
    return (128, 64, 8, 3) if shared_bytes >= SHARED_BYTES else (64, 32, 4, 3)


@torch.compiler.disable  # it is a graph of its own kind: what lies before and after it is compiled
def attend(
    query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, alive: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """What each query sees of each memory, [N, M, cells, 64], and the logarithm of its sum, [N, M, cells]; float32.

    query: [N, cells, 256]. keys: [N, M, cells, 256]. values: [N, M, cells, 64], of the same type: float16, bfloat16 or
    float32. alive: [N, M] bool; where not, zeros and minus infinity. Scores are scaled by the root of 256.
    Raises ValueError where shapes or types do not fit.
    """
    n, m, cells, depth = keys.shape
    width = values.shape[-1]
    if query.shape != (n, cells, depth) or values.shape[:3] != keys.shape[:3] or alive.shape != (n, m):
        shapes = ", ".join(str(tuple(t.shape)) for t in (query, keys, values, alive))
        raise ValueError(f"{shapes} are no query, keys, values and alive of one batch")
    if not query.dtype == keys.dtype == values.dtype:
        raise ValueError(f"types {query.dtype}, {keys.dtype} and {values.dtype}, wanted one")
    query, keys, values = query.contiguous(), keys.contiguous(), values.contiguous()
    seen = torch.empty(n, m, cells, width, dtype=torch.float32, device=query.device)
    sums = torch.empty(n, m, cells, dtype=torch.float32, device=query.device)
    shared = torch.cuda.get_device_properties(query.device).shared_memory_per_block_optin if query.is_cuda else 0
    queries, columns, warps, stages = tile(query.dtype, shared)
    scale = depth**-0.5 * 1.4426950408889634
    _attend[triton.cdiv(cells, queries), n * m](
        query, keys, values, alive.contiguous().view(torch.uint8), seen, sums, m, cells, scale, depth, width,
        queries, columns, "ieee", num_warps=warps, num_stages=stages,
    )  # fmt: skip
    return seen, sums
