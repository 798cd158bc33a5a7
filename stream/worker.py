"""The worker: log in -> pipeline -> log out, one transaction a message.

The commit order, which is what makes a kill at any point harmless:
1. poll one message; 2. recall the feed's state (kept, or read from `video.state`); 3. process; 4. in one transaction
send the events, the new state and the consumed offset. A worker that dies before 4 has done nothing; one that dies
after it has done everything. What it did between is made again, with the same ids. Where the log is away the worker
lets go of all it has in hand and in mind, and begins at 1 once the log is back.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Literal

import msgspec
import structlog

from stream.chunk import ChunkHeader, EndHeader, GapHeader, Header
from stream.deadletter import letter
from stream.decode import CorruptChunkError
from stream.events import Body, ChunkDone, Error, Event, FeedEnded, FeedGap, encode_body
from stream.frames import Decoder, Frames
from stream.hand import Hand, InHand
from stream.lanes import Lanes, Task, first_ready
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
from stream.memory import Memory
from stream.pipeline import Pipeline
from stream.prefetch import Prefetch
from stream.pressure import Skipped, meet
from stream.queries import update
from stream.scan import Scanning
from stream.state import FeedState, RecentChunk, restore, snapshot
from stream.stray import stray_of
from stream.tracing import Attributes, Spans, Untraced

GROUP = "strefer"
LOOK_S = 0.05
"""While no lane has finished: how often new messages are looked for."""
MAX_MESSAGE_BYTES = 64 << 20
_REJECTED_N = 1_000_000
"""Events of messages without a readable seq are numbered from here, so that no other event has their id."""


@dataclass(frozen=True, slots=True)
class Done:
    """What one step did: the message's feed and its last frame's time, for progress; the rest is for figures.

    seq: of the message, -1 where it has none that counts. outcome: of a chunk, followed, skipped or refused. chunk:
    what was told of one that was followed. live, dormant: the feed's entities afterwards.
    """

    feed: str
    at_us: int
    ended: bool
    events: int
    seq: int = -1
    outcome: Literal["", "followed", "skipped", "refused"] = ""
    chunk: ChunkDone | None = None
    live: int = 0
    dormant: int = 0


class _OversizedError(ValueError):
    """A message over the worker's limit; it is not looked into."""


