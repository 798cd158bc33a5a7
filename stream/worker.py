"""The worker: log in -> pipeline -> log out, one transaction a message.

The commit order, which is what makes a kill at any point harmless:
1. poll one message; 2. recall the feed's state (kept, or read from `video.state`); 3. process; 4. in one transaction
send the events, the new state and the consumed offset. A worker that dies before 4 has done nothing; one that dies
after it has done everything. What it did between is made again, with the same ids. Where the log is away the worker
lets go of all it has in hand and in mind, and begins at 1 once the log is back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import msgspec
import structlog

from engines.errors import UserError
from stream.chunk import Chunk, ChunkHeader, EndHeader, GapHeader, Header, decode_header
from stream.deadletter import letter
from stream.decode import CorruptChunkError
from stream.events import Body, Error, Event, FeedEnded, FeedGap, encode_body
from stream.frames import Decoder
from stream.hand import InHand, take
from stream.log import (
    ANNOTATIONS,
    CHUNKS,
    FIRST_PAUSE_S,
    LONGEST_PAUSE_S,
    LOST_CLAIM,
    QUERIES,
    STATE,
    Consumer,
    FencedError,
    Log,
    LogAwayError,
    Message,
    Record,
)
from stream.pipeline import Pipeline
from stream.pressure import Skipped, meet
from stream.queries import update
from stream.scan import Scanning
from stream.state import FeedState, RecentChunk, restore, snapshot
from stream.stray import stray_of

GROUP = "strefer"
MAX_MESSAGE_BYTES = 64 << 20
_REJECTED_N = 1_000_000
"""Events of messages without a readable seq are numbered from here, so that no other event has their id."""


@dataclass(frozen=True, slots=True)
class Done:
    """What one step did: the message's feed and its last frame's time, for progress."""

    feed: str
    at_us: int
    ended: bool
    events: int


@dataclass(frozen=True, slots=True)
class _Known:
    """A feed's state after its last commit, its bytes (b'' for a new feed), and the partition it came by."""

    state: FeedState
    saved: bytes
    place: tuple[str, int]


class _OversizedError(ValueError):
    """A message over the worker's limit; it is not looked into."""


