"""SAM 2's memory encoder: a frame's features and an object's mask in it, as what later frames attend to."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from engines.sam2.layers import fuse_norms, per_object, pointwise


class MemoryEncoder(nn.Module):
    """Equal to SAM2Base._encode_new_memory; what belongs to the frame alone is computed once a frame."""

    def __init__(self, base: Any) -> None:
        super().__init__()
        net = base.memory_encoder
        self.side, self.grid = base.image_size, base.sam_image_embedding_size
        self.scale, self.bias = base.sigmoid_scale_for_mem_enc, base.sigmoid_bias_for_mem_enc
        self.binarize = base.binarize_mask_from_pts_for_mem_enc
        self.downsample = fuse_norms(net.mask_downsampler)
        self.project = pointwise(net.pix_feat_proj)
        self.fuser, self.out = fuse_norms(net.fuser), pointwise(net.out_proj)
        self.no_object = base.no_obj_embed_spatial

    def forward(
        self,
        top: torch.Tensor,
        frame: torch.Tensor,
        logits: torch.Tensor,
        score: torch.Tensor,
        prompted: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """[N, (s/16)^2, 64]: objects' memories of this frame.

        top: [B, (s/16)^2, 256] of Features, without memory. frame: [N] int64, whose features each object takes.
        logits: [N, 1, s/4, s/4] float32. score: [N, 1], of an object's being there.
        prompted: [N] bool, whose mask comes from a prompt and is taken as hard; None for nobody's, as in tracking.
        """
        full = functional.interpolate(logits, size=(self.side, self.side), mode="bilinear", align_corners=False)
        soft = torch.sigmoid(full)
        if prompted is not None and self.binarize:
            soft = torch.where(prompted[:, None, None, None], (full > 0).float(), soft)
        mask = self.downsample((soft * self.scale + self.bias).to(top.dtype))
        pixels = self.project(top).transpose(1, 2).reshape(top.shape[0], -1, self.grid, self.grid)
        x = self.fuser(per_object(pixels, frame) + mask)
        memory = self.out(x.flatten(2).transpose(1, 2))
        return torch.where((score > 0)[:, :, None], memory, memory + self.no_object)
