"""Preprocessing in plain PyTorch: also the CPU path."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.functional import interpolate

from kernels.preprocess import Nv12, coefficients, fit


def preprocess(
    batches: Sequence[Any],
    side: int,
    normalise: tuple[Sequence[float], Sequence[float]],
    letterbox: bool,
    pad: float,
    dtype: torch.dtype,
) -> torch.Tensor:
    """See kernels.preprocess.preprocess."""
    out = []
    for batch in batches:
        rgb = to_rgb(batch) if isinstance(batch, Nv12) else batch.permute(0, 3, 1, 2).float()
        # PyTorch 2.15's contiguous kernel is wrong where the output is one pixel wide; its channels-last one is right.
        rgb = rgb.contiguous(memory_format=torch.channels_last)
        place = fit((rgb.shape[2], rgb.shape[3]), side, letterbox=letterbox)
        small = interpolate(rgb, (place.height, place.width), mode="bilinear", align_corners=False, antialias=True)
        square = small
        if letterbox:
            square = torch.full((len(rgb), 3, side, side), pad, dtype=torch.float32, device=rgb.device)
            square[:, :, place.top : place.top + place.height, place.left : place.left + place.width] = small
        mean, deviation = (torch.tensor(v, dtype=torch.float32, device=rgb.device) for v in normalise)
        out.append(square.sub_(mean[:, None, None]).div_(deviation[:, None, None]).to(dtype))
    return out[0] if len(out) == 1 else torch.cat(out)


def to_rgb(frames: Nv12) -> torch.Tensor:
    """[T, 3, H, W] float32, levels of 0..255, not rounded."""
    h, w = frames.y.shape[1:]
    offset, luma, red_v, green_u, green_v, blue_u = coefficients(frames)
    y = (frames.y.float() - offset) * luma
    chroma = frames.uv.float() - 128
    wide = chroma.repeat_interleave(2, dim=1)[:, :h].repeat_interleave(2, dim=2)[:, :, :w]
    u, v = wide[..., 0], wide[..., 1]
    return torch.stack([y + red_v * v, y - green_u * u - green_v * v, y + blue_u * u], dim=1).clamp(0, 255)
