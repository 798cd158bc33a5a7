"""Chunks of several feeds followed side by side, each in a lane of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

K = TypeVar("K")
T = TypeVar("T")


class Lanes:
    """`count` threads; with 1 there is none, and work is done where it is handed in."""

    def __init__(self, count: int) -> None:
        if count < 1:
            raise ValueError(f"{count} lanes, wanted 1 or more")
        self.count = count
        self._threads = ThreadPoolExecutor(count, "lane") if count > 1 else None

    def submit(self, work: Callable[[], T]) -> Future[T]:
        if self._threads is not None:
            return self._threads.submit(work)
        done: Future[T] = Future()
        try:
            done.set_result(work())
        except Exception as e:  # its reader's, as with a thread
            done.set_exception(e)
        return done

    def close(self) -> None:
        """To be called when nothing is under way any longer."""
        if self._threads is not None:
            self._threads.shutdown()


@dataclass(frozen=True, slots=True)
class Task(Generic[T]):
    """A message that was taken up. work: what of it goes on in a lane. finish: ends it, in the worker's own thread,
    once that is done."""

    finish: Callable[[], T]
    work: Future[Any] | None = None

    @property
    def ready(self) -> bool:
        return self.work is None or self.work.done()


def first_ready(tasks: Mapping[K, Task[T]], *, timeout_s: float) -> K | None:
    """Whose task is ready first, waited for; None where none is in time."""
    if not any(task.ready for task in tasks.values()):
        wait([task.work for task in tasks.values() if task.work is not None], timeout_s, FIRST_COMPLETED)
    return next((key for key, task in tasks.items() if task.ready), None)
