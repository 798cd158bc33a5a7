"""Masks to COCO run-length encoding and back.

`encode_logits` goes from a mask network's low-resolution logits straight to the runs of the full-size mask: on a CUDA
device by Triton (gpu/rle.py), else by numba (cpu/rle.py); `encode` and `encode_window` take masks that are there
already, by pycocotools' C code (the only file that imports it).
`encode_masks` and `decode_masks` take batches, and the path that their device asks for.

Source of the format: the COCO API (Lin et al., github.com/cocodataset/cocoapi): runs of a column-major mask,
alternating from 0, packed into a printable string.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as _coco

from kernels.resize import axis

Bool = NDArray[np.bool_]
I32 = NDArray[np.int32]

CAPACITY = 2048
"""Changes of a mask, in the mean of a batch, for which there is room at first; where there are more, the batch is
encoded again with room enough."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """N masks of one size (H, W).

    counts: N compressed strings. area: [N] int64 pixels. box: [N, 4] int32, x0, y0, x1, y1 in pixels with exclusive
    ends, zeros for an empty mask. stability: [N] float32, pixels over threshold + offset per pixels over threshold -
    offset, 1 where there are none (SAM's stability score, Kirillov et al., arXiv 2304.02643).
    """

    counts: list[str]
    size: tuple[int, int]
    area: NDArray[np.int64]
    box: I32
    stability: NDArray[np.float32]


def encode_logits(
    logits: Any, size: tuple[int, int], *, threshold: float = 0.0, offset: float = 1.0, capacity: int = CAPACITY
) -> Encoded:
    """The masks that logits [N, h, w] give when they are brought to `size` (H, W) and cut at `threshold`.

    logits: finite; a NumPy array or torch.Tensor; float16, bfloat16 or float32; on the CPU or a CUDA device, which
        decides the path. They are upsampled as `torch.nn.functional.interpolate(..., mode="bilinear",
        align_corners=False)` does it in float32: bit for bit as its CPU kernel where H + W is over 128 (below that
        PyTorch adds in another order, and a pixel within rounding of the threshold may differ; so may one of
        PyTorch's CUDA kernel).
    offset: of the stability score; 0 leaves it out (all ones).
    capacity: changes of a mask, in the mean, for which there is room at first.

    Raises ValueError where the shapes do not fit and TypeError for another dtype.
    """
    size = (int(size[0]), int(size[1]))
    h, w = _checked(logits, size)
    if getattr(logits, "is_cuda", False):
        import torch

        from kernels.gpu import rle as gpu

        with torch.cuda.device(logits.device):
            positions, facts = gpu.runs(logits, size, threshold, offset, capacity)
    else:
        positions, facts = _runs_on_cpu(_host(logits).reshape(-1, h, w), size, threshold, offset, capacity)
    return _encoded(positions, facts, size, offset)


def encode_masks(masks: Any) -> Encoded:
    """Masks [N, H, W] bool, a NumPy array or torch.Tensor; on a CUDA device by Triton, else by pycocotools."""
    if masks.ndim != 3 or 0 in masks.shape[1:] or masks.shape[1] * masks.shape[2] >= 2**31:
        raise ValueError(
            f"masks are of shape {tuple(masks.shape)}, wanted [N, H, W], H and W of 1 or more, under 2**31"
        )
    if str(masks.dtype).removeprefix("torch.") != "bool":
        raise TypeError(f"masks are {masks.dtype}, wanted bool")
    size = (int(masks.shape[1]), int(masks.shape[2]))
    if getattr(masks, "is_cuda", False):
        import torch

        from kernels.gpu import rle as gpu

        with torch.cuda.device(masks.device):
            return _encoded(*gpu.runs(masks.view(torch.uint8), size, 0.5, 0.0, CAPACITY), size, 0.0)
    host = np.asarray(masks if isinstance(masks, np.ndarray) else masks.numpy(), bool)
    counts = [encode(m) for m in host]
    boxes = _coco.toBbox([{"size": list(size), "counts": c.encode("ascii")} for c in counts]).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    areas = np.array([area(c, size) for c in counts], np.int64)
    return Encoded(counts, size, areas, boxes.astype(np.int32), np.ones(len(host), np.float32))


def decode_masks(counts: Sequence[str], size: tuple[int, int], device: str = "cpu") -> Any:
    """[N, H, W] bool masks of compressed counts, a torch.Tensor on `device`: on a CUDA device only runs go there.

    Raises ValueError where counts do not fill `size`.
    """
    import torch

    size, device = (int(size[0]), int(size[1])), str(device)
    if not device.startswith("cuda"):
        return torch.from_numpy(np.array([decode(c, size) for c in counts], bool).reshape(-1, *size))
    from kernels.gpu import rle as gpu

    with torch.cuda.device(device):
        return gpu.fill([positions(c, size) for c in counts], size, device)


def positions(counts: str, size: tuple[int, int]) -> I32:
    """The column-major pixels [k] int32 at which a mask of `size` (H, W) changes. Raises ValueError as `decode`."""
    from kernels.cpu import rle as cpu

    text = np.frombuffer(counts.encode("ascii", "replace"), np.uint8)
    found = np.empty(len(text), np.int64)
    n, pixels = cpu.unpack(text, found)
    if pixels != size[0] * size[1] or pixels >= 2**31:
        raise ValueError(f"counts do not decode to a mask of {size}: they do not fill it")
    return found[:n].astype(np.int32)


def _checked(logits: Any, size: tuple[int, int]) -> tuple[int, int]:
    if logits.ndim != 3 or 0 in logits.shape[1:]:
        raise ValueError(f"logits are of shape {tuple(logits.shape)}, wanted [N, h, w] with h and w of 1 or more")
    if min(size) < 1 or size[0] * size[1] >= 2**31:
        raise ValueError(f"a mask cannot be of {size}, wanted (H, W) of 1 or more and under 2**31 pixels")
    if str(logits.dtype).removeprefix("torch.") not in ("float16", "bfloat16", "float32"):
        raise TypeError(f"logits are {logits.dtype}, wanted float16, bfloat16 or float32")
    return int(logits.shape[1]), int(logits.shape[2])


def _host(logits: Any) -> NDArray[np.float32]:
    if not isinstance(logits, np.ndarray):
        logits = logits.detach().float().numpy()
    return np.asarray(logits, np.float32)


def _runs_on_cpu(
    logits: NDArray[np.float32], size: tuple[int, int], threshold: float, offset: float, capacity: int
) -> tuple[list[I32], NDArray[np.int64]]:
    """Positions of changes by mask, and [N, FACTS] facts."""
    from kernels.cpu import rle as cpu

    rows, columns = axis(logits.shape[1], size[0]), axis(logits.shape[2], size[1])
    facts = np.zeros((len(logits), cpu.FACTS), np.int64)

    def one(i: int) -> I32:
        room = capacity
        while True:
            positions = np.empty(room, np.int32)
            found = cpu.runs(
                np.ascontiguousarray(logits[i].T), columns.first, columns.weight, rows.begin, rows.weight,
                np.float32(threshold), np.float32(offset), positions, facts[i],
            )  # fmt: skip
            if found <= room:
                return positions[:found]
            room = found

    if len(logits) < 2:
        return [one(i) for i in range(len(logits))], facts
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(one, range(len(logits)))), facts


def _encoded(positions: Sequence[I32], facts: NDArray[np.int64], size: tuple[int, int], offset: float) -> Encoded:
    high, low = facts[:, 5].astype(np.float32), facts[:, 6].astype(np.float32)
    stability = np.where((low > 0) & (offset > 0), high / np.maximum(low, 1), 1).astype(np.float32)
    counts = _texts(positions, size[0] * size[1])
    return Encoded(counts, size, facts[:, 0].copy(), facts[:, 1:5].astype(np.int32), stability)


def _texts(positions: Sequence[I32], pixels: int) -> list[str]:
    """Compressed counts by mask."""
    from kernels.cpu import rle as cpu

    if not positions:
        return []
    ends = np.cumsum([len(p) for p in positions], dtype=np.int64)
    text, text_ends = np.empty((int(ends[-1]) + len(ends)) * 7, np.uint8), np.empty(len(ends), np.int64)
    cpu.pack_all(np.concatenate(positions), ends, pixels, text, text_ends)
    whole = text[: text_ends[-1]].tobytes().decode("ascii")
    return [whole[a:b] for a, b in pairwise([0, *text_ends.tolist()])]


def encode_window(mask: Bool, x0: int, y0: int, size: tuple[int, int]) -> str:
    """Compressed counts of a full frame of `size` (H, W) that holds `mask` [h, w] bool at (x0, y0), else nothing.

    Raises ValueError where the window does not lie inside the frame.
    """
    h, w = mask.shape
    height, width = size
    if x0 < 0 or y0 < 0 or x0 + w > width or y0 + h > height:
        raise ValueError(f"window {x0},{y0} {w}x{h} is not inside a frame of {width}x{height}")
    full = np.zeros((height, width), np.uint8, order="F")
    full[y0 : y0 + h, x0 : x0 + w] = mask
    return _coco.encode(full)["counts"].decode("ascii")  # type: ignore[no-any-return]


def encode(mask: Bool) -> str:
    """Compressed counts of a mask [H, W] bool."""
    h, w = mask.shape
    return encode_window(mask, 0, 0, (h, w))


def decode(counts: str, size: tuple[int, int]) -> Bool:
    """The mask [H, W] bool of compressed counts. Raises ValueError where they do not fill `size` (H, W)."""
    if not counts.isascii() or _total(counts) != size[0] * size[1]:
        raise ValueError(f"counts do not decode to a mask of {size}: they do not fill it")
    try:
        full = _coco.decode({"size": list(size), "counts": counts.encode("ascii")})
    except (ValueError, UnicodeEncodeError) as e:
        raise ValueError(f"counts do not decode to a mask of {size}: {e}") from None
    return full.view(np.bool_)  # type: ignore[no-any-return]


def _total(counts: str) -> int:
    """Pixels all runs hold together, -1 where there is no such mask: pycocotools checks neither, and reads and writes
    past its buffers where the last number is cut off. Source: the COCO API's packing: 5 bits a character, a sixth for
    "more", from the third run on the difference to the run two before."""
    runs: list[int] = []
    value, shift = 0, 0
    for character in counts:
        bits = ord(character) - 48
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        if runs[-1] < 0:
            return -1
        value, shift = 0, 0
    return sum(runs) if shift == 0 else -1


def area(counts: str, size: tuple[int, int]) -> int:
    """Pixels of the mask, without decoding it."""
    return int(_coco.area({"size": list(size), "counts": counts.encode("ascii")}))


def measure(counts: str, size: tuple[int, int]) -> tuple[int, int]:
    """The pixels of the mask and the sum of their columns, without decoding it: -1 pixels where the counts do not fill
    it."""
    import kernels.cpu.rle as cpu  # thousands of times: `from` would look the name up each time

    return cpu.measure(counts.encode("ascii"), *size)  # type: ignore[no-any-return]


def iou(a: list[str], b: list[str], size: tuple[int, int]) -> NDArray[np.float64]:
    """[M, N] mask IoU of two lists of compressed counts of one size (H, W), straight from the runs."""
    if not a or not b:
        return np.zeros((len(a), len(b)))
    rles = [[{"size": list(size), "counts": c.encode("ascii")} for c in side] for side in (a, b)]
    return np.asarray(_coco.iou(rles[0], rles[1], [0] * len(b)))
