"""What runs an engine: one small class per backend, all with the same `run`."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]


class Session(Protocol):
    """A loaded network with one input."""

    backend: str
    """What really runs it, e.g. `onnxruntime/CPU` or `litert`."""

    def run(self, x: F32) -> tuple[F32, ...]:
        """All outputs for one input, float32, in the network's own order."""
        ...
