"""SAM 2's memory attention in real numbers, for a batch of objects of any frames, over a memory of fixed size.

Against sam2.modeling.memory_attention, with the same weights:
- The rotary embedding (Su et al., arXiv 2104.09864; axial form: Heo et al., arXiv 2403.13298) is real-valued: the rows
  of the query and key projections are put in the order (even, odd), which leaves their dot products what they were, and
  a rotation is then two halves times cosine and sine.
- The value projection of cross-attention is linear and so is what follows the weighted sum; they are multiplied into
  one. The sum runs over 64 raw memory channels instead of 256 projected ones.
- The first layer's self-attention sees the frame and no object: it is computed once a frame.
- Memory is [N, M, cells, 64] with a mask, so that one network serves an object of one memory and one of seven.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from engines.sam2.attend import Attend, masked
from engines.sam2.layers import chain, linear, per_object

HEAD = 256
"""Channels of the one head; a dot product is scaled by its root."""


class MemoryAttention(nn.Module):
    """Forward takes a frame's tokens and objects' memories, and gives each object's tokens conditioned on them."""

    exact = ("cosine", "sine", "pointer_")

    def __init__(self, base: Any, attend: Attend = masked) -> None:
        super().__init__()
        net, side = base.memory_attention, base.sam_image_embedding_size
        layer = net.layers[0]
        if not net.pos_enc_at_input or layer.pos_enc_at_attn or layer.pos_enc_at_cross_attn_queries:
            raise ValueError("memory attention is not SAM 2.1's: positions at the input and at memory's keys only")
        self.attend = attend
        self.layers = nn.ModuleList(Layer(layer) for layer in net.layers)
        self.norm = net.norm
        cosine, sine = rotations(side, layer.self_attn)
        self.register_buffer("cosine", cosine)
        self.register_buffer("sine", sine)
        grid = torch.zeros(1, 1, side, side)
        place = base.image_encoder.neck.position_encoding(grid).flatten(2).transpose(1, 2)
        self.register_buffer("place", 0.1 * place)
        spot = base.memory_encoder.position_encoding(grid).flatten(2).transpose(1, 2)
        self.register_buffer("spot", spot + base.maskmem_tpos_enc[:, 0])
        self.pointer_time = base.obj_ptr_tpos_proj
        self.span = base.max_obj_ptrs_in_encoder - 1
        half = torch.arange(HEAD // 2, dtype=torch.float32)
        self.register_buffer("pointer_period", 10000 ** (2 * (half // 2) / (HEAD // 2)))

    def forward(
        self,
        top: torch.Tensor,
        frame: torch.Tensor,
        memory: torch.Tensor,
        age: torch.Tensor,
        pointers: torch.Tensor,
        distance: torch.Tensor,
    ) -> torch.Tensor:
        """[N, (s/16)^2, 256].

        top: [B, (s/16)^2, 256] of Features. frame: [N] int64 into B. memory: [N, M, (s/16)^2, 64]. age: [N, M] int64,
        the row of the temporal encoding (frames ago - 1, or 6 for a prompted frame), -1 where there is no memory.
        pointers: [N, P, 256]. distance: [N, P] int64 frames ago, -1 where there is no pointer.
        Every object has a memory and a pointer: sums over none are not defined.
        """
        return self.objects(*self.frames(top), frame, memory, age, pointers, distance)

    def frames(self, top: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What is the same for all objects of a frame: tokens after the first self-attention and their queries to
        memory, [B, (s/16)^2, 256] each."""
        first = self.layers[0]
        x = first.itself(top + self.place.to(top.dtype), self.cosine, self.sine)
        return x, rotate(first.query(first.norm2(x)), self.cosine, self.sine)

    def objects(
        self,
        x: torch.Tensor,
        query: torch.Tensor,
        frame: torch.Tensor,
        memory: torch.Tensor,
        age: torch.Tensor,
        pointers: torch.Tensor,
        distance: torch.Tensor,
    ) -> torch.Tensor:
        """The rest of `forward`, from what `frames` gives."""
        n, m, cells, width = memory.shape
        kind, alive, shown = x.dtype, age >= 0, distance >= 0
        memory = memory.to(kind)
        keyed = memory + self.spot.to(kind).index_select(0, age.clamp(min=0).reshape(-1)).view(n, m, cells, width)
        angle = distance.clamp(min=0).float()[..., None] / self.span / self.pointer_period
        time = self.pointer_time(torch.cat([angle.sin(), angle.cos()], -1)).to(kind)
        pieces = HEAD // width
        points = pointers.to(kind).reshape(n, -1, pieces, width)
        keyed_points = (points + time[:, :, None]).flatten(1, 2)
        points, shown = points.flatten(1, 2), shown[:, :, None].expand(*shown.shape, pieces).flatten(1, 2)

        x, query = (per_object(t, frame).expand(n, -1, -1) for t in (x, query))
        for i, layer in enumerate(self.layers):
            if i:
                x = layer.itself(x, self.cosine, self.sine)
                query = rotate(layer.query(layer.norm2(x)), self.cosine, self.sine)
            keys = rotate(layer.key(keyed), self.cosine, self.sine)
            x = x + layer.value(self.attend(query, keys, layer.key(keyed_points), memory, points, alive, shown))
            x = x + layer.second(functional.relu(layer.first(layer.norm3(x))))
        return self.norm(x)


class Layer(nn.Module):
    """The weights of one layer, in the order and the products that MemoryAttention takes."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        own, cross = layer.self_attn, layer.cross_attn_image
        if own.num_heads != 1 or cross.num_heads != 1 or own.internal_dim != HEAD:
            raise ValueError(f"memory attention has {own.num_heads} heads of {own.internal_dim}, wanted 1 of {HEAD}")
        self.norm1, self.norm2, self.norm3 = layer.norm1, layer.norm2, layer.norm3
        self.own_query, self.own_key = halved(own.q_proj), halved(own.k_proj)
        self.own_value, self.own_out = own.v_proj, own.out_proj
        self.query, self.key = halved(cross.q_proj), halved(cross.k_proj)
        self.value = chain(cross.v_proj, cross.out_proj)
        self.first, self.second = layer.linear1, layer.linear2

    def itself(self, x: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor) -> torch.Tensor:
        """Self-attention of tokens [N, cells, 256], added to them."""
        y = self.norm1(x)
        query, key = rotate(self.own_query(y), cosine, sine), rotate(self.own_key(y), cosine, sine)
        seen = functional.scaled_dot_product_attention(query[:, None], key[:, None], self.own_value(y)[:, None])
        return x + self.own_out(seen[:, 0])


def rotations(side: int, attention: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosine and sine [side^2, 128] float32 of the axial rotary embedding: half the angles go with x, half with y."""
    cis = attention.compute_cis(end_x=side, end_y=side)
    return cis.real.float().clone().cpu(), cis.imag.float().clone().cpu()


def halved(projection: nn.Linear) -> nn.Linear:
    """The projection with its outputs 0, 1, 2, 3, … in the order 0, 2, …, 1, 3, …"""
    order = torch.cat([torch.arange(0, HEAD, 2), torch.arange(1, HEAD, 2)])
    return linear(projection.weight[order], projection.bias[order])


def rotate(x: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor) -> torch.Tensor:
    """x [..., cells, 256] in the order of `halved`, turned by cosine and sine [cells, 128] in float32."""
    even, odd = x.chunk(2, -1)
    return torch.cat([even * cosine - odd * sine, even * sine + odd * cosine], -1).to(x.dtype)
