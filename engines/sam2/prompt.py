"""What a user or a detector says about an object on one frame, and what SAM 2 makes of it there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import torch
from torch.nn import functional

from engines.sam2.build import Sam2
from engines.sam2.encoder import Features
from engines.sam2.layers import per_object

ON, OFF, BOX_FIRST, BOX_LAST = 1, 0, 2, 3
"""Labels of points, as SAM has them."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One object on one frame, in pixels of the s x s input: a box, points or both, or a mask.

    box: (x0, y0, x1, y1). points: (x, y) pairs. labels: one a point, 1 on the object and 0 off it.
    mask: [H, W] of any size, stretched over the input; bool, or float logits that are over 0 on the object.
    """

    box: tuple[float, float, float, float] | None = None
    points: tuple[tuple[float, float], ...] = ()
    labels: tuple[int, ...] = ()
    mask: Any = None

    def __post_init__(self) -> None:
        if len(self.points) != len(self.labels):
            raise ValueError(f"{len(self.points)} points have {len(self.labels)} labels: wanted one each")
        if bad := [label for label in self.labels if label not in (ON, OFF)]:
            raise ValueError(f"label {bad[0]} of a point: wanted 1 (on the object) or 0 (off it)")
        numbers = [*(self.box or ()), *(v for point in self.points for v in point)]
        if (self.box is not None and len(self.box) != 4) or any(len(point) != 2 for point in self.points):
            raise ValueError(f"box {self.box} and points {self.points}, wanted x0, y0, x1, y1 and pairs of x, y")
        if not all(isfinite(v) for v in numbers):
            raise ValueError(f"box {self.box} and points {self.points} are no places in the picture")
        if (self.mask is None) == (self.box is None and not self.points):
            raise ValueError("a prompt is a mask, or a box and points: one of the two")
        if self.mask is not None and (len(self.mask.shape) != 2 or 0 in self.mask.shape):
            raise ValueError(f"a mask is of shape {tuple(self.mask.shape)}, wanted [H, W]")


@dataclass(frozen=True, slots=True)
class Answer:
    """Of one object: logits [1, 1, s/4, s/4] float32, score [1, 1], iou [1], its memory and pointer for the bank."""

    logits: torch.Tensor
    score: torch.Tensor
    iou: torch.Tensor
    memory: torch.Tensor
    pointer: torch.Tensor


def answer(model: Sam2, features: Features, prompt: Prompt) -> Answer:
    """The object that a prompt means on one frame (features of a batch of one), seen without memory.

    As SAM2VideoPredictor does it: boxes are two points; one point takes the best of three masks; a mask is taken as it
    is, at 10 and -10, and gives a pointer by the decoder; the memory is made of the hard mask.
    """
    if prompt.mask is not None:
        logits, score, iou, pointer = _by_mask(model, features, prompt.mask)
    else:
        logits, score, iou, pointer = _by_points(model, features, prompt)
    first = torch.zeros(1, dtype=torch.int64, device=model.device)
    memory = model.memory(features.top, first, logits, score, torch.ones_like(first, dtype=torch.bool))
    return Answer(logits, score, iou, memory, pointer)


def outlines(
    model: Sam2, features: Features, frames: Sequence[int], boxes: Sequence[Sequence[float]]
) -> tuple[torch.Tensor, torch.Tensor]:
    """(logits [N, s/4, s/4], score [N]) of what N boxes hold, each on a frame of the batch: what `answer` gives for one
    after the other, in one run and without memories."""
    n, device = len(boxes), model.device
    at = torch.tensor(frames, dtype=torch.int64).to(device)
    points = torch.tensor(boxes, dtype=torch.float32).reshape(n, 2, 2).to(device)
    labels = torch.tensor([[BOX_FIRST, BOX_LAST]] * n, dtype=torch.int32).to(device)
    nothing = torch.zeros(n, dtype=torch.bool, device=device)
    none = torch.zeros(1, 1, 4 * model.grid, 4 * model.grid, device=device).expand(n, -1, -1, -1)
    sparse, dense = model.decoder.embed(points, labels, none, nothing)
    tokens = features.top[at] + model.no_memory
    mid, high = per_object(features.mid, at), per_object(features.high, at)
    logits, _, score, _ = model.decoder(tokens, mid, high, sparse, dense, nothing)
    return logits[:, 0], score[:, 0]


def _by_points(model: Sam2, features: Features, prompt: Prompt) -> tuple[torch.Tensor, ...]:
    box = () if prompt.box is None else (prompt.box[:2], prompt.box[2:])
    points = torch.tensor([[*box, *prompt.points]], dtype=torch.float32).to(model.device)
    kinds = (BOX_FIRST, BOX_LAST)[: len(box)]
    labels = torch.tensor([[*kinds, *prompt.labels]], dtype=torch.int32).to(model.device)
    none = torch.zeros(1, 1, 4 * model.grid, 4 * model.grid, device=model.device)
    sparse, dense = model.decoder.embed(points, labels, none, torch.zeros(1, dtype=torch.bool, device=model.device))
    single = torch.tensor([labels.shape[1] <= 1]).to(model.device)
    tokens = features.top + model.no_memory
    logits, pointer, score, iou = model.decoder(tokens, features.mid, features.high, sparse, dense, single)
    return logits, score, iou, pointer


def _by_mask(model: Sam2, features: Features, given: Any) -> tuple[torch.Tensor, ...]:
    full = _binary(torch.as_tensor(given).to(model.device), model.side)
    signed = full * 20.0 - 10.0
    low = functional.interpolate(signed, scale_factor=0.25, mode="bilinear", align_corners=False, antialias=True)
    decoder = model.decoder
    small = decoder.mask_downsample(full.to(model.dtype)).float()
    nowhere = torch.zeros(1, 1, 2, device=model.device)
    no_label = -torch.ones(1, 1, dtype=torch.int32, device=model.device)
    yes = torch.ones(1, dtype=torch.bool, device=model.device)
    sparse, dense = decoder.embed(nowhere, no_label, small, yes)
    _, pointer, _, _ = decoder(features.top, features.mid, features.high, sparse, dense, ~yes)
    there = full.flatten(1).any(1, keepdim=True)
    score = torch.where(there, 10.0, -10.0)
    return low, score, torch.ones(1, device=model.device), decoder.or_no_pointer(pointer, there)


def _binary(mask: torch.Tensor, side: int) -> torch.Tensor:
    """[1, 1, side, side] float32 of 0 and 1."""
    hard = mask.dtype == torch.bool
    x = mask.float()[None, None]
    if x.shape[-2:] != (side, side):
        x = functional.interpolate(x, size=(side, side), mode="bilinear", align_corners=False, antialias=hard)
    return (x >= 0.5).float() if hard else (x > 0).float()
