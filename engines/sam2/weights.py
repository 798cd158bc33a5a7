"""Weights of SAM 2.1: read from Meta's checkpoints, or drawn where a test or a benchmark wants any."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from engines.digest import sha256
from engines.errors import UserError, first_line
from engines.sam2.variants import Variant

GAIN = 1.0
"""Of a drawn layer: enough that what goes in is to be seen in what comes out, not so much that rounding is."""
FOCUS = 1.3
"""The same of attention to memory, or it would look at all of it alike and tell no past from another."""
SEEN = 1.0
LEARNT = ("embed.weight", "token", "tpos_enc", "pos_embed", "no_mem", "no_obj", "embeddings")
"""Parts of the names of what is added to tokens as it is."""


def load(base: Any, path: Path, chosen: Variant) -> None:
    """Fills sam2's model from a checkpoint, a dictionary whose "model" holds a tensor for every name.

    Raises UserError where the file is missing, is not the published one (sha256), is no checkpoint, or where a name or
    a shape does not fit. Nothing in the file is run: only tensors are read.
    """
    if not path.is_file():
        raise UserError(f"no SAM 2 weights at {path}: fetch {chosen.file or 'a checkpoint'} or name another file")
    if chosen.sha256 is not None and sha256(path) != chosen.sha256:
        raise UserError(f"{path} is not Meta's {chosen.file} (sha256 differs): fetch it anew")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)["model"]
    except Exception as e:  # torch.load raises whatever the bytes make it stumble over
        raise UserError(f"{path} is no SAM 2 checkpoint: {first_line(e, 120)}") from None
    if problem := mismatch(found, base.state_dict()):
        raise UserError(f"{path} does not fit this SAM 2.1 variant: {problem}; take the variant it was made for")
    base.load_state_dict(found)


def mismatch(found: Any, wanted: dict[str, torch.Tensor]) -> str:
    """What is wrong with a state dictionary, in a few words; "" where it fits key by key."""
    if not isinstance(found, dict):
        return f"its model is a {type(found).__name__}, wanted a dictionary"
    if missing := sorted(wanted.keys() - found.keys()):
        return f"{len(missing)} weights are missing, first {missing[0]}"
    if extra := sorted(found.keys() - wanted.keys()):
        return f"{len(extra)} weights are unknown, first {extra[0]}"
    for name, tensor in wanted.items():
        if not isinstance(found[name], torch.Tensor) or found[name].shape != tensor.shape:
            shape = tuple(getattr(found[name], "shape", ()))
            return f"{name} is of shape {shape}, wanted {tuple(tensor.shape)}"
    return ""


def draw(base: Any, seed: int) -> None:
    """Draws all weights so that prompts and memories show in the masks, which they hardly do in a network as made.

    Nothing is left at zero or one, where a mistake would not show; objects are seen (score over 0) on most frames.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in base.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.ndim == 1 and "norm" in name and name.endswith("weight"):
                parameter.copy_(1 + 0.1 * noise)
            elif parameter.ndim < 2 or any(word in name for word in LEARNT):
                parameter.copy_(0.2 * noise)
            else:
                gain = GAIN * (FOCUS if ".cross_attn_image." in name else 1)
                parameter.copy_(gain * noise / parameter[0].numel() ** 0.5)
        base.sam_mask_decoder.pred_obj_score_head.layers[-1].bias += SEEN
