"""SAM 2's prompt encoder and mask decoder: a frame's features and prompts in, an object's mask and pointer out."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from engines.sam2.layers import fuse_norms

NO_OBJECT = -1024.0
"""The logit of every pixel where the decoder sees no object (sam2.modeling.sam2_base.NO_OBJ_SCORE)."""


class MaskDecoder(nn.Module):
    """Equal to SAM2Base._forward_sam_heads, with one mask chosen per object by tensors instead of by Python's if."""

    exact = ("prompts.", "image_position", "idle_")

    def __init__(self, base: Any) -> None:
        super().__init__()
        if not (base.pred_obj_scores and base.fixed_no_obj_ptr and not base.soft_no_obj_ptr):
            raise ValueError("the decoder is not SAM 2.1's: object scores with a fixed no-object pointer")
        self.prompts = base.sam_prompt_encoder
        self.net = fuse_norms(base.sam_mask_decoder)
        self.pointer = base.obj_ptr_proj
        self.no_pointer = base.no_obj_ptr
        self.mask_downsample = base.mask_downsample
        self.register_buffer("image_position", self.prompts.get_dense_pe())
        # Without a prompt there are two tokens that say "no point", and no mask (SAM's padding).
        self.register_buffer("idle_sparse", self.prompts.not_a_point_embed.weight[None].expand(1, 2, -1).clone())
        self.register_buffer("idle_dense", self.prompts.no_mask_embed.weight.reshape(1, -1, 1, 1).clone())
        self.grid = base.sam_image_embedding_size

    def embed(
        self, points: torch.Tensor, labels: torch.Tensor, mask: torch.Tensor, has_mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Prompts as the decoder's tokens [N, P + 1, 256] and its dense map [N, 256, s/16, s/16].

        points: [N, P, 2] float32 pixels of the s x s input. labels: [N, P] int32: 1 on, 0 off the object, 2 and 3 a
        box's first and last corner, -1 no point. mask: [N, 1, s/4, s/4] float32, read where has_mask [N] bool says so.
        """
        sparse, dense = self.prompts(points=(points, labels), boxes=None, masks=mask)
        return sparse, torch.where(has_mask[:, None, None, None], dense, self.idle_dense)

    def forward(
        self,
        tokens: torch.Tensor,
        mid: torch.Tensor,
        high: torch.Tensor,
        sparse: torch.Tensor,
        dense: torch.Tensor,
        multimask: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """(logits [N, 1, s/4, s/4] float32, pointer [N, 256], object score [N, 1] float32, predicted IoU [N]).

        tokens: [N, (s/16)^2, 256] conditioned on memory (or with `no_memory` added). mid, high: as in Features, for N
        objects or one frame of all. sparse, dense: of `embed`, or `idle`.
        multimask: [N] bool, which objects take the best of three masks (after none or one point), the others the single
        mask or, where that is unstable, the best of three; None for all of them, as in tracking.
        """
        n, h = tokens.shape[0], self.grid
        image = tokens.transpose(1, 2).reshape(n, -1, h, h)
        kind = tokens.dtype
        masks, ious, outs, score = self.net.predict_masks(
            image_embeddings=image,
            image_pe=self.image_position.to(kind),
            sparse_prompt_embeddings=sparse.to(kind),
            dense_prompt_embeddings=dense.to(kind),
            repeat_image=False,
            high_res_features=[high, mid],
        )
        best = ious[:, 1:].argmax(1) + 1
        if multimask is None:
            low, iou, out = _pick(masks, best), _pick(ious, best), _pick(outs, best)
        else:
            stable, stable_iou = self.net._dynamic_multimask_via_stability(masks, ious)
            low = torch.where(multimask[:, None, None], _pick(masks, best), stable[:, 0])
            iou = torch.where(multimask, _pick(ious, best), stable_iou[:, 0])
            out = torch.where(multimask[:, None], _pick(outs, best), outs[:, 0])
        there = score > 0
        logits = torch.where(there[:, :, None, None], low[:, None].float(), NO_OBJECT)
        return logits, self.or_no_pointer(self.pointer(out), there), score.float(), iou.float()

    def idle(self, n: int) -> tuple[torch.Tensor, torch.Tensor]:
        """What `embed` gives for n objects without prompts."""
        return self.idle_sparse.expand(n, -1, -1), self.idle_dense.expand(n, -1, self.grid, self.grid)

    def or_no_pointer(self, pointer: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        """pointer [N, 256] where an object is there [N, 1] bool, else the learnt pointer to nothing."""
        return torch.where(there, pointer, self.no_pointer)


def _pick(x: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """x[n, index[n]] for x [N, K, ...] and index [N] int64."""
    place = index.reshape(-1, 1, *[1] * (x.ndim - 2)).expand(-1, 1, *x.shape[2:])
    return x.gather(1, place)[:, 0]
