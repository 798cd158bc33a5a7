"""At most so many requests in any minute."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

MINUTE_S = 60.0


class Pace:
    """Lets `per_minute` requests begin in any 60 s; 0 is no limit. clock, sleep: seconds, as `time` has them."""

    def __init__(
        self, per_minute: int, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._limit, self._clock, self._sleep = per_minute, clock, sleep
        self._begun: deque[float] = deque(maxlen=per_minute or 1)
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Return when another may begin, and count it."""
        while self._limit:
            with self._lock:
                now = self._clock()
                left_s = self._begun[0] + MINUTE_S - now if len(self._begun) == self._limit else 0.0
                if left_s <= 0:
                    self._begun.append(now)
                    return
            self._sleep(left_s)

    def count(self) -> None:
        """One has begun without waiting: a request that is sent again. The next ones wait for it."""
        with self._lock:
            self._begun.append(self._clock())
