"""One step of all objects on the device: read memory, attend, decode, encode memory, write. No waiting for the host."""

from __future__ import annotations

import torch

from engines.sam2.bank import Bank, Plan
from engines.sam2.build import Sam2
from engines.sam2.encoder import Features
from engines.sam2.layers import per_object

Found = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def track(model: Sam2, bank: Bank, features: Features, plan: Plan) -> Found:
    """(logits [N, s/4, s/4], object score [N], predicted IoU [N]), float32, for the N objects of a plan.

    Writes each object's new memory, pointer and mask into the bank. Only tensors of fixed sizes are touched, so that a
    CUDA graph can be made of it. Objects do not see each other: in groups or all together, they come out the same.
    """
    if not model.together:
        return _objects(model, bank, features, plan, None)
    begun = model.attention.frames(features.top)
    groups = [Plan(table, plan.memories, plan.points) for table in plan.table.split(model.together)]
    found = [_objects(model, bank, features, group, begun) for group in groups]
    logits, score, iou = (torch.cat(parts) for parts in zip(*found, strict=True))
    return logits, score, iou


def _objects(
    model: Sam2, bank: Bank, features: Features, plan: Plan, begun: tuple[torch.Tensor, torch.Tensor] | None
) -> Found:
    """begun: what memory attention makes of the frames, where that was done before."""
    n = plan.table.shape[0]
    memory = bank.memory.index_select(0, plan.memory_from.reshape(-1)).view(n, plan.memories, *bank.memory.shape[1:])
    pointers = bank.pointers.index_select(0, plan.pointer_from.reshape(-1)).view(n, plan.points, -1)
    recalled = plan.frame, memory, plan.age, pointers, plan.distance
    attention = model.attention
    tokens = attention(features.top, *recalled) if begun is None else attention.objects(*begun, *recalled)
    mid, high = per_object(features.mid, plan.frame), per_object(features.high, plan.frame)
    logits, pointer, score, iou = model.decoder(tokens, mid, high, *model.decoder.idle(n))
    made = model.memory(features.top, plan.frame, logits, score)
    bank.memory.index_copy_(0, plan.memory_to, made.to(bank.memory.dtype))
    bank.pointers.index_copy_(0, plan.pointer_to, pointer.to(bank.pointers.dtype))
    bank.last.index_copy_(0, plan.slot, logits[:, 0] > 0)
    return logits[:, 0], score[:, 0], iou
