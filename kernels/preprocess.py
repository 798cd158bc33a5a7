"""Decoded frames to a network's input: resize, normalise, layout and type, many frames of many sizes at once.

On a CUDA device one Triton launch does it all (gpu/preprocess.py); on the CPU PyTorch does (reference/preprocess.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

IMAGENET = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
"""Mean and deviation of ImageNet's pixels in levels of 0..255: what SAM 2 and most detectors were trained with."""


@dataclass(frozen=True, slots=True)
class Nv12:
    """T frames as a hardware decoder gives them.

    y: [T, H, W] uint8. uv: [T, H / 2, W / 2, 2] uint8 (H and W rounded up to even). matrix, full_range: the stream's
    own tags; chroma is taken from the nearest sample.
    """

    y: Any
    uv: Any
    matrix: Literal["bt601", "bt709"] = "bt709"
    full_range: bool = False


@dataclass(frozen=True, slots=True)
class Fit:
    """Where a frame of (H, W) lands in a square of side S: height x width pixels, its top left at (left, top)."""

    height: int
    width: int
    top: int
    left: int


def fit(size: tuple[int, int], side: int, *, letterbox: bool) -> Fit:
    """Stretched over all of the square, or, with `letterbox`, as large as its shape allows, in the middle."""
    if not letterbox:
        return Fit(side, side, 0, 0)
    k = side / max(size)
    height, width = max(1, round(size[0] * k)), max(1, round(size[1] * k))
    return Fit(height, width, (side - height) // 2, (side - width) // 2)


def coefficients(frames: Nv12) -> tuple[float, float, float, float, float, float]:
    """Y's offset and gain, then what V adds to red, U and V take from green, and U adds to blue (ITU-R BT.601, 709)."""
    kr, kb = (0.299, 0.114) if frames.matrix == "bt601" else (0.2126, 0.0722)
    kg = 1 - kr - kb
    luma, chroma = (1.0, 1.0) if frames.full_range else (255 / 219, 255 / 224)
    red, blue = 2 * (1 - kr) * chroma, 2 * (1 - kb) * chroma
    return 0.0 if frames.full_range else 16.0, luma, red, blue * kb / kg, red * kr / kg, blue


def preprocess(
    batches: Sequence[Any],
    side: int,
    *,
    normalise: tuple[Sequence[float], Sequence[float]] = IMAGENET,
    letterbox: bool = False,
    pad: float = 114.0,
    dtype: Any = None,
) -> Any:
    """[N, 3, side, side] of all frames of all batches, in order, each (level - mean) / deviation.

    batches: torch.Tensors [T, H, W, 3] uint8 RGB or `Nv12`, one a feed, of any sizes, all on one device, which decides
        the path. Their resize is bilinear with antialiasing, as `torch.nn.functional.interpolate(..., antialias=True)`
        and torchvision do it on floats; the two paths agree to 0.02 levels in float32 and to the type's rounding in
        float16 and bfloat16.
    normalise: mean and deviation of red, green and blue in levels. pad: the level round letterboxed frames.
    dtype: torch.float32 (the default), float16 or bfloat16.

    Raises ValueError where a batch has another shape or type, or there is none.
    """
    import torch

    batches = list(batches) if isinstance(batches, list | tuple) else [batches]
    if not batches:
        raise ValueError("no frames to preprocess")
    for batch in batches:
        _check(batch)
    if len({str(p.device) for b in batches for p in ((b.y, b.uv) if isinstance(b, Nv12) else (b,))}) > 1:
        raise ValueError("frames lie on several devices: bring them to one")
    if side < 1 or any(len(v) != 3 for v in normalise) or 0 in normalise[1]:
        raise ValueError(f"side is {side} and normalise {normalise}, wanted 1 or more, and three means and deviations")
    dtype = dtype or torch.float32
    if dtype not in (torch.float32, torch.float16, torch.bfloat16):
        raise ValueError(f"dtype is {dtype}, wanted float32, float16 or bfloat16")
    first = batches[0].y if isinstance(batches[0], Nv12) else batches[0]
    if first.is_cuda:
        from kernels.gpu import preprocess as gpu

        with torch.cuda.device(first.device):
            return gpu.preprocess(batches, side, normalise, letterbox, pad, dtype)
    from kernels.reference import preprocess as reference

    return reference.preprocess(batches, side, normalise, letterbox, pad, dtype)


def _check(batch: Any) -> None:
    """Raises ValueError where a batch is not what `preprocess` takes."""
    parts = [batch.y, batch.uv] if isinstance(batch, Nv12) else [batch]
    for part in parts:
        if str(getattr(part, "dtype", type(part))) != "torch.uint8":
            raise ValueError(f"frames are {getattr(part, 'dtype', type(part))}, wanted torch.uint8")
    shape = tuple(parts[0].shape)
    if isinstance(batch, Nv12):
        if len(shape) != 3 or 0 in shape[1:]:
            raise ValueError(f"NV12's y is of shape {shape}, wanted [T, H, W]")
        chroma = (shape[0], (shape[1] + 1) // 2, (shape[2] + 1) // 2, 2)
        if tuple(batch.uv.shape) != chroma:
            raise ValueError(f"NV12 of {shape} wants chroma {chroma}, got {tuple(batch.uv.shape)}")
        if batch.matrix not in ("bt601", "bt709"):
            raise ValueError(f"matrix is {batch.matrix!r}, wanted bt601 or bt709")
    elif len(shape) != 4 or shape[3] != 3 or 0 in shape[1:3]:
        raise ValueError(f"frames are of shape {shape}, wanted [T, H, W, 3]")


def placed(frame: Any, device: str) -> Any:
    """A frame [H, W, 3] uint8, a NumPy array or a tensor of any device, as [1, H, W, 3] on `device`."""
    import torch

    tensor = frame if isinstance(frame, torch.Tensor) else torch.from_numpy(np.ascontiguousarray(frame))
    return tensor[None].contiguous().to(device)


def smaller(frame: Any, size: tuple[int, int]) -> Any:
    """A frame [H, W, 3] uint8 tensor at `size` (width, height), where it lies, without aliasing."""
    from torch.nn.functional import interpolate

    planes = frame.permute(2, 0, 1)[None].float()
    made = interpolate(planes, size=size[::-1], mode="bilinear", align_corners=False, antialias=True)
    return made[0].round().clamp(0, 255).byte().permute(1, 2, 0).contiguous()