class Worker:
    """One member of the consumer group. Use `run`, or `step` by hand; close it to hand over at once.

    While one chunk is followed the next one is being decoded already: two records at most are in hand.
    max_message_bytes: a message whose value is larger is refused without decoding.
    """

    def __init__(
        self, log: Log, pipeline: Pipeline, decoder: Decoder, *, group: str = GROUP, session_s: float = 30.0,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
    ) -> None:  # fmt: skip
        self._log, self._pipeline, self._decoder = log, pipeline, decoder
        self._max_bytes = max_message_bytes
        self._consumer: Consumer = log.consumer(group, [CHUNKS], session_timeout_s=session_s)
        self._known: dict[str, _Known] = {}
        self._assignment: set[tuple[str, int]] = set()
        self._hand: list[InHand] = []
        self._must_rewind = False
        self._pause_s, self._paused_until = 0.0, 0.0
        self._say = structlog.get_logger("strefer.worker")

    def run(self, *, until: Callable[[Done | None], bool], poll_s: float = 0.5) -> None:
        """Work until `until` says so; it is asked after every message, and with None after every empty poll."""
        while True:
            done = self.step(timeout_s=poll_s)
            if until(done):
                return

    def step(self, *, timeout_s: float) -> Done | None:
        """Process at most one message. None where there was none, it was somebody else's by now, or the log is away."""
        left_s = self._paused_until - time.monotonic()
        if left_s > 0:
            time.sleep(min(left_s, timeout_s))
            return None
        try:
            done = self._step(timeout_s)
        except FencedError as e:
            self._say.warning("fenced", cause=str(e))
            self._forget()
            return None
        except LogAwayError as e:
            self._pause_s = min(max(FIRST_PAUSE_S, 2 * self._pause_s), LONGEST_PAUSE_S)
            self._paused_until = time.monotonic() + self._pause_s
            self._say.warning("log away", cause=str(e), again_in_s=self._pause_s)
            self._forget()
            return None
        if done is not None:
            self._pause_s = 0.0
        return done

    def close(self) -> None:
        self._drop(self._hand)
        with suppress(LogAwayError):  # the lease runs out by itself
            self._consumer.close()

    def _step(self, timeout_s: float) -> Done | None:
        if self._must_rewind:
            self._consumer.rewind()
            self._must_rewind = False
        records = self._consumer.poll(max_records=2 - len(self._hand), timeout_s=0.0 if self._hand else timeout_s)
        self._hand_over(self._consumer.assignment())
        self._hand += [take(record) for record in records]
        for one in self._hand:
            if self._is_next(one):
                one.decode(self._decoder)
        if not self._hand:
            return None
        now = self._hand.pop(0)
        try:
            return self._process(now)
        finally:
            now.close()

    def _hand_over(self, assignment: set[tuple[str, int]]) -> None:
        """What came by a partition that was lost may have moved on elsewhere: let go of it, and keep the rest."""
        lost, self._assignment = self._assignment - assignment, assignment
        if lost:
            self._known = {feed: known for feed, known in self._known.items() if known.place not in lost}
            self._drop([one for one in self._hand if one.place in lost])

    def _forget(self) -> None:
        """Begin anew from what the log says: nothing in hand, nothing in mind."""
        self._known, self._must_rewind = {}, True
        self._drop(self._hand)

    def _drop(self, some: list[InHand]) -> None:
        for one in some:
            one.close()
        self._hand = [one for one in self._hand if one not in some]

    def _is_next(self, one: InHand) -> bool:
        """Whether it is a chunk that will be followed for sure: worth decoding ahead."""
        if not isinstance(one.header, ChunkHeader) or len(one.record.value) > self._max_bytes:
            return False
        return one.header.policy == "block" or self._behind(one.record.key, but=one) == 0

    def _behind(self, key: str, *, but: InHand | None = None) -> int:
        """How many chunks of a feed wait, those in hand included; of what is not in hand a gap or an end counts too."""
        held = [one for one in self._hand if one is not but and one.record.key == key]
        return self._consumer.waiting(key) + sum(isinstance(one.header, ChunkHeader) for one in held)

    def _process(self, now: InHand) -> Done:
        record, header = now.record, now.header
        state, before = self._recall(record)
        if isinstance(header, ValueError):
            events = self._reject(state, str(header))
            return self._commit(record, state, events, _REJECTED_N + state.rejected, self._letter(record, str(header)))
        if header.seq <= state.seq and record.offset <= state.offset:
            with self._log.transaction() as tx:  # done before, and delivered again
                tx.commit_offset(self._consumer, record)
            return Done(header.feed, max(0, state.last_us), False, 0)
        stray = stray_of(self._log, state, header)
        if stray:
            self._say.warning("message rejected", feed=header.feed, cause=stray)
            with self._log.transaction() as tx:  # no message of the feed: nothing of it changes
                tx.send(self._letter(record, stray))
                tx.commit_offset(self._consumer, record)
            return Done(header.feed, max(0, state.last_us), False, 0)
        if isinstance(header, ChunkHeader) and self._skips(state, header):
            state.seq = header.seq
            return self._commit(record, state, [], 0, None, header)
        dead: Message | None = None
        events = self._bridge(state, header)
        try:
            events += self._update(state, header)
            events += self._follow(state, header, now)
        except (CorruptChunkError, ValueError) as e:
            state = restore(before) if before else FeedState(record.key)
            events = self._bridge(state, header) + self._lose(state, header, e)
            dead = self._letter(record, str(e))
        state.seq = header.seq
        return self._commit(record, state, events, 0, dead, header)

    def _update(self, state: FeedState, header: Header) -> list[Body]:
        at_us = header.at_us if isinstance(header, EndHeader) else header.start_us
        return update(state, self._log.table(QUERIES), lambda text: self._pipeline.read(state, text, at_us))

    def _letter(self, record: Record, reason: str) -> Message:
        return letter(record, reason, max_bytes=self._max_bytes)

    def _skips(self, state: FeedState, header: ChunkHeader) -> bool:
        """Whether the feed's policy lets this chunk go unseen; else how much work its scan may be."""
        behind = self._behind(header.feed) if header.policy != "block" else 0
        skip = meet(state.pressure, header.policy, behind)
        if skip:
            reason = f"skipped: chunks waited, and the feed's policy is {header.policy}"
            state.skipped = state.skipped or Skipped(state.seq + 1, header.start_us, reason)
        elif state.scan.level != state.pressure.level:
            state.scan = msgspec.structs.replace(state.scan, level=state.pressure.level)
        return skip

    def _follow(self, state: FeedState, header: Header, now: InHand) -> list[Body]:
        if isinstance(header, GapHeader):
            return self._pipeline.gap(
                state, FeedGap(start_us=header.start_us, end_us=header.end_us, reason=header.reason)
            )
        if isinstance(header, EndHeader):
            return self._pipeline.end(state, FeedEnded(at_us=header.at_us, reason=header.reason))
        size = len(now.record.value)
        if size > self._max_bytes:
            raise _OversizedError(f"the message has {size} bytes, this worker takes up to {self._max_bytes}")
        if LOST_CLAIM in now.record.headers:
            raise ValueError(now.record.headers[LOST_CLAIM])
        scanning = self._scan(state, now)
        after = self._hand[0] if self._hand else None
        if after is None or after.record.key != now.record.key or after.seq != header.seq + 1:
            after = None
        if after is not None and after.frames is not None:
            scanning.follow_on(after.frames)
        try:
            events = self._pipeline.chunk(state, header, scanning)
        finally:
            if after is not None:
                after.scanning = scanning.take_next()
        end_us = header.start_us + header.duration_us
        state.recent = [r for r in state.recent if r.end_us > end_us - state.past.window_us]
        state.recent.append(RecentChunk(header.seq, now.record.offset, end_us, state.scan.every))
        return events

    def _scan(self, state: FeedState, now: InHand) -> Scanning:
        """The chunk's scan: the one begun ahead, unless the feed's state has changed since."""
        if now.scanning is not None and now.scanning.begun_from is state.scan:
            return now.scanning
        if now.scanning is not None:  # it has read of the frames
            now.close()
        now.scanning = self._pipeline.scan(state, now.decode(self._decoder))
        return now.scanning

    def _bridge(self, state: FeedState, header: Header) -> list[Body]:
        """Messages that never came, or were skipped: say so, and start afresh behind them."""
        skipped, state.skipped = state.skipped, None
        if skipped is None:
            if state.seq < 0 or header.seq == state.seq + 1:
                return []
            skipped = Skipped(state.seq + 1, max(0, state.last_us), "missing messages")
        start = header.start_us if isinstance(header, ChunkHeader | GapHeader) else header.at_us
        body = FeedGap(
            start_us=skipped.start_us, end_us=start, reason=skipped.reason, missing_seqs=(skipped.seq, header.seq - 1)
        )
        return self._pipeline.gap(state, body)

    def _lose(self, state: FeedState, header: Header, error: ValueError) -> list[Body]:
        """A chunk that is no good: an error, and a gap where it should have been."""
        kind = "oversized" if isinstance(error, _OversizedError) else "corrupt"
        code = "oversized" if kind == "oversized" else "corrupt_chunk"
        events: list[Body] = [Error(stage="decode", code=code, message=str(error), seq=header.seq)]
        if isinstance(header, ChunkHeader):
            gap = FeedGap(
                start_us=header.start_us, end_us=header.start_us + header.duration_us, reason=f"{kind} chunk",
                missing_seqs=(header.seq, header.seq),
            )  # fmt: skip
            events += self._pipeline.gap(state, gap)
        self._say.warning(f"{kind} chunk", feed=header.feed, seq=header.seq, cause=str(error))
        return events

    def _reject(self, state: FeedState, message: str) -> list[Body]:
        state.rejected += 1
        self._say.warning("message rejected", feed=state.feed, cause=message)
        return [Error(stage="header", code="malformed", message=message, seq=None)]

    def _commit(
        self, record: Record, state: FeedState, events: list[Body], first_n: int, dead: Message | None,
        header: Header | None = None,
    ) -> Done:  # fmt: skip
        """Events, state and offset, all or nothing."""
        seq = header.seq if header is not None else max(0, state.seq)
        state.offset = record.offset
        after = snapshot(state)
        with self._log.transaction() as tx:
            for n, body in enumerate(events, first_n):
                event = Event(record.key, seq, n, body)
                tx.send(Message(ANNOTATIONS, record.key, encode_body(body), event.headers()))
            if dead is not None:
                tx.send(dead)
            tx.send(Message(STATE, record.key, after))
            tx.commit_offset(self._consumer, record)
        self._known[record.key] = _Known(state, after, (record.topic, record.partition))
        at_us = header.at_us if isinstance(header, EndHeader) else max(0, state.last_us)
        return Done(record.key, at_us, isinstance(header, EndHeader), len(events))

    def _recall(self, record: Record) -> tuple[FeedState, bytes]:
        """The feed's state and its bytes, b'' for a new feed."""
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
