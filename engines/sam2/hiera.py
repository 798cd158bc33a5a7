"""A block of SAM 2's trunk (Hiera, Ryali et al., arXiv 2306.00989), with the same weights and less work than sam2's.

Windows seldom tile the image: at 512 pixels, 32 x 32 cells in windows of 14 are padded to 42 x 42. The package pads
first and projects then; here only real cells are projected, and what pads a window is the bias that a zero would give.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional


class Block(nn.Module):
    """Equal to sam2.modeling.backbones.hieradet.MultiScaleBlock."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        attention = block.attn
        self.heads, self.window, self.pooled = attention.num_heads, block.window_size, block.q_stride is not None
        if self.pooled and tuple(block.q_stride) != (2, 2):
            raise ValueError(f"a block pools by {block.q_stride}, wanted (2, 2)")
        self.norm1, self.norm2, self.mlp = block.norm1, block.norm2, block.mlp
        self.project, self.out = attention.qkv, attention.proj
        self.across = block.proj if block.dim != block.dim_out else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, H, W, C] to [B, H, W, C'], or to half of H and W where the block pools."""
        y = self.norm1(x)
        kept = x if self.across is None else self._halve(self.across(y))
        x = kept + self.out(self._attend(y, kept.shape[1], kept.shape[2]))
        return x + self.mlp(self.norm2(x))

    def _attend(self, y: torch.Tensor, out_h: int, out_w: int) -> torch.Tensor:
        """What each cell of the output sees in its window: [B, out_h, out_w, C']."""
        b, h, w, _ = y.shape
        wide, high = self.window or w, self.window or h
        values = self.project(y)
        if h % high or w % wide:
            padded = self.project.bias.expand(b, h + -h % high, w + -w % wide, -1).clone()
            padded[:, :h, :w] = values
            values = padded
        width = values.shape[-1] // 3
        if self.pooled:
            query = self._windows(self._halve(values[..., :width]), high // 2, wide // 2, 1)[0]
            key, value = self._windows(values[..., width:], high, wide, 2)
            high, wide = high // 2, wide // 2
        else:
            query, key, value = self._windows(values, high, wide, 3)
        seen = functional.scaled_dot_product_attention(query, key, value).transpose(1, 2)
        rows, columns = -(-out_h // high), -(-out_w // wide)
        seen = seen.reshape(b, rows, columns, high, wide, width).transpose(2, 3)
        return seen.reshape(b, rows * high, columns * wide, width)[:, :out_h, :out_w]

    def _windows(self, x: torch.Tensor, high: int, wide: int, kinds: int) -> tuple[torch.Tensor, ...]:
        """`kinds` tensors [windows, heads, cells, channels] of x [B, H, W, kinds * heads * channels]."""
        b, h, w, c = x.shape
        x = x.reshape(b, h // high, high, w // wide, wide, c).transpose(2, 3)
        x = x.reshape(-1, high * wide, kinds, self.heads, c // kinds // self.heads)
        return tuple(t.transpose(1, 2) for t in x.unbind(2))

    def _halve(self, x: torch.Tensor) -> torch.Tensor:
        if not self.pooled:
            return x
        return functional.max_pool2d(x.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)
