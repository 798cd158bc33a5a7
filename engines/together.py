"""Dynamic batching: what several threads ask of one network is run together, and no one waits long for the others."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

A = TypeVar("A")
B = TypeVar("B")
Work = Callable[[Sequence[A]], Sequence[B]]


class BatchCounts:
    """How many batches of how many rows each engine has run. Threads may share it."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[int]] = {}
        self._lock = threading.Lock()

    def add(self, engine: str, rows: int) -> None:
        with self._lock:
            self._counts.setdefault(engine, Counter())[rows] += 1

    def read(self) -> dict[str, dict[int, int]]:
        """By engine: rows of a batch, and how often there were as many."""
        with self._lock:
            return {engine: dict(counts) for engine, counts in self._counts.items()}

    def usual(self, engine: str) -> int:
        """Rows of the batches that were most; 0 where there was none."""
        sizes = self.read().get(engine, {})
        return max(sizes, key=sizes.__getitem__, default=0)


@dataclass(slots=True, eq=False)
class _Asked:
    work: Work[Any, Any]
    item: Any
    since: float
    answer: Any = None
    error: BaseException | None = None
    done: bool = False


class Together:
    """One engine that runs one batch at a time, for threads that each take part while they have something to ask.

    A batch is run once all who take part wait, once it is full, or once its first has waited for `wait_s` with nothing
    being run: who was in the batch before has that long to join the next one. It grows meanwhile. There is no thread of
    its own: whoever waits runs what is due, also for others.
    most: items of a batch.
    """

    def __init__(self, *, wait_s: float = 0.005, most: int = 64) -> None:
        if wait_s < 0 or most < 1:
            raise ValueError(f"wait_s is {wait_s} and most {most}, wanted 0 or more and 1 or more")
        self._wait_s, self._most = wait_s, most
        self._changed = threading.Condition()
        self._waiting: list[_Asked] = []
        self._members = 0
        self._busy = False
        self._free_since = 0.0

    @contextmanager
    def taking_part(self) -> Iterator[None]:
        """While this thread may ask at any moment: others' batches wait for it."""
        with self._changed:
            self._members += 1
        try:
            yield
        finally:
            with self._changed:
                self._members -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """The engine to oneself, for what is not done in batches; not to be nested."""
        with self._changed:
            self._changed.wait_for(lambda: not self._busy)
            self._busy = True
        try:
            yield
        finally:
            self._free()

    def ask(self, work: Work[A, B], item: A) -> B:
        """`work([item])[0]`, with what others ask of the same `work` in one run. What `work` raises is raised to all
        whose items were in that run."""
        mine = _Asked(work, item, time.monotonic())
        with self._changed:
            self._waiting.append(mine)
            self._changed.notify_all()
        while True:
            with self._changed:
                while not mine.done and not (batch := self._due()):
                    self._changed.wait(self._patience())
                if mine.done:
                    break
            self._run(batch)
        if mine.error is not None:
            raise mine.error
        answer: B = mine.answer
        return answer

    def _due(self) -> list[_Asked]:
        """The batch to be run now, taken out of those who wait; none where there is none, or another is running."""
        if self._busy or not self._waiting:
            return []
        first = self._waiting[0]
        batch = [asked for asked in self._waiting if asked.work == first.work][: self._most]
        full = len(batch) == self._most or len(self._waiting) >= self._members
        if not full and time.monotonic() < self._until(first):
            return []
        self._waiting = [asked for asked in self._waiting if asked not in batch]
        self._busy = True
        return batch

    def _patience(self) -> float | None:
        if self._busy or not self._waiting:
            return None
        return max(0.0, self._until(self._waiting[0]) - time.monotonic())

    def _until(self, first: _Asked) -> float:
        return max(first.since, self._free_since) + self._wait_s

    def _run(self, batch: list[_Asked]) -> None:
        try:
            answers = batch[0].work([asked.item for asked in batch])
            for asked, answer in zip(batch, answers, strict=True):
                asked.answer = answer
        except BaseException as e:  # everybody's whose item it was
            for asked in batch:
                asked.error = e
        finally:
            for asked in batch:
                asked.done = True
            self._free()

    def _free(self) -> None:
        with self._changed:
            self._busy, self._free_since = False, time.monotonic()
            self._changed.notify_all()
