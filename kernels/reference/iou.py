"""Mask IoU in plain PyTorch: a dense matrix product over all pixels."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def mask_iou(a: torch.Tensor, b: torch.Tensor, crowd: Sequence[bool]) -> torch.Tensor:
    """[M, N] float64 IoU of masks [M, H, W] and [N, H, W] bool; for a crowd in b the union is a's area."""
    one, two = a.flatten(1).double(), b.flatten(1).double()
    both = one @ two.T
    areas = one.sum(1)[:, None], two.sum(1)[None]
    union = torch.where(torch.tensor(list(crowd), dtype=torch.bool)[None], areas[0], areas[0] + areas[1] - both)
    return torch.where(both > 0, both / union.clamp(min=1), 0.0)
