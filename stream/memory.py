"""What a worker has in mind: the states of its feeds, kept from commit to commit, or read from `video.state`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import structlog

from engines.errors import UserError
from stream.chunk import Chunk, ChunkHeader, decode_header
from stream.frames import Decoder
from stream.log import CHUNKS, STATE, Log, Record
from stream.pipeline import Pipeline
from stream.state import FeedState, restore


@dataclass(frozen=True, slots=True)
class _Known:
    """A feed's state after its last commit, its bytes (b'' for a new feed), and the partition it came by."""

    state: FeedState
    saved: bytes
    place: tuple[str, int]


class Memory:
    """States by feed, of the feeds that came by partitions that are this worker's."""

    def __init__(self, log: Log, pipeline: Pipeline, decoder: Decoder) -> None:
        self._log, self._pipeline, self._decoder = log, pipeline, decoder
        self._known: dict[str, _Known] = {}
        self._say = structlog.get_logger("strefer.worker")

    def keep(self, record: Record, state: FeedState, saved: bytes) -> None:
        """What was committed after `record`."""
        self._known[record.key] = _Known(state, saved, (record.topic, record.partition))

    def forget(self, places: set[tuple[str, int]] | None = None) -> None:
        """Feeds that came by these partitions may have moved on elsewhere; or all of them."""
        for feed in [f for f, known in self._known.items() if places is None or known.place in places]:
            del self._known[feed]
            self._pipeline.release(feed)

    def recall(self, record: Record) -> tuple[FeedState, bytes]:
        """A record's feed: its state and the bytes of that, b'' for a new feed. Raises UserError for bytes that do not
        read."""
        feed = record.key
        if feed in self._known:
            return self._known[feed].state, self._known[feed].saved
        saved = self._log.latest(STATE, feed)
        if saved is None:
            return FeedState(feed), b""
        try:
            state = restore(saved.value)
        except ValueError as e:
            raise UserError(f"{feed}: {e}; produce it under another feed id, or begin with a new log") from None
        for old, every in self._recent(state):
            header = decode_header(dict(old.headers))
            if isinstance(header, ChunkHeader):
                self._pipeline.warm(state, Chunk(header, old.value), self._decoder, every=every)
        self._say.info("feed resumed", feed=feed, seq=state.seq)
        self._known[feed] = _Known(state, saved.value, (record.topic, record.partition))
        return state, saved.value

    def _recent(self, state: FeedState) -> Iterator[tuple[Record, int]]:
        """The last chunks that were followed, each with its stride. What is past its retention is missing: the
        look-back is shorter, nothing else."""
        every = {recent.offset: recent.every for recent in state.recent}
        if not every:
            return
        for record in self._log.read(CHUNKS, key=state.feed, after=min(every) - 1):
            if record.offset in every:
                yield record, every[record.offset]
            if record.offset >= max(every):
                return
