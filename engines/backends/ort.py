"""ONNX Runtime backend (the only file that imports onnxruntime)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engines.backends import F32
from engines.errors import UserError


class OrtSession:
    """An ONNX file on the CPU. `threads` is fixed so that results do not depend on the machine's load."""

    def __init__(self, path: Path, *, threads: int = 2) -> None:
        try:
            import onnxruntime as ort
        except ImportError:
            raise UserError("onnxruntime is not installed: pip install 'strefer-stream[cpu]' (or [gpu])") from None
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Spinning threads would take the other core from decoding and from the other engines.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as e:  # onnxruntime raises its own classes, none of them exported
            raise UserError(f"{path} does not load in onnxruntime: {str(e).splitlines()[0]}") from None
        self._input = self._session.get_inputs()[0].name
        self.path = path
        self.inputs = tuple(i.name for i in self._session.get_inputs())
        self.outputs = tuple(o.name for o in self._session.get_outputs())
        self.backend = "onnxruntime/" + self._session.get_providers()[0].removesuffix("ExecutionProvider")

    def run(self, x: F32) -> tuple[F32, ...]:
        return tuple(self._session.run(None, {self._input: x}))

    def run_named(self, feeds: Mapping[str, NDArray[np.generic]], output: str) -> F32:
        """One output by name, for inputs by name. Raises UserError where the network does not take them."""
        try:
            found: F32 = self._session.run([output], dict(feeds))[0]
        except Exception as e:  # onnxruntime raises its own classes, none of them exported
            raise UserError(f"{self.path} does not run: {str(e).splitlines()[0]}") from None
        return found
