"""What a worker tells of itself: whether its loop turns, whether it may be given work, what it has done.

The worker's thread calls `loaded` and `turn`, the thread that watches the log calls `seen` and `away`, requests read.
No verdict asks the log or the worker: a probe is answered though both hang.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from stream.worker import Done

LIMIT_S = 60.0
SEEN_LIMIT_S = 30.0
"""How old the log's last answer may be before it counts as out of reach."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Yes, or no with its reason in one line."""

    ok: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What has been done so far. Ages are seconds, None where it never happened."""

    client_id: str
    group: str
    messages: int
    events: int
    feeds_ended: int
    turn_age_s: float | None
    progress_age_s: float | None
    lag: dict[str, int]


class Health:
    """limit_s: how long the loop may take for one turn, which is one message or one empty poll.

    stop: set when the worker has been told to end; it is not ready from that moment, alive until it is gone.
    """

    def __init__(
        self,
        *,
        client_id: str,
        group: str,
        stop: threading.Event,
        limit_s: float = LIMIT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client_id, self._group, self._stop, self._limit_s, self._clock = client_id, group, stop, limit_s, clock
        self._lock = threading.Lock()
        self._messages = self._events = self._ended = 0
        self._loaded = False
        self._turned_s: float | None = None
        self._progressed_s: float | None = None
        self._seen_s: float | None = None
        self._away = "it was not asked yet"
        self._lag: dict[str, int] = {}

    def loaded(self) -> None:
        """The networks are there."""
        with self._lock:
            self._loaded = True

    def turn(self, done: Done | None) -> None:
        """The loop has turned: a message was finished, or a poll came back with nothing."""
        with self._lock:
            self._turned_s = self._clock()
            if done is not None:
                self._progressed_s = self._turned_s
                self._messages += 1
                self._events += done.events
                self._ended += done.ended

    def seen(self, topic: str, lag: int) -> None:
        """The log has answered."""
        with self._lock:
            self._seen_s, self._away, self._lag = self._clock(), "", {**self._lag, topic: lag}

    def away(self, reason: str) -> None:
        """The log cannot be reached. Its last lag is no longer told: it would be a stale figure that looks alive."""
        with self._lock:
            self._away, self._lag = " ".join(reason.split()) or "no reason given", {}

    def alive(self) -> Verdict:
        """Whether the loop makes progress. It does not before its first turn: give a start its time by the startup
        probe, not by believing in it."""
        with self._lock:
            if self._turned_s is None:
                return Verdict(False, "the loop has not begun to turn" if self._loaded else "networks are being loaded")
            age_s = self._clock() - self._turned_s
        if age_s > self._limit_s:
            return Verdict(False, f"the loop has not turned for {age_s:.0f} s, the limit is {self._limit_s:g} s")
        return Verdict(True)

    def ready(self) -> Verdict:
        """Whether it takes its share of the feeds, though its share be none: with more workers than partitions some
        wait for another to go."""
        if self._stop.is_set():
            return Verdict(False, "stopping")
        alive = self.alive()
        if not alive.ok:
            return alive
        with self._lock:
            if self._away:
                return Verdict(False, f"the log is out of reach: {self._away}")
            assert self._seen_s is not None
            age_s = self._clock() - self._seen_s
        if age_s > SEEN_LIMIT_S:
            return Verdict(False, f"the log has not answered for {age_s:.0f} s")
        return Verdict(True)

    def facts(self) -> Facts:
        with self._lock:
            now_s = self._clock()
            return Facts(
                client_id=self._client_id,
                group=self._group,
                messages=self._messages,
                events=self._events,
                feeds_ended=self._ended,
                turn_age_s=None if self._turned_s is None else now_s - self._turned_s,
                progress_age_s=None if self._progressed_s is None else now_s - self._progressed_s,
                lag=dict(self._lag),
            )
