"""What a producer remembers in `video.state`, written in the same transaction as each chunk."""

from __future__ import annotations

from typing import Literal

import msgspec

from engines.errors import UserError
from stream.log import STATE, Log, Message


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


class Journal:
    """One feed's producer state in the log; notices another producer on the same feed."""

    def __init__(self, log: Log, feed: str) -> None:
        self._log, self.feed, self.key = log, feed, f"producer/{feed}"
        self._last = self._read()

    def load(self) -> ProducerState | None:
        """The last committed state, None for a new feed."""
        return msgspec.json.decode(self._last, type=ProducerState) if self._last else None

    def commit(self, state: ProducerState, *messages: Message) -> None:
        """The messages and the state, all or nothing. Raises UserError where another producer has been writing."""
        if self._read() != self._last:
            raise UserError(f"another producer writes feed {self.feed!r}; stop it, or choose another --feed")
        value = msgspec.json.encode(state)
        with self._log.transaction() as transaction:
            for message in messages:
                transaction.send(message)
            transaction.send(Message(STATE, self.key, value))
        self._last = value

    def _read(self) -> bytes:
        record = self._log.latest(STATE, self.key)
        return record.value if record else b""
