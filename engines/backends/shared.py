"""Engines for many threads: what they ask for at the same time is run as one batch. Nobody waits for others: a batch is
what has gathered while the one before was run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engines.backends import F32, Engine
from engines.detections import BatchDetector, Detections
from engines.together import BatchCounts, Together

MOST_FRAMES = 64
"""Of a detector's batch; it may run them in parts."""


class SharedSession:
    """A `Session` of an engine with one input and a batch axis. counts: gets the sizes of batches.

    Raises ValueError for an engine of another kind."""

    def __init__(self, engine: Engine, counts: BatchCounts | None = None) -> None:
        spec = engine.spec
        if len(spec.inputs) != 1 or not spec.batch:
            raise ValueError(
                f"{spec.name} has {len(spec.inputs)} inputs and batch axis {spec.batch!r}, wanted one each"
            )
        self._engine, self._input, self._counts = engine, spec.inputs[0].name, counts or BatchCounts()
        self._outputs = [t.name for t in spec.outputs]
        self._together = Together(wait_s=0.0, most=spec.rows.most)
        self.backend = engine.backend

    def run(self, x: F32) -> tuple[F32, ...]:
        return self._together.ask(self._run, x)

    def _run(self, asked: Sequence[F32]) -> list[tuple[F32, ...]]:
        rows = np.concatenate(asked) if len(asked) > 1 else asked[0]
        self._counts.add(self._engine.spec.name, len(rows))
        found = self._engine.run({self._input: rows})
        ends = np.cumsum([len(x) for x in asked])[:-1]
        parts = [np.split(found[name], ends) for name in self._outputs]
        return list(zip(*parts, strict=True))


class SharedDetector:
    """A `Detector` of one that takes batches. Frames may be tensors on a device, if that one takes them. counts: gets
    the batches' sizes."""

    def __init__(self, detector: BatchDetector, counts: BatchCounts | None = None) -> None:
        self._detector, self._counts = detector, counts or BatchCounts()
        self._together = Together(wait_s=0.0, most=MOST_FRAMES)
        self.name = detector.name

    def detect(self, rgb: Any) -> Detections:
        return self._together.ask(self._run, rgb)

    def _run(self, frames: Sequence[Any]) -> list[Detections]:
        self._counts.add(self.name, len(frames))
        return self._detector.detect_many(frames)
