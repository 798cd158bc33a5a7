"""Attention to parts of memory in plain PyTorch, with the logarithms of their sums, by which they are joined."""

from __future__ import annotations

import torch


def attend(
    query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, alive: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """As kernels.gpu.attend.attend."""
    scores = torch.einsum("nqd,nmkd->nmqk", query.float(), keys.float()) * query.shape[-1] ** -0.5
    seen = scores.softmax(-1) @ values.float()
    sums = torch.where(alive[:, :, None], scores.logsumexp(-1), -torch.inf)
    return torch.where(alive[:, :, None, None], seen, 0.0), sums
