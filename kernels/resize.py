"""Where a bilinear resize takes its pixels from: `align_corners=False`, as torch.nn.functional.interpolate counts.

All in float32, operation for operation as PyTorch does it, since a mask's border depends on the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis, from `n` to `to` points. Output point `p` lies between `first[p]` and the next, `weight[p]` beyond it.

    first: [to] int32, not falling. weight: [to] float32 in [0, 1). begin: [n + 1] int32: the output points
    `begin[i]` to `begin[i + 1]` have `first == i`.
    """

    first: NDArray[np.int32]
    weight: NDArray[np.float32]
    begin: NDArray[np.int32]


def axis(n: int, to: int) -> Axis:
    """The axis from `n` to `to` points, both 1 or more. Raises ValueError where they are less."""
    if n < 1 or to < 1:
        raise ValueError(f"an axis of {n} points cannot be resized to {to}")
    scale = np.float32(n) / np.float32(to)
    half = np.float32(0.5)
    source = np.maximum((np.arange(to, dtype=np.float32) + half) * scale - half, np.float32(0))
    first = np.minimum(source.astype(np.int32), n - 1)
    begin = np.searchsorted(first, np.arange(n + 1)).astype(np.int32)
    return Axis(first, (source - first.astype(np.float32)).astype(np.float32), begin)
