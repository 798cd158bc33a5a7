"""All feeds of a log as the viewer knows them: one thread follows the log for all who look."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import msgspec
import structlog

from engines.errors import UserError
from stream.chunk import Chunk
from stream.events import Masklet, MaskletFrame, MaskletRevised, decode_message
from stream.log import ANNOTATIONS, QUERIES, STATE, Log, LogAwayError
from stream.posting import drop, post
from stream.queries import EVERY_FEED, MAX_QUERIES, QueryRequest, decode_request, encode_request, posted
from stream.region import Polygon
from stream.viewer.chunks import ChunkFinder
from stream.viewer.index import ChunkPlace, FeedIndex, FeedView

MAX_FEEDS = 64
PAST_RECORDS = 20_000
"""Records of a feed's partition that are read when it is first seen: what came before cannot be gone back to."""
TURN_RECORDS = 2000
"""Read of one feed before the next has its turn."""
EVERY_S, FEEDS_EVERY_S = 0.2, 2.0
LOOK_BACK_US = 3_000_000
"""Masks may be revised this long after: the worker's look-back of 2 s, and a chunk's rest."""


class AbsentError(LookupError):
    """What was asked for is not there; the message says what."""


class UnknownFeedError(AbsentError):
    """No worker has followed such a feed."""


class Asked(msgspec.Struct, frozen=True):
    """A query as it lies in the log. text: empty for a feed's mask. all: it is asked of every feed. roi: empty for the
    whole frame."""

    query: str
    text: str
    all: bool
    roi: Polygon = ()


class FeedLine(msgspec.Struct, frozen=True):
    """A feed as a tile of the wall. seq and start_us are of its newest finished chunk, -1 where there is none."""

    feed: str
    seq: int
    start_us: int
    end_us: int
    present: int
    ended: str
    silent_s: int
    """Wall-clock seconds since its newest event, in steps of 5."""


class Wall(msgspec.Struct, frozen=True, tag="wall"):
    feeds: list[FeedLine]
    trouble: str
    """Why the log cannot be read at the moment."""


class EntityMasks(msgspec.Struct, frozen=True):
    entity: int
    frames: list[MaskletFrame]


Known = Callable[[], None]
"""Called when something has changed, from the thread that follows the log."""


