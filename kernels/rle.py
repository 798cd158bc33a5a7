"""Masks to COCO run-length encoding, on the CPU by pycocotools' C code (the only file that imports it).

Source of the format: the COCO API (Lin et al., github.com/cocodataset/cocoapi): runs of a column-major mask,
alternating from 0, packed into a printable string.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as _coco

Bool = NDArray[np.bool_]


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
    """Pixels all runs hold together (pycocotools does not check that they fill the mask). Source: the COCO API's
    packing: 5 bits a character, a sixth for "more", from the third run on the difference to the run two before."""
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
        value, shift = 0, 0
    return sum(runs)


def area(counts: str, size: tuple[int, int]) -> int:
    """Pixels of the mask, without decoding it."""
    return int(_coco.area({"size": list(size), "counts": counts.encode("ascii")}))


def iou(a: list[str], b: list[str], size: tuple[int, int]) -> NDArray[np.float64]:
    """[M, N] mask IoU of two lists of compressed counts of one size (H, W), straight from the runs."""
    if not a or not b:
        return np.zeros((len(a), len(b)))
    rles = [[{"size": list(size), "counts": c.encode("ascii")} for c in side] for side in (a, b)]
    return np.asarray(_coco.iou(rles[0], rles[1], [0] * len(b)))
