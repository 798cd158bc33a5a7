"""What runs an engine: one small class per backend.

Two seams. `Session` is a network with one input, as `lite` uses it. `Engine` is a network of any number of named inputs
and outputs; `engines.opening` makes one of a network and a backend's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engines.spec import EngineSpec

F32 = NDArray[np.float32]


class Session(Protocol):
    """A loaded network with one input."""

    backend: str
    """What really runs it, e.g. `onnxruntime/CPU` or `litert`."""

    def run(self, x: F32) -> tuple[F32, ...]:
        """All outputs for one input, float32, in the network's own order."""
        ...


class Engine(Protocol):
    """A loaded network with named inputs and outputs. Not thread-safe: one belongs to one thread at a time."""

    spec: EngineSpec
    backend: str
    """What really runs it, e.g. `torch/cuda-graph on cuda:0` or `onnxruntime/CUDA(365)+CPU(4)`."""

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """All outputs by name, as `spec` tells names, shapes and dtypes.

        NumPy arrays give NumPy arrays; torch tensors give tensors on the engine's device, in the order of the current
        stream, which the caller may keep: later runs do not write into them. Raises ValueError where the inputs are not
        what `spec` says.
        """
        ...
