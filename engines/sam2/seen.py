"""What of a mask leaves the device: its run lengths at the frame's own size, and the logits of the cells round it.

A mask's logits are 256 KB at 1024 pixels; what leaves of them is some kilobytes: `kernels.rle` makes the run lengths
where the logits lie, and of those go only the cells that the mask reaches, in half precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from kernels.rle import encode_logits

F16 = NDArray[np.float16]
MARGIN = 3
"""Cells round a mask whose logits come with it."""

Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Seen:
    """One object on a frame, which a square of `grid` x `grid` cells covers, stretched.

    score: over 0 where it is to be seen. corner: (x, y) of the first of the cells whose logits are here; logits:
    [h, w] float16, [0, 0] where it has no mask. counts: compressed run lengths at the frame's own size, None where
    they were not asked for; area: its pixels; box: x0, y0, x1, y1 in them.
    """

    score: float
    grid: int
    corner: tuple[int, int]
    logits: F16
    counts: str | None = None
    area: int = 0
    box: Box = (0, 0, 0, 0)


def read(logits: torch.Tensor, scores: torch.Tensor, sizes: Sequence[tuple[int, int]]) -> list[Seen]:
    """Objects of logits [N, g, g] and scores [N], on frames of these N sizes (H, W)."""
    grid = int(logits.shape[-1])
    found: list[Seen | None] = [None] * len(sizes)
    told = scores.tolist()
    for size in dict.fromkeys(sizes):
        rows = [i for i, other in enumerate(sizes) if other == size]
        these = logits if len(rows) == len(sizes) else logits[rows]
        encoded = encode_logits(these, size, offset=0.0)
        boxes: list[Box] = [tuple(box) for box in encoded.box.tolist()]
        corners, kept = crop(these, [cells(box, size, grid) for box in boxes])
        for n, i in enumerate(rows):
            found[i] = Seen(told[i], grid, corners[n], kept[n], encoded.counts[n], int(encoded.area[n]), boxes[n])
    return [seen for seen in found if seen is not None]


def crop(logits: torch.Tensor, windows: Sequence[Box]) -> tuple[list[tuple[int, int]], list[F16]]:
    """Cells of logits [N, g, g] within a window of each, x0, y0, x1, y1, and where they begin: all in one copy."""
    if not windows:
        return [], []
    parts = [logits[i, y0:y1, x0:x1].reshape(-1) for i, (x0, y0, x1, y1) in enumerate(windows)]
    flat: F16 = torch.cat(parts).half().cpu().numpy()
    ends = np.cumsum([part.numel() for part in parts])[:-1]
    shapes = [(y1 - y0, x1 - x0) for x0, y0, x1, y1 in windows]
    kept = [part.reshape(shape) for part, shape in zip(np.split(flat, ends), shapes, strict=True)]
    return [(x0, y0) for x0, y0, _, _ in windows], kept


def cells(box: Sequence[float], size: tuple[int, int], grid: int) -> Box:
    """The cells, of `grid` x `grid` over a frame of `size` (H, W), that pixels of a box (xyxy) are interpolated of, and
    MARGIN more; none for an empty box."""
    x0, y0, x1, y1 = box
    if x1 <= x0 or y1 <= y0:
        return 0, 0, 0, 0
    ky, kx = grid / size[0], grid / size[1]
    first = (np.floor(np.array([x0 * kx, y0 * ky]) - 0.5) - MARGIN).clip(0, grid - 1).astype(int)
    last = (np.ceil(np.array([x1 * kx, y1 * ky]) + 0.5) + MARGIN).clip(1, grid).astype(int)
    return int(first[0]), int(first[1]), int(last[0]), int(last[1])
