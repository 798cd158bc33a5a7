"""What a producer remembers in `video.state`, written in the same transaction as each chunk."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Literal, Protocol

import msgspec
import structlog

from engines.errors import UserError
from stream.log import FIRST_PAUSE_S, LONGEST_PAUSE_S, STATE, FencedError, Log, LogAwayError, Message, Writer


class ProducerState(msgspec.Struct, kw_only=True):
    """How far the producer of one feed has come.

    Chunking is deterministic, so that source and number of pieces tell where to go on. Times are feed times.
    """

    identity: str
    """Of all sources and options: equal, and the producer goes on where it was; else it begins anew after `end_us`."""
    next_seq: int = 0
    source: int = 0
    """Index of the source in work."""
    pieces: int = 0
    """Pieces of that source that are in the log."""
    passes: int = 0
    """Times that all sources were gone through (`--loop`)."""
    begun_us: int = 0
    """Feed time at which the first of these sources began."""
    origin_us: int = 0
    """Feed time at which the source in work began."""
    first_pts: int | None = None
    """Ticks of the source's first presented frame."""
    end_us: int = 0
    """Feed time up to which the log is filled."""
    broken: bool = False
    """A source broke off before its end."""
    ended: Literal["", "end", "stopped", "error"] = ""

    def begin_source(self, index: int) -> None:
        """Put the next source's beginning at the end of what there is."""
        self.source, self.pieces, self.origin_us, self.first_pts = index, 0, self.end_us, None


class Journal(Protocol):
    """Where a producer's chunks go, and where it finds how far it had come."""

    def load(self) -> ProducerState | None:
        """The last committed state, None for a new feed."""
        ...

    def room(self, size_bytes: int) -> bool:
        """Whether a chunk of that size is taken in now. Without room the producer lets go of it, or waits."""
        ...

    def commit(self, state: ProducerState, *messages: Message) -> None:
        """The messages and the state, all or nothing. Raises UserError where a newer producer writes this feed."""
        ...


class LogJournal:
    """One feed's producer state in the log. The newest producer of a feed is the one that writes it.

    A log that is away is waited for, in pauses of 0.5 to 10 s, until `stop` is set: LogAwayError only comes after that.
    """

    def __init__(self, log: Log, feed: str, stop: threading.Event) -> None:
        self.stop = stop
        self._log, self._feed, self._key = log, feed, f"producer/{feed}"
        self._writer: Writer | None = None
        self.value = b""
        """The state as the log has it, empty for a new feed."""
        self._patiently(lambda: None)

    def load(self) -> ProducerState | None:
        return msgspec.json.decode(self.value, type=ProducerState) if self.value else None

    def room(self, size_bytes: int) -> bool:
        return True

    def commit(self, state: ProducerState, *messages: Message) -> None:
        value = encode_state(state)
        before = self.value

        def write() -> None:
            if self.value == value:  # it was committed, though nobody told us
                return
            if self.value != before:
                raise FencedError
            assert self._writer is not None
            with self._writer.transaction() as transaction:
                for message in messages:
                    transaction.send(message)
                transaction.send(Message(STATE, self._key, value))
            self.value = value

        self._patiently(write)

    def _patiently(self, write: Callable[[], None]) -> None:
        """Do it on a log that is there: as often as it goes away, begin anew and read what the log has."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                if self._writer is None:
                    # from here on no older producer writes, and nothing is pending: what is read next stays true
                    self._writer = self._log.writer(self._key)
                    record = self._log.latest(STATE, self._key)
                    self.value = record.value if record else b""
                write()
                return
            except LogAwayError as e:
                if self._writer is not None:
                    self._writer.close()
                self._writer = None
                structlog.get_logger().warning("log away", feed=self._feed, cause=str(e), again_in_s=pause_s)
                if self.stop.wait(pause_s):
                    raise
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
            except FencedError:
                raise UserError(
                    f"another producer has begun to write feed {self._feed!r}: this one stops; "
                    "each needs its own --feed"
                ) from None


def encode_state(state: ProducerState) -> bytes:
    return msgspec.json.encode(state)
