"""Every call of every stage, as it happened."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from stream.stopwatch import Stopwatch

MOST_SPANS = 400_000
"""Calls that are kept: an hour of one feed. Beyond that nothing is taken down any more, and `full` says so."""


@dataclass(frozen=True, slots=True)
class Span:
    """One call of a stage. begun_ns: of `time.perf_counter_ns`. thread: its number."""

    stage: str
    thread: int
    begun_ns: int
    took_ns: int


class Recorder:
    """Gives pipelines their stopwatches (`Pipeline(stopwatch=recorder.stopwatch)`) and keeps what these measure, from
    `begin` to `end`. nvtx: name the stages for NVIDIA's profilers too (wants torch with CUDA)."""

    def __init__(self, *, nvtx: bool = False) -> None:
        self.spans: list[Span] = []
        self.full = False
        self._on = False
        self._range = _nvtx() if nvtx else None

    def stopwatch(self) -> Stopwatch:
        return _Recording(self)

    def begin(self) -> None:
        self.spans, self.full, self._on = [], False, True

    def end(self) -> list[Span]:
        """What was taken down since `begin`."""
        self._on = False
        return self.spans

    def range(self, stage: str) -> AbstractContextManager[Any]:
        return nullcontext() if self._range is None else self._range(stage)

    def add(self, stage: str, begun_ns: int, took_ns: int) -> None:
        if not self._on:
            return
        if len(self.spans) < MOST_SPANS:
            self.spans.append(Span(stage, threading.get_native_id(), begun_ns, took_ns))
        else:
            self.full = True


class _Recording(Stopwatch):
    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self._recorder = recorder

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        begun_ns = time.perf_counter_ns()
        with self._recorder.range(stage), super().__call__(stage):
            yield
        self._recorder.add(stage, begun_ns, time.perf_counter_ns() - begun_ns)


def _nvtx() -> Any:
    import torch

    return torch.cuda.nvtx.range
