"""Small tables for a launch, from the host to a device."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray


def to_device(rows: NDArray[Any], device: torch.device) -> torch.Tensor:
    """`rows` on a device, in the order of the current stream. A CUDA device takes them from pinned memory, without a
    stop."""
    host = torch.from_numpy(np.ascontiguousarray(rows))
    if device.type != "cuda":
        return host.to(device)
    pinned = torch.empty(host.shape, dtype=host.dtype, pin_memory=True)
    return pinned.copy_(host).to(device, non_blocking=True)
