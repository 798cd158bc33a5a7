"""Our kernels as calls that can be made again, at a source's frame size, with the work that they have by definition."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np

from engines.work import Call, Work
from stream.profiling.objects import grid

MASKS = 16
LOW = 256
"""Side of a mask network's logits."""
SIDE = 1024
"""Of SAM 2.1's input."""
Made = tuple[Callable[[], object], Work]
LERP = 3
"""FLOPs of an interpolation between two values."""


def calls(size: tuple[int, int], frames: int, device: str) -> list[Call]:
    """RLE of `MASKS` masks of `size` (H, W) from their logits, IoU of as many with as many, and `frames` frames brought
    to `SIDE` x `SIDE`. Each is made when it is first needed: what is missing for it is an ImportError then."""
    return [
        _late("rle", MASKS, device, partial(_rle, size, device)),
        _late("iou", MASKS, device, partial(_iou, size, device)),
        _late("preprocess", frames, device, partial(_preprocess, size, frames, device)),
    ]


def _late(name: str, rows: int, device: str, make: Callable[[], Made]) -> Call:
    ready = cache(make)
    return Call(name, "Triton" if device == "cuda" else "CPU", rows, lambda: ready()[0](), lambda: ready()[1])


def _rle(size: tuple[int, int], device: str) -> Made:
    """Bilinear interpolation of every pixel; reads the logits and writes the runs."""
    from kernels import rle

    h, w = size
    ys, xs = np.mgrid[:LOW, :LOW].astype(np.float32)
    radii = np.linspace(LOW / 8, LOW / 3, MASKS, dtype=np.float32)
    logits: Any = (radii[:, None, None] - np.hypot(ys - LOW / 2, xs - LOW / 2)) / 8
    written = sum(map(len, rle.encode_logits(logits, size).counts))
    work = Work(3 * LERP * MASKS * h * w, logits.nbytes + written, device)
    if device == "cuda":
        import torch

        from kernels.gpu import rle as gpu

        logits = torch.from_numpy(logits).to(device)
        return lambda: gpu.launch(logits, size, 0.0, 1.0, rle.CAPACITY), work
    return lambda: rle.encode_logits(logits, size), work


def _iou(size: tuple[int, int], device: str) -> Made:
    """Of each pair of masks: on a CPU an and, a count and a sum for 64 pixels, on a GPU a multiply-add for each."""
    from kernels import iou

    a: Any = np.stack(grid(MASKS, size))
    b: Any = a[::-1].copy()
    pixels = size[0] * size[1]
    operations = 2 * pixels if device == "cuda" else 3 * -(-pixels // 64)
    work = Work(
        operations * MASKS**2, a.nbytes + b.nbytes + 8 * MASKS**2, device, "fp16" if device == "cuda" else "fp32"
    )
    if device == "cuda":
        import torch

        a, b = (torch.from_numpy(x).to(device) for x in (a, b))
    return lambda: iou.mask_iou(a, b), work


def _preprocess(size: tuple[int, int], frames: int, device: str) -> Made:
    """Antialiased: an output pixel is a sum over two input pixels an axis, more where they are smaller than its own."""
    import torch

    from kernels.preprocess import preprocess

    h, w = size
    pictures = torch.randint(0, 256, (frames, h, w, 3), dtype=torch.uint8, device=device)
    kind = torch.float16 if device == "cuda" else torch.float32
    across, down = (2 * max(1.0, n / SIDE) for n in (w, h))
    sums = 3 * SIDE * (h * across + SIDE * down + SIDE)  # and the normalisation
    written = frames * 3 * SIDE**2 * (2 if device == "cuda" else 4)
    work = Work(round(2 * frames * sums), pictures.numel() + written, device)
    return lambda: preprocess([pictures], SIDE, dtype=kind), work
