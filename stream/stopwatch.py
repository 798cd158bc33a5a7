"""Where the time of a chunk goes, by stage."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Wall-clock time per stage. Threads may share it as long as each stage belongs to one of them."""

    def __init__(self) -> None:
        self.ns: dict[str, int] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        begun = time.perf_counter_ns()
        try:
            yield
        finally:
            self.ns[stage] = self.ns.get(stage, 0) + time.perf_counter_ns() - begun

    def us(self) -> dict[str, int]:
        return {stage: ns // 1000 for stage, ns in self.ns.items()}