class Feeds:
    """Follows a log until closed. All methods may be called from any thread."""

    def __init__(self, log: Log, *, every_s: float = EVERY_S, wall: Callable[[], float] = time.time) -> None:
        self._log, self._every_s, self._wall_s = log, every_s, wall
        self._finder = ChunkFinder(log)
        self._lock = threading.Lock()
        self._index: dict[str, FeedIndex] = {}
        self._position: dict[str, int] = {}
        self._news_s: dict[str, float] = {}
        self._asked: dict[str, list[Asked]] = {}
        self._listeners: set[Known] = set()
        self._trouble = ""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="view-log", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(5.0)

    def listen(self, known: Known) -> Callable[[], None]:
        """Have a function called after changes; gives what ends that."""
        with self._lock:
            self._listeners.add(known)

        def end() -> None:
            with self._lock:
                self._listeners.discard(known)

        return end

    def wall(self) -> Wall:
        with self._lock:
            return Wall([self._line(f) for f in sorted(self._index)], self._trouble)

    def since(self, feed: str, version: int) -> FeedView:
        """What changed of a feed. Raises UnknownFeedError."""
        with self._lock:
            return self._of(feed).since(version)

    def asked(self, feed: str) -> list[Asked]:
        """The queries asked of a feed now."""
        with self._lock:
            mine = self._asked.get(feed, [])
            own = {a.query for a in mine}
            return mine + [a for a in self._asked.get(EVERY_FEED, []) if a.query not in own]

    def find(self, feed: str, seq: int) -> Chunk:
        """A chunk out of the log. Raises LostChunkError."""
        return self._finder.find(feed, seq)

    def has(self, feed: str, seq: int) -> None:
        """Raises AbsentError where it is no chunk that can be gone back to."""
        with self._lock:
            self._place(feed, seq)

    def masks(self, feed: str, seq: int) -> list[EntityMasks]:
        """All masks of a chunk's frames, as later events have mended them. Raises AbsentError."""
        with self._lock:
            index, place = self._of(feed), self._place(feed, seq)
            until, hindsight = index.told_until(place, LOOK_BACK_US), index.hindsight
        found: dict[int, dict[int, MaskletFrame]] = {}
        for record in self._log.read(ANNOTATIONS, key=feed, after=place.first - 1):
            if record.offset > until:
                break
            if not record.headers.get("ce_type", "").startswith("masklet"):
                continue
            for event in hindsight.mend([decode_message(dict(record.headers), record.value)]):
                body = event.body
                assert isinstance(body, Masklet | MaskletRevised)
                for frame in body.frames:
                    if place.start_us <= frame.pts_us < place.end_us:
                        found.setdefault(body.entity, {})[frame.pts_us] = frame
        return [EntityMasks(e, [frames[at] for at in sorted(frames)]) for e, frames in sorted(found.items())]

    def best(self, feed: str, entity: int) -> tuple[int, MaskletFrame]:
        """Where an entity shows itself best: a chunk's seq, and the frame. Raises AbsentError."""
        with self._lock:
            index = self._of(feed)
            e = index.entity(entity)
            place = index.holding(e.best.frame.pts_us) if e is not None and e.best is not None else None
            if e is None or e.best is None or place is None:
                raise AbsentError(f"feed {feed} has no picture of entity {entity}")
            return place.seq, e.best.frame

    def ask(self, feed: str, text: str) -> str:
        """Ask a feed for a text, as `strefer query add` does; gives the query's id. Raises UserError where it does not
        read, and UnknownFeedError."""
        with self._lock:
            self._of(feed)
            if len(self._asked.get(feed, [])) >= MAX_QUERIES:
                raise UserError(f"{feed} is asked {MAX_QUERIES} queries already: take one back first")
        request = QueryRequest(text)
        query = post(self._log, feed, request, encode_request(request)).query
        self._read_queries()
        self._tell()
        return query

    def take_back(self, feed: str, query: str) -> None:
        """Take a feed's own query back. Raises UserError where there is none, and UnknownFeedError."""
        with self._lock:
            self._of(feed)
        drop(self._log, query, feed)
        self._read_queries()
        self._tell()

    def _of(self, feed: str) -> FeedIndex:
        if feed not in self._index:
            raise UnknownFeedError(f"no worker has followed a feed {feed!r}")
        return self._index[feed]

    def _place(self, feed: str, seq: int) -> ChunkPlace:
        place = self._of(feed).chunk(seq)
        if place is None:
            raise AbsentError(f"chunk {seq} of {feed} is not among those that can be gone back to")
        return place

    def _line(self, feed: str) -> FeedLine:
        index = self._index[feed]
        newest, silent_s = index.newest, max(0.0, self._wall_s() - self._news_s.get(feed, 0.0))
        return FeedLine(
            feed, newest.seq if newest else -1, newest.start_us if newest else -1, newest.end_us if newest else -1,
            index.present(), index.ended, min(86_400, int(silent_s) // 5 * 5),
        )  # fmt: skip

    def _follow(self) -> None:
        """Until closed. Whatever goes wrong is shown and tried again."""
        say, looked_s = structlog.get_logger(), -FEEDS_EVERY_S
        while not self._over.is_set():
            try:
                changed = False
                if time.monotonic() - looked_s >= FEEDS_EVERY_S:
                    looked_s = time.monotonic()
                    changed = self._discover()
                for feed in list(self._index):
                    changed = self._advance(feed) or changed
                changed, self._trouble = changed or bool(self._trouble), ""
            except Exception as e:
                if not isinstance(e, LogAwayError):
                    say.exception("the viewer cannot read the log")
                changed, self._trouble = True, str(e) or type(e).__name__
            if changed:
                self._tell()
            self._over.wait(self._every_s if not self._trouble else 1.0)

    def _tell(self) -> None:
        with self._lock:
            listeners = list(self._listeners)
        for known in listeners:
            known()

    def _discover(self) -> bool:
        """Look for new feeds and queries; the silence of feeds is news as well."""
        names = sorted(key for key in self._log.table(STATE) if "/" not in key)
        new = [feed for feed in names if feed not in self._index][: max(0, MAX_FEEDS - len(self._index))]
        base = int(self._wall_s() * 1e6)
        for feed in new:
            position = max(-1, self._log.end(ANNOTATIONS, feed) - 1 - PAST_RECORDS)
            with self._lock:
                self._position[feed], self._index[feed] = position, FeedIndex(feed, base=base)
        self._read_queries()
        return True

    def _read_queries(self) -> None:
        found: dict[str, list[Asked]] = {}
        for p in posted(self._log.table(QUERIES)):
            try:
                request = decode_request(p.value)
            except ValueError:
                continue  # the feed's error event says so
            asked = Asked(p.id, request.text, p.feed == EVERY_FEED, request.roi)
            found.setdefault(p.feed, []).append(asked)
        with self._lock:
            self._asked = found

    def _advance(self, feed: str) -> bool:
        """Take in what is new of a feed, a turn's worth at most."""
        position = self._position[feed]
        if self._log.end(ANNOTATIONS, feed) <= position + 1:
            return False
        taken = 0
        for record in self._log.read(ANNOTATIONS, key=feed, after=position):
            with self._lock:
                self._position[feed] = record.offset
                self._news_s[feed] = record.appended_wall_us / 1e6
                try:
                    event = decode_message(dict(record.headers), record.value)
                except (ValueError, KeyError):
                    continue  # of a newer version, or none of ours
                self._index[feed].take(record.offset, event)
            taken += 1
            if taken >= TURN_RECORDS or self._over.is_set():
                break
        return taken > 0