class Worker:
    """One member of the consumer group. Use `run`, or `step` by hand; close it to hand over at once.

    While one chunk is followed the next one is being decoded already: two records at most are in hand for each lane.
    max_message_bytes: a message whose value is larger is refused without decoding.
    lanes: feeds that are followed side by side. A feed's events are the same with any number.
    spans: get one for each message, that belongs to the producer's.
    """

    def __init__(
        self, log: Log, pipeline: Pipeline, decoder: Decoder, *, group: str = GROUP, session_s: float = 30.0,
        max_message_bytes: int = MAX_MESSAGE_BYTES, lanes: int = 1, spans: Spans | None = None,
    ) -> None:  # fmt: skip
        self._log, self._pipeline, self._decoder = log, pipeline, decoder
        self._lanes = Lanes(lanes)
        self._spans = spans or Untraced()
        self._max_bytes = max_message_bytes
        self._consumer: Consumer = log.consumer(group, [CHUNKS], session_timeout_s=session_s)
        self._memory = Memory(log, pipeline, decoder)
        self._assignment: set[tuple[str, int]] = set()
        self._hand: Hand[Done] = Hand()
        self._must_rewind = False
        self._pause_s, self._paused_until = 0.0, 0.0
        self._say = structlog.get_logger("strefer.worker")

    @property
    def in_hand(self) -> int:
        """Messages that were taken and not finished."""
        return len(self._hand)

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
        self._hand.drop()
        self._lanes.close()
        with suppress(LogAwayError):  # the lease runs out by itself
            self._consumer.close()

    def _step(self, timeout_s: float) -> Done | None:
        if self._must_rewind:
            self._consumer.rewind()
            self._must_rewind = False
        while True:
            self._fill(timeout_s)
            if not self._hand:
                return None
            self._take_up_next()
            now = first_ready(self._hand.tasks(), timeout_s=LOOK_S)
            if now is None or now.task is None:
                continue
            self._hand.give(now)
            try:
                return now.task.finish()
            finally:
                now.close()

    def _fill(self, timeout_s: float) -> None:
        """Take in hand what there is room for, and begin to decode it."""
        room = 2 * self._lanes.count - len(self._hand)
        if room:
            records = self._consumer.poll(max_records=room, timeout_s=0.0 if self._hand else timeout_s)
            self._hand_over(self._consumer.assignment())
            self._hand.take(records)
        for one in self._hand.near():
            if one.task is None and one.frames is None and self._is_next(one):
                one.decode(self._decoder)

    def _take_up_next(self) -> None:
        """Take up the first message in hand of each feed, as far as there are lanes."""
        free = self._lanes.count - sum(one.task is not None for one in self._hand)
        for one in self._hand.untouched()[:free]:
            one.task = self._take_up(one)

    def _hand_over(self, assignment: set[tuple[str, int]]) -> None:
        """What came by a partition that was lost may have moved on elsewhere: let go of it, and keep the rest."""
        lost, self._assignment = self._assignment - assignment, assignment
        if lost:
            self._hand.drop(lost)
            self._memory.forget(lost)

    def _forget(self) -> None:
        """Begin anew from what the log says: nothing in hand, nothing in mind."""
        self._must_rewind = True
        self._hand.drop()
        self._memory.forget()

    def _is_next(self, one: InHand[Done]) -> bool:
        """Whether it is a chunk that will be followed for sure: worth decoding ahead."""
        if not isinstance(one.header, ChunkHeader) or len(one.record.value) > self._max_bytes:
            return False
        return one.header.policy == "block" or self._behind(one.record.key, but=one) == 0

    def _behind(self, key: str, *, but: InHand[Done]) -> int:
        """How many chunks of a feed wait, those in hand included; of what is not in hand a gap or an end counts too."""
        return self._consumer.waiting(key) + self._hand.chunks(key, but=but)

    def _take_up(self, now: InHand[Done]) -> Task[Done]:
        """Begin with a message; nothing of its feed is under way. What follows a chunk may go on in a lane."""
        now.begun_ns = time.time_ns()
        record, header = now.record, now.header
        state, before = self._memory.recall(record)
        if isinstance(header, ValueError):
            return Task(partial(self._reject, now, state, header))
        if header.seq <= state.seq and record.offset <= state.offset:  # done before, and delivered again
            return Task(partial(self._pass_over, record, state))
        stray = stray_of(self._log, state, header)
        if stray:
            self._say.warning("message rejected", feed=header.feed, cause=stray)
            return Task(partial(self._pass_over, record, state, self._letter(record, stray)))
        if isinstance(header, ChunkHeader) and self._skips(state, header, now):
            state.seq = header.seq
            return Task(partial(self._commit, now, state, [], 0, None, header))
        if state.seq < 0:
            self._say.info("feed begun", feed=record.key, seq=header.seq)
        events = self._bridge(state, header)
        work = self._lanes.submit(self._lane(state, header, now))
        return Task(partial(self._finish, now, state, before, events, work), work)

    def _finish(
        self, now: InHand[Done], state: FeedState, before: bytes, events: list[Body], work: Future[list[Body]]
    ) -> Done:
        """End what `_take_up` began: with the events of `work`, or with what is to be said where it failed."""
        record, header = now.record, now.header
        assert not isinstance(header, ValueError)
        dead: Message | None = None
        try:
            events = events + work.result()
            if isinstance(header, ChunkHeader):
                end_us = header.start_us + header.duration_us
                state.recent = [r for r in state.recent if r.end_us > end_us - state.past.window_us]
                state.recent.append(RecentChunk(header.seq, record.offset, end_us, state.scan.every))
        except (CorruptChunkError, ValueError) as e:
            state = restore(before) if before else FeedState(record.key)
            events = self._bridge(state, header) + self._lose(state, header, e)
            dead = self._letter(record, str(e))
        if now.scanning is not None and (after := self._hand.after(now)) is not None:
            after.scanning = now.scanning.take_next()
        state.seq = header.seq
        return self._commit(now, state, events, 0, dead, header)

    def _pass_over(self, record: Record, state: FeedState, dead: Message | None = None) -> Done:
        """No new message of the feed: nothing of it changes."""
        with self._log.transaction() as tx:
            if dead is not None:
                tx.send(dead)
            tx.commit_offset(self._consumer, record)
        return Done(record.key, max(0, state.last_us), False, 0)

    def _letter(self, record: Record, reason: str) -> Message:
        return letter(record, reason, max_bytes=self._max_bytes)

    def _skips(self, state: FeedState, header: ChunkHeader, now: InHand[Done]) -> bool:
        """Whether the feed's policy lets this chunk go unseen; else how much work its scan may be."""
        behind = self._behind(header.feed, but=now) if header.policy != "block" else 0
        skip = meet(state.pressure, header.policy, behind)
        if skip:
            reason = f"skipped: chunks waited, and the feed's policy is {header.policy}"
            state.skipped = state.skipped or Skipped(state.seq + 1, header.start_us, reason)
        elif state.scan.level != state.pressure.level:
            state.scan = msgspec.structs.replace(state.scan, level=state.pressure.level)
        return skip

    def _lane(self, state: FeedState, header: Header, now: InHand[Done]) -> Callable[[], list[Body]]:
        """What a lane does with a message: bring the feed's queries up to date (a model may be asked how they read) and
        follow. What is asked of the log, or of what is in hand, is asked here."""
        at_us = header.at_us if isinstance(header, EndHeader) else header.start_us
        table, after = dict(self._log.table(QUERIES)), self._hand.after(now)
        then = after.frames if after is not None else None

        def work() -> list[Body]:
            events = update(state, table, lambda text: self._pipeline.read(state, text, at_us))
            return events + self._follow(state, header, now, then)

        return work

    def _follow(self, state: FeedState, header: Header, now: InHand[Done], then: Prefetch[Frames] | None) -> list[Body]:
        """then: frames of the feed's next chunk, where it is in hand."""
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
        if then is not None:
            scanning.follow_on(then)
        return self._pipeline.chunk(state, header, scanning)

    def _scan(self, state: FeedState, now: InHand[Done]) -> Scanning:
        """The chunk's scan: the one begun ahead, unless the feed's state has changed since."""
        if now.scanning is not None and now.scanning.begun_from is state.scan:
            return now.scanning
        if now.scanning is not None:  # it has read of the frames
            now.start_over()
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

    def _reject(self, now: InHand[Done], state: FeedState, error: ValueError) -> Done:
        """A message whose header does not read."""
        state.rejected += 1
        self._say.warning("message rejected", feed=state.feed, cause=str(error))
        events: list[Body] = [Error(stage="header", code="malformed", message=str(error), seq=None)]
        letter = self._letter(now.record, str(error))
        return self._commit(now, state, events, _REJECTED_N + state.rejected, letter)

    def _commit(
        self, now: InHand[Done], state: FeedState, events: list[Body], first_n: int, dead: Message | None,
        header: Header | None = None,
    ) -> Done:  # fmt: skip
        """Events, state and offset, all or nothing."""
        record = now.record
        seq = header.seq if header is not None else max(0, state.seq)
        state.offset = record.offset
        after = snapshot(state)
        done = _told(record, state, header, events, refused=dead is not None)
        attributes: Attributes = {"feed": record.key, "seq": seq, "events": len(events), **_stages(done.chunk)}
        span = self._spans.span("follow", attributes, parent=record.headers, begun_ns=now.begun_ns)
        with span as traced, self._log.transaction() as tx:
            for n, body in enumerate(events, first_n):
                event = Event(record.key, seq, n, body)
                tx.send(Message(ANNOTATIONS, record.key, encode_body(body), event.headers() | traced))
            if dead is not None:
                tx.send(dead)
            tx.send(Message(STATE, record.key, after))
            tx.commit_offset(self._consumer, record)
        self._memory.keep(record, state, after)
        return done


def _stages(chunk: ChunkDone | None) -> dict[str, int]:
    return {} if chunk is None else {f"stage_us.{stage}": us for stage, us in chunk.stage_us.items()}


def _told(record: Record, state: FeedState, header: Header | None, events: list[Body], *, refused: bool) -> Done:
    chunk = next((body for body in events if isinstance(body, ChunkDone)), None)
    outcome: Literal["", "followed", "skipped", "refused"] = "refused" if refused else ""
    if isinstance(header, ChunkHeader) and not refused:
        outcome = "skipped" if chunk is None else "followed"
    return Done(
        record.key,
        header.at_us if isinstance(header, EndHeader) else max(0, state.last_us),
        isinstance(header, EndHeader),
        len(events),
        seq=-1 if header is None else header.seq,
        outcome=outcome,
        chunk=chunk,
        live=sum(e.live for e in state.follow.entities),
        dormant=len(state.follow.gallery.dormant),
    )
