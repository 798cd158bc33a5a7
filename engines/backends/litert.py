"""LiteRT backend: TFLite files on the CPU through XNNPACK (the only file that imports ai_edge_litert)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from engines.backends import F32
from engines.errors import UserError


class LiteRtSession:
    """A TFLite file. Not thread-safe: one interpreter belongs to one thread at a time."""

    backend = "litert"

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError:
            raise UserError("ai-edge-litert is not installed: pip install 'ai-edge-litert>=2.1'") from None
        try:
            with _silent_stderr():
                self._net = Interpreter(str(path), num_threads=threads)
                self._net.allocate_tensors()
        except ValueError as e:
            raise UserError(f"{path} does not load in LiteRT: {str(e).splitlines()[0]}") from None
        self._input = self._net.get_input_details()[0]["index"]
        self._outputs = [d["index"] for d in self._net.get_output_details()]

    def run(self, x: F32) -> tuple[F32, ...]:
        self._net.set_tensor(self._input, x)
        self._net.invoke()
        return tuple(self._net.get_tensor(i) for i in self._outputs)


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
    """LiteRT's C++ greets on file descriptor 2 and has no switch for it."""
    saved, sink = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(sink)
