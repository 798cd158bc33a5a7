"""How long an engine takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from engines.backends import Engine

WARM_UPS = 3


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds of one run. p95_ms: 95 of 100 runs took no longer."""

    runs: int
    best_ms: float
    median_ms: float
    p95_ms: float


def measure(
    run: Callable[[], object], *, seconds: float, wait: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
) -> Timing:  # fmt: skip
    """Runs for about `seconds` after three to warm up, at least five times. wait: returns when the device is done."""
    for _ in range(WARM_UPS):
        run()
    wait()
    taken: list[float] = []
    end = clock() + seconds
    while len(taken) < 5 or clock() < end:
        start = clock()
        run()
        wait()
        taken.append((clock() - start) * 1e3)
    return Timing(len(taken), min(taken), float(np.median(taken)), float(np.quantile(taken, 0.95)))


def timed(
    engine: Engine, device: str, batches: Sequence[int] = (), *, seconds: float = 1.0
) -> Iterator[tuple[int, Timing]]:
    """Batch size and timing on random inputs; by default 1 and the axis' usual size. On a CUDA device the inputs lie
    there already, and a run is over when the device is done."""
    spec = engine.spec
    for size in dict.fromkeys(batches or (1, spec.rows.usual)) if spec.batch else (1,):
        inputs: Mapping[str, Any] = spec.random(0, spec.usual(**({spec.batch: size} if spec.batch else {})))
        if device == "cpu":
            yield size, measure(partial(engine.run, inputs), seconds=seconds)
        else:
            from engines.backends.torch_backend import find_device, to_device, wait

            at = find_device(device)
            placed = {t.name: to_device(inputs[t.name], t.dtype, at) for t in spec.inputs}
            yield size, measure(partial(engine.run, placed), seconds=seconds, wait=lambda: wait(device))
