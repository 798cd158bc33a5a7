"""What a producer remembers in `video.state`, written in the same transaction as each chunk."""

from __future__ import annotations

from typing import Literal

import msgspec

from engines.errors import UserError
from stream.log import STATE, FencedError, Log, Message


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
    """One feed's producer state in the log. The newest producer of a feed is the one that writes it."""

    def __init__(self, log: Log, feed: str) -> None:
        self.feed, self.key = feed, f"producer/{feed}"
        self._writer = log.writer(self.key)  # from here on no older producer writes: what is read next stays true
        self._last = log.latest(STATE, self.key)

    def load(self) -> ProducerState | None:
        """The last committed state, None for a new feed."""
        return msgspec.json.decode(self._last.value, type=ProducerState) if self._last else None

    def commit(self, state: ProducerState, *messages: Message) -> None:
        """The messages and the state, all or nothing. Raises UserError where a newer producer writes this feed."""
        try:
            with self._writer.transaction() as transaction:
                for message in messages:
                    transaction.send(message)
                transaction.send(Message(STATE, self.key, msgspec.json.encode(state)))
        except FencedError:
            raise UserError(
                f"another producer has begun to write feed {self.feed!r}: this one stops; each needs its own --feed"
            ) from None
