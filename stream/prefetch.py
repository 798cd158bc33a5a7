"""Work ahead: an iterator run in a thread of its own, a few items in front of its reader."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")


class _Failed:
    def __init__(self, error: BaseException) -> None:
        self.error = error


_END = object()
_PATIENCE_S = 0.1


class Prefetch(Generic[T]):
    """The same items in the same order, made in a thread at most `depth` ahead, from now on.

    An exception comes out where it was raised. Who does not read to the end must `close` it, or use `with`.
    """

    def __init__(self, items: Iterable[T], *, depth: int = 1) -> None:
        self._items = items
        self._ready: queue.Queue[object] = queue.Queue(depth)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prefetch", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        item = self._take()
        if item is _END or isinstance(item, _Failed):
            self.close()
            if isinstance(item, _Failed):
                raise item.error
            raise StopIteration
        return item  # type: ignore[return-value]

    def __enter__(self) -> Prefetch[T]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop the thread and wait for it; nothing more comes out."""
        self._stop.set()
        self._thread.join()

    def _take(self) -> object:
        while not self._stop.is_set():  # who closes it from another thread must not leave the reader waiting
            try:
                return self._ready.get(timeout=_PATIENCE_S)
            except queue.Empty:
                continue
        return _END

    def _run(self) -> None:
        try:
            for item in self._items:
                if not self._put(item):
                    return
            self._put(_END)
        except BaseException as e:  # whatever it is belongs to the reader
            self._put(_Failed(e))

    def _put(self, item: object) -> bool:
        while not self._stop.is_set():
            try:
                self._ready.put(item, timeout=_PATIENCE_S)
                return True
            except queue.Full:
                continue
        return False
