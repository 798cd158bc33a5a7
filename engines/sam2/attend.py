"""Cross-attention over memory, several ways to one result; which is quickest depends on what it runs on.

All take query [N, cells, 256]; keys [N, M, cells, 256] and memory [N, M, cells, 64]; point_keys [N, Q, 256] and points
[N, Q, 64]; alive [N, M] and shown [N, Q] bool; and give the weighted sums [N, cells, 64] of memory and points.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from engines.sam2.onednn import product

Attend = Callable[
    [torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor
]

BLOCK = 256
"""Queries a pass of `blocked`: their scores against a full memory fit the cache of a core."""


def masked(
    query: torch.Tensor,
    keys: torch.Tensor,
    point_keys: torch.Tensor,
    memory: torch.Tensor,
    points: torch.Tensor,
    alive: torch.Tensor,
    shown: torch.Tensor,
) -> torch.Tensor:
    """One masked attention: the plain form, the reference of the others, and the one that is exported."""
    k, v, mask = _in_a_row(keys, point_keys, memory, points, alive, shown)
    # On CUDA cuDNN's kernel is kept out: it fails for values narrower than keys (PyTorch 2.11).
    kinds = sdpa_kernel([SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]) if query.is_cuda else nullcontext()
    with kinds:
        seen = functional.scaled_dot_product_attention(
            query[:, None], k[:, None], v[:, None], attn_mask=mask[:, None, None]
        )
    return seen[:, 0]


def blocked(
    query: torch.Tensor,
    keys: torch.Tensor,
    point_keys: torch.Tensor,
    memory: torch.Tensor,
    points: torch.Tensor,
    alive: torch.Tensor,
    shown: torch.Tensor,
) -> torch.Tensor:
    """For CPUs: by blocks of queries of one object, so that scores stay in the cache and memory is 8 MB however many
    objects there are. A CPU gains nothing from a batch: the loop over blocks is all the work there is."""
    k, v, mask = _in_a_row(keys, point_keys, memory, points, alive, shown)
    bias = None if bool(mask.all()) else torch.zeros(mask.shape, dtype=query.dtype).masked_fill_(~mask, -torch.inf)
    query = query * (query.shape[-1] ** -0.5)
    n, cells, _ = query.shape
    out = query.new_empty(n, cells, v.shape[-1])
    for i in range(n):
        values = v[i].t().contiguous()
        for start in range(0, cells, BLOCK):
            scores = product(query[i, start : start + BLOCK], k[i])
            if bias is not None:
                scores += bias[i]
            out[i, start : start + BLOCK] = product(scores.softmax(-1), values)
    return out


def framed(
    query: torch.Tensor,
    keys: torch.Tensor,
    point_keys: torch.Tensor,
    memory: torch.Tensor,
    points: torch.Tensor,
    alive: torch.Tensor,
    shown: torch.Tensor,
) -> torch.Tensor:
    """For CUDA in half precision: flash attention that takes memories for heads, put together by their log-sums.

    Flash attention takes no mask; here none is needed, because a memory that is not there gets the weight 0 when the
    parts are put together (as Flash-Decoding splits keys: Dao et al., 2023). The parts also give a small batch more
    blocks to run side by side. Values are padded to the head's width, which flash attention wants.
    """
    n, m, cells, width = keys.shape
    heads = query[:, None].expand(n, m, cells, width)
    values = functional.pad(memory, (0, width - memory.shape[-1]))
    aten = torch.ops.aten
    on_cpu, on_gpu = aten._scaled_dot_product_flash_attention_for_cpu, aten._scaled_dot_product_flash_attention
    seen, sums = (on_gpu if query.is_cuda else on_cpu)(heads, keys, values)[:2]
    sums = torch.where(alive[:, :, None], sums[..., :cells].float(), -torch.inf)
    return _together(seen[..., : memory.shape[-1]].float(), sums, query, point_keys, points, shown)


def narrow(
    query: torch.Tensor,
    keys: torch.Tensor,
    point_keys: torch.Tensor,
    memory: torch.Tensor,
    points: torch.Tensor,
    alive: torch.Tensor,
    shown: torch.Tensor,
) -> torch.Tensor:
    """For CUDA: by a Triton kernel that takes values of 64 channels as they are, and skips memories not there."""
    if query.is_cuda:
        from kernels.gpu.attend import attend
    else:
        from kernels.reference.attend import attend
    seen, sums = attend(query, keys, memory, alive)
    return _together(seen, sums, query, point_keys, points, shown)


def _in_a_row(
    keys: torch.Tensor,
    point_keys: torch.Tensor,
    memory: torch.Tensor,
    points: torch.Tensor,
    alive: torch.Tensor,
    shown: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Keys [N, K, 256], values [N, K, 64] and mask [N, K] bool of all memories' cells, then of all points."""
    k = torch.cat([keys.flatten(1, 2), point_keys], 1)
    v = torch.cat([memory.flatten(1, 2), points], 1)
    return k, v, torch.cat([alive[:, :, None].expand(keys.shape[:3]).flatten(1, 2), shown], 1)


def _together(
    seen: torch.Tensor,
    sums: torch.Tensor,
    query: torch.Tensor,
    point_keys: torch.Tensor,
    points: torch.Tensor,
    shown: torch.Tensor,
) -> torch.Tensor:
    """Parts [N, M, cells, 64] float32 of memory, with the logarithms [N, M, cells] of their sums, and the points."""
    scores = (query @ point_keys.transpose(1, 2)).float() * query.shape[-1] ** -0.5
    scores = torch.where(shown[:, None], scores, -torch.inf)
    top = torch.maximum(sums.amax(1), scores.amax(2))
    memory_weight = (sums - top[:, None]).exp()
    point_weight = (scores - top[:, :, None]).exp()
    total = memory_weight.sum(1) + point_weight.sum(2)
    both = (seen * memory_weight[..., None]).sum(1) + point_weight @ points.float()
    return (both / total[..., None]).to(query.dtype)


WAYS: dict[str, Attend] = {"masked": masked, "blocked": blocked, "framed": framed, "narrow": narrow}


def way(name: str, device: str, dtype: torch.dtype) -> Attend:
    """The way of this name; "auto" is the quickest for the device. Raises ValueError with the names there are."""
    if name == "auto":
        half = dtype in (torch.float16, torch.bfloat16)
        return blocked if device == "cpu" else narrow if half else masked
    if name not in WAYS:
        raise ValueError(f"no attention {name!r}; there are auto, {', '.join(WAYS)}")
    return WAYS[name]
