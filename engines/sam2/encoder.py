"""SAM 2's image encoder: Hiera and its feature pyramid, as one module from pixels to what the other parts read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from engines.sam2.hiera import Block
from engines.sam2.layers import chain, pointwise


@dataclass(frozen=True, slots=True)
class Features:
    """What the encoder tells of B frames; with s the input's side.

    top: [B, (s/16)^2, 256] tokens in row-major order. mid: [B, 64, s/8, s/8]. high: [B, 32, s/4, s/4].
    """

    top: torch.Tensor
    mid: torch.Tensor
    high: torch.Tensor

    def __len__(self) -> int:
        return int(self.top.shape[0])

    def __getitem__(self, index: int) -> Features:
        """One frame's, as a batch of one that shares memory with this one. Raises IndexError beyond the last."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"frame {index} of {len(self)}")
        i = index % len(self)
        return Features(self.top[i : i + 1], self.mid[i : i + 1], self.high[i : i + 1])

    def __iter__(self) -> Iterator[Features]:
        return (self[i] for i in range(len(self)))


def gather(frames: Sequence[tuple[Features, int]]) -> tuple[Features, list[int]]:
    """Frames (features, index in them) as one batch, and each one's index in that. What is one batch already is not
    copied."""
    first = frames[0][0]
    if all(features is first for features, _ in frames):
        return first, [index for _, index in frames]
    rows = [features[index] for features, index in frames]
    joined = Features(*(torch.cat([getattr(row, part) for row in rows]) for part in ("top", "mid", "high")))
    return joined, list(range(len(rows)))


class ImageEncoder(nn.Module):
    """Equal to SAM2Base.forward_image up to the order of sums, and quicker by what does not depend on the frame.

    The position embedding is interpolated once; the pyramid's two fine levels and the decoder's conv_s0 and conv_s1,
    with nothing between them, are one linear layer each, so that 256 channels at stride 4 and 8 are never written.
    """

    def __init__(self, base: Any) -> None:
        super().__init__()
        encoder, decoder = base.image_encoder, base.sam_mask_decoder
        trunk, neck = encoder.trunk, encoder.neck
        if encoder.scalp != 1 or list(neck.fpn_top_down_levels) != [2, 3] or neck.fpn_interp_model != "nearest":
            raise ValueError("the encoder's pyramid is not SAM 2.1's: scalp 1, levels 2 and 3 top-down, nearest")
        self.patch_embed, self.stage_ends = trunk.patch_embed, tuple(trunk.stage_ends)
        self.blocks = nn.ModuleList(Block(block) for block in trunk.blocks)
        side = base.image_size // 4
        self.register_buffer("position", trunk._get_pos_embed((side, side)).contiguous())
        coarse, top, mid, high = (pointwise(level.conv) for level in neck.convs)
        self.coarse, self.top = coarse, top
        self.mid = chain(mid, pointwise(decoder.conv_s1))
        self.high = chain(high, pointwise(decoder.conv_s0))

    def forward(self, frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """top, mid and high of Features, for frames [B, 3, s, s] normalised as kernels.preprocess gives them."""
        x = self.patch_embed(frames) + self.position
        levels = []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in self.stage_ends:
                levels.append(x)
        high, mid, top, coarse = levels
        b, h, w, _ = coarse.shape
        raised = self.coarse(coarse)[:, :, None, :, None].expand(b, h, 2, w, 2, -1).reshape(b, 4 * h * w, -1)
        tokens = self.top(top).flatten(1, 2) + raised
        return tokens, self.mid(mid).permute(0, 3, 1, 2), self.high(high).permute(0, 3, 1, 2)
