"""Logits to runs in plain PyTorch: every full-size array is made."""

from __future__ import annotations

import torch
from torch.nn.functional import interpolate


def changes(logits: torch.Tensor, size: tuple[int, int], threshold: float) -> list[torch.Tensor]:
    """For each of the logits [N, h, w] the column-major pixels [k] int64 at which the mask of `size` changes."""
    full = interpolate(logits.float()[:, None], size, mode="bilinear", align_corners=False)[:, 0]
    columns = (full > threshold).permute(0, 2, 1).flatten(1)
    before = torch.nn.functional.pad(columns[:, :-1], (1, 0))
    return [row.nonzero()[:, 0] for row in columns != before]


def masks(positions: list[torch.Tensor], size: tuple[int, int]) -> torch.Tensor:
    """[N, H, W] bool from where each mask changes."""
    h, w = size
    flags = torch.zeros((len(positions), w * h), dtype=torch.int32)
    for row, at in zip(flags, positions, strict=True):
        row[at] = 1
    return (flags.cumsum(1) % 2 == 1).view(-1, w, h).permute(0, 2, 1)
