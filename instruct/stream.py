"""`video.annotations` -> `video.instructions`, beside the workers: each clip's pairs in one transaction.

The commit order: 1. poll annotations; 2. each feed's clipper (kept, or restored from `video.state`) takes them in; 3. a
clip that is complete becomes pairs; 4. in one transaction send the pairs, the clippers' state and the offset up to
which nothing is needed any more. Whoever comes next reads from there again and hands out no clip twice. A process that
is killed has done a clip wholly or not at all.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

import msgspec
import structlog

from instruct.clip import Window
from instruct.clipper import Clipper
from instruct.make import Options, Tally, pairs_of
from instruct.pair import Pair
from instruct.read import flaw
from stream.events import Event, decode_message
from stream.log import (
    ANNOTATIONS,
    FIRST_PAUSE_S,
    INSTRUCTIONS,
    LONGEST_PAUSE_S,
    STATE,
    FencedError,
    Log,
    LogAwayError,
    Message,
    Record,
)

GROUP = "strefer-instruct"
_POLL = 200
_SAVE_EVERY, _LONGEST_TRAIL = 1000, 10_000
"""Records of a partition after which the offset is committed though no clip is complete, if any can be; and after which
it is made possible."""
Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Made:
    """What came of one clip."""

    feed: str
    start_us: int
    end_us: int
    pairs: int


@dataclass(slots=True)
class _Feed:
    """needed: what was polled and may be needed again, as place (seq, n) in the feed and offset in the log."""

    clipper: Clipper
    place: Place
    needed: deque[tuple[tuple[int, int], int]] = field(default_factory=deque)

    def first_needed(self) -> int | None:
        """Offset of the first record that has to be read again, None where none has."""
        oldest = self.clipper.oldest()
        while self.needed and (oldest is None or self.needed[0][0] < oldest):
            self.needed.popleft()
        return self.needed[0][1] if self.needed else None


class Instructor:
    """One member of the group. Use `run`, or `step` by hand; close it to hand over at once."""

    def __init__(
        self, log: Log, options: Options, *, least_clip_us: int = 30_000_000, group: str = GROUP,
        session_s: float = 30.0,
    ) -> None:  # fmt: skip
        self._log, self._options, self._least_us = log, options, least_clip_us
        self._consumer = log.consumer(group, [ANNOTATIONS], session_timeout_s=session_s)
        self._feeds: dict[str, _Feed] = {}
        self._trails: dict[Place, deque[Record]] = {}
        """By partition: records that were polled and not committed, without their values."""
        self._must_rewind = False
        self._pause_s, self._paused_until = 0.0, 0.0
        self.idle = False
        """Whether the last step found nothing though partitions are held."""
        self._say = structlog.get_logger("strefer.instruct")

    def run(self, *, until: Callable[[list[Made]], bool], poll_s: float = 0.5) -> None:
        """Work until `until` says so; it is asked after every step."""
        while not until(self.step(timeout_s=poll_s)):
            pass

    def step(self, *, timeout_s: float) -> list[Made]:
        """Take in some events. The clips that were complete by them and are committed."""
        left_s = self._paused_until - time.monotonic()
        if left_s > 0:
            time.sleep(min(left_s, timeout_s))
            return []
        try:
            made = self._step(timeout_s)
        except FencedError as e:
            self._say.warning("fenced", cause=str(e))
            self._forget()
            return []
        except LogAwayError as e:
            self._pause_s = min(max(FIRST_PAUSE_S, 2 * self._pause_s), LONGEST_PAUSE_S)
            self._paused_until = time.monotonic() + self._pause_s
            self._say.warning("log away", cause=str(e), again_in_s=self._pause_s)
            self._forget()
            return []
        self._pause_s = 0.0
        return made

    def close(self) -> None:
        with suppress(LogAwayError):  # the lease runs out by itself
            self._consumer.close()

    def _step(self, timeout_s: float) -> list[Made]:
        if self._must_rewind:
            self._consumer.rewind()
            self._must_rewind = False
        records = self._consumer.poll(max_records=_POLL, timeout_s=timeout_s)
        held = self._consumer.assignment()
        self._feeds = {name: feed for name, feed in self._feeds.items() if feed.place in held}
        self._trails = {place: trail for place, trail in self._trails.items() if place in held}
        self.idle = not records and bool(held)
        made: list[Made] = []
        for record in records:
            for window in self._take(record):
                pairs = [p for unit in pairs_of(window, self._options, Tally()) for p in unit]
                self._commit(pairs, (record.topic, record.partition))
                made.append(Made(record.key, window.start_us, window.end_us, len(pairs)))
        for place in {self._feeds[m.feed].place for m in made if m.feed in self._feeds}:
            self._commit([], place)  # a feed that has ended needs nothing more only after its last clip
        for place, trail in self._trails.items():
            if len(trail) > _LONGEST_TRAIL:
                self._park(place)
            if len(trail) > _SAVE_EVERY and self._free(place) is not None:
                self._commit([], place)
        return made

    def _take(self, record: Record) -> list[Window]:
        """One record into its feed's clipper."""
        place = (record.topic, record.partition)
        self._trails.setdefault(place, deque()).append(replace(record, value=b"", headers={}))
        feed = self._feeds.get(record.key) or self._recall(record)
        event = self._event(record)
        if event is None:
            return []
        feed.needed.append(((event.seq, event.n), record.offset))
        return list(feed.clipper.push(event))

    def _event(self, record: Record) -> Event | None:
        """The event of a record, None where it is none of ours: of a later version, or damaged."""
        try:
            event = decode_message(dict(record.headers), record.value)
            if wrong := flaw(event):
                raise ValueError(wrong)
            return event
        except (ValueError, KeyError, msgspec.MsgspecError) as e:
            cause = " ".join(str(e).split())[:160]
            self._say.warning("event left out", feed=record.key, offset=record.offset, cause=cause)
            return None

    def _recall(self, record: Record) -> _Feed:
        saved = self._log.latest(STATE, state_key(record.key))
        clipper = Clipper(record.key, self._least_us, mends=True)
        if saved is not None:
            try:
                clipper = Clipper.restore(record.key, self._least_us, saved.value)
            except (ValueError, msgspec.MsgspecError) as e:
                self._say.warning("state left out", feed=record.key, cause=str(e))
        self._feeds[record.key] = _Feed(clipper, (record.topic, record.partition))
        return self._feeds[record.key]

    def _commit(self, pairs: list[Pair], place: Place) -> None:
        """Pairs, the state of all feeds of a partition, and the offset up to which they need nothing."""
        free, trail = self._free(place), self._trails[place]
        with self._log.transaction() as tx:
            for pair in pairs:
                tx.send(message(pair))
            for name, feed in self._feeds.items():
                if feed.place == place:
                    tx.send(Message(STATE, state_key(name), feed.clipper.snapshot()))
            if free is not None:
                tx.commit_offset(self._consumer, free)
        while free is not None and trail and trail[0].offset <= free.offset:
            trail.popleft()
        self._feeds = {n: f for n, f in self._feeds.items() if f.place != place or not f.clipper.rests()}

    def _free(self, place: Place) -> Record | None:
        """The last record of a partition that needs not be read again, with all before it; None where there is none."""
        needed = [n for feed in self._feeds.values() if feed.place == place and (n := feed.first_needed()) is not None]
        least = min(needed, default=None)
        free: Record | None = None
        for record in self._trails[place]:
            if least is not None and record.offset >= least:
                break
            free = record
        return free

    def _park(self, place: Place) -> None:
        """Somebody's clip does not end (a camera that has gone): keep its events in its state, not in the log's way."""
        feeds = [feed for feed in self._feeds.values() if feed.place == place and feed.first_needed() is not None]
        if feeds:
            min(feeds, key=lambda feed: feed.first_needed() or 0).clipper.park()

    def _forget(self) -> None:
        self._feeds, self._trails, self._must_rewind = {}, {}, True


def state_key(feed: str) -> str:
    """Under which a feed's clipper is in `video.state`; no feed's name holds a slash."""
    return f"instruct/{feed}"


def message(pair: Pair) -> Message:
    """A pair as a message of `video.instructions`, a CloudEvent in binary mode."""
    headers = {
        "ce_specversion": "1.0", "ce_id": pair.id, "ce_type": "instruction", "ce_source": f"/feeds/{pair.feed}",
        "content-type": "application/json", "strefer_schema": "1",
    }  # fmt: skip
    return Message(INSTRUCTIONS, pair.feed, msgspec.json.encode(pair), headers)
