"""Small torch modules for tests of backends; imports torch alone."""

from __future__ import annotations

import torch


class Mix(torch.nn.Module):
    """What specs.MIX tells: y = x w through a few layers, and the largest of each row's."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.inner = torch.nn.Parameter(torch.randn(4, 4, generator=generator))

    def forward(self, x: torch.Tensor, w: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        y = torch.nn.functional.gelu(x @ self.inner) @ w
        return y, y.amax(dim=(1, 2))


class Double(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * x
