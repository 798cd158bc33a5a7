"""Finding a chunk of a feed in `video.chunks` by its seq: by halves over the offsets, from the nearest known places."""

from __future__ import annotations

import bisect
import threading
from collections import OrderedDict

from stream.chunk import Chunk, ChunkHeader, decode_header
from stream.log import CHUNKS, LOST_CLAIM, Log, Record

MAX_FEEDS = 256
MAX_PLACES = 512
"""Places kept of a feed; beyond it the finding begins anew."""


class LostChunkError(ValueError):
    """The chunk is not there (any more), or is none; the message says why."""


class ChunkFinder:
    """May be shared by threads."""

    def __init__(self, log: Log) -> None:
        self._log, self._lock = log, threading.Lock()
        self._places: OrderedDict[str, list[tuple[int, int]]] = OrderedDict()  # feed -> sorted (seq, offset)

    def find(self, feed: str, seq: int) -> Chunk:
        """Raises LostChunkError."""
        record = self._record(feed, seq)
        if record is None:
            raise LostChunkError(f"chunk {seq} of {feed} is no longer in the log")
        if LOST_CLAIM in record.headers:
            raise LostChunkError(record.headers[LOST_CLAIM])
        try:
            header = decode_header(dict(record.headers))
            if not isinstance(header, ChunkHeader):
                raise LostChunkError(f"message {seq} of {feed} holds no video")
            chunk = Chunk(header, record.value)
            chunk.verify()
        except ValueError as e:
            raise LostChunkError(f"chunk {seq} of {feed} is no good: {e}") from None
        return chunk

    def _record(self, feed: str, seq: int) -> Record | None:
        low, high = self._bounds(feed, seq)  # the chunk lies at an offset in (low, high]
        while low < high:
            record = self._next(feed, low)  # the very next, where chunks are played in order
            if record is None or _seq(record) > seq:
                return None
            self._know(feed, _seq(record), record.offset)
            if _seq(record) == seq:
                return record
            low = record.offset
            middle = (low + high) // 2
            if middle > low:
                beyond = self._next(feed, middle)
                low, high = (middle, high) if beyond is not None and _seq(beyond) <= seq else (low, middle)
        return None

    def _next(self, feed: str, after: int) -> Record | None:
        return next(iter(self._log.read(CHUNKS, key=feed, after=after)), None)

    def _bounds(self, feed: str, seq: int) -> tuple[int, int]:
        """Offsets: the chunk lies after the first and not after the second."""
        with self._lock:
            places = self._places.get(feed, [])
            at = bisect.bisect_left(places, (seq, -1))
            if at < len(places) and places[at][0] == seq:
                return places[at][1] - 1, places[at][1]
            low = places[at - 1][1] if at else -1
            if at < len(places):
                return low, places[at][1]
        return low, self._log.end(CHUNKS, feed)

    def _know(self, feed: str, seq: int, offset: int) -> None:
        with self._lock:
            places = self._places.setdefault(feed, [])
            self._places.move_to_end(feed)
            if (seq, offset) not in places:
                if len(places) >= MAX_PLACES:
                    places.clear()
                bisect.insort(places, (seq, offset))
            while len(self._places) > MAX_FEEDS:
                self._places.popitem(last=False)


def _seq(record: Record) -> int:
    """A message's seq by its id alone (`feed/seq`); -1 for what is no chunk."""
    seq = record.headers.get("ce_id", "").rpartition("/")[2]
    return int(seq) if seq.isdecimal() else -1
