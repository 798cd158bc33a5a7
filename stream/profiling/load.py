"""A worker under a load: as much as it takes, or as cameras would send it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from engines.errors import UserError
from stream.decode.pyav import PyAVDecoder
from stream.log import Log
from stream.log.sqlite import SqliteLog
from stream.pipeline import Pipeline
from stream.profiling.tape import Tape, now_us
from stream.worker import Done, Worker

AHEAD = 3
"""Chunks of a feed that wait where the load is as much as the worker takes: one more than it has in hand."""
STUCK_S = 120.0
"""How much longer than it should a load may take."""
Tell = Callable[[float], None]
"""Progress: seconds since the load began."""


@dataclass(slots=True)
class Measured:
    """What came out of a load. begun_s, ended_s: of `time.monotonic`; what came before is warm-up and is not in here.

    done: when each chunk was finished, and its frames. due: chunks that cameras had sent by then (offered loads).
    latency_s: from a chunk's last frame to the commit of its events. waiting: chunks sent and not finished at the end.
    """

    feeds: int
    begun_s: float = 0.0
    ended_s: float = 0.0
    done: list[tuple[float, int]] = field(default_factory=list)
    due: int = 0
    waiting: int = 0
    latency_s: list[float] = field(default_factory=list)

    @property
    def chunks(self) -> int:
        return len(self.done)

    @property
    def frames(self) -> int:
        return sum(frames for _, frames in self.done)

    @property
    def seconds(self) -> float:
        return self.ended_s - self.begun_s

    @property
    def frames_s(self) -> float:
        return self.frames / self.seconds


class Loads:
    """Runs loads of one tape on one pipeline, each on a log and with a worker of its own."""

    def __init__(self, tape: Tape, pipeline: Pipeline, *, lanes: int, warm_s: float) -> None:
        self._tape, self._pipeline, self._lanes, self._warm_s = tape, pipeline, lanes, warm_s

    def saturated(
        self, feeds: int, seconds: float, *, warmed: Callable[[], None] = lambda: None, tell: Tell = lambda _: None
    ) -> Measured:
        """Feeds that always have chunks waiting. warmed: is called when the warm-up is over."""
        sent = {f"feed{i}": 0 for i in range(feeds)}
        measured = Measured(feeds)
        with TemporaryDirectory(prefix="strefer-profile-") as folder, closing(SqliteLog(Path(folder))) as log:

            def send(feed: str) -> None:
                with log.transaction() as tx:
                    tx.send(self._tape.message(feed, sent[feed]))
                sent[feed] += 1

            for _ in range(AHEAD):
                for feed in sent:
                    send(feed)

            def each(done: Done) -> None:
                send(done.feed)

            self._work(log, measured, seconds, each, warmed, tell)
        return measured

    def offered(self, feeds: int, seconds: float, *, tell: Tell = lambda _: None) -> Measured:
        """Feeds that send each chunk when its time has come, as cameras do, their beginnings spread over a chunk."""
        measured = Measured(feeds)
        captured: dict[tuple[str, int], float] = {}
        with TemporaryDirectory(prefix="strefer-profile-") as folder, closing(SqliteLog(Path(folder))) as log:
            over = threading.Event()
            sender = threading.Thread(target=self._send, args=(log, feeds, captured, over), daemon=True)

            def each(done: Done) -> None:
                sent_s = captured.pop((done.feed, done.seq), None)
                if measured.begun_s and sent_s is not None:
                    measured.latency_s.append(time.monotonic() - sent_s)

            sender.start()
            try:
                self._work(log, measured, seconds, each, lambda: None, tell)
            finally:
                over.set()
                sender.join()
        measured.waiting = len(captured)
        per_feed = self._tape.lap_us / 1e6 / len(self._tape.chunks)
        measured.due = round(feeds * measured.seconds / per_feed)
        return measured

    def _send(self, log: Log, feeds: int, captured: dict[tuple[str, int], float], over: threading.Event) -> None:
        mean_s = self._tape.duration_us(0) / 1e6
        now = time.monotonic()
        due = {f"feed{i}": (now + mean_s * i / feeds + self._tape.duration_us(0) / 1e6, 0) for i in range(feeds)}
        while True:
            feed, (at_s, seq) = min(due.items(), key=lambda one: one[1])
            if over.wait(max(0.0, at_s - time.monotonic())):
                return
            captured[feed, seq] = time.monotonic()
            with log.transaction() as tx:
                began_us = now_us() - self._tape.duration_us(seq)
                tx.send(self._tape.message(feed, seq, captured_wall_us=began_us))
            due[feed] = (at_s + self._tape.duration_us(seq + 1) / 1e6, seq + 1)

    def _work(
        self, log: Log, measured: Measured, seconds: float, each: Callable[[Done], None], warmed: Callable[[], None],
        tell: Tell,
    ) -> None:  # fmt: skip
        """Work for the warm-up and `seconds` after it; a chunk that is under way at the end is not counted."""
        seen: set[str] = set()
        begun = time.monotonic()

        def until(done: Done | None) -> bool:
            now = time.monotonic()
            tell(now - begun)
            if done is not None:
                if done.outcome == "refused":
                    raise UserError("a chunk of the source does not decode: profile a whole file (strefer annotate it)")
                each(done)
                seen.add(done.feed)
            if now - begun > self._warm_s + 2 * seconds + STUCK_S:
                raise UserError(
                    f"{measured.feeds} feeds are more than this machine takes: try fewer, or a shorter clip"
                )
            if not measured.begun_s:
                if now - begun >= self._warm_s and len(seen) == measured.feeds:
                    warmed()
                    measured.begun_s = time.monotonic()
                return False
            if done is not None and done.chunk is not None:
                measured.done.append((now, done.chunk.frames))
            if now - measured.begun_s >= seconds:
                measured.ended_s = now
            return bool(measured.ended_s)

        with closing(Worker(log, self._pipeline, PyAVDecoder(), session_s=30.0, lanes=self._lanes)) as worker:
            worker.run(until=until, poll_s=0.02)
        for i in range(measured.feeds):
            self._pipeline.release(f"feed{i}")
