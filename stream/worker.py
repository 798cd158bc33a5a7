"""The worker: log in -> pipeline -> log out, one transaction a message.

The commit order, which is what makes a kill at any point harmless:
1. poll one message; 2. recall the feed's state (kept, or read from `video.state`); 3. process; 4. in one transaction
send the events, the new state and the consumed offset. A worker that dies before 4 has done nothing; one that dies
after it has done everything. What it did between is made again, with the same ids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec
import structlog

from engines.errors import UserError
from stream import refer
from stream.chunk import Chunk, ChunkHeader, EndHeader, GapHeader, Header, decode_header
from stream.decode import CorruptChunkError
from stream.events import Body, Error, Event, FeedEnded, FeedGap, encode_body
from stream.frames import Decoder, Frames
from stream.log import ANNOTATIONS, CHUNKS, DEADLETTER, QUERIES, STATE, Consumer, FencedError, Log, Message, Record
from stream.pipeline import Pipeline
from stream.prefetch import Prefetch
from stream.scan import Scanning
from stream.state import FeedState, RecentChunk, restore, snapshot

GROUP = "strefer"
_REJECTED_N = 1_000_000
"""Events of messages without a readable seq are numbered from here, so that no other event has their id."""


class QueryRequest(msgspec.Struct, frozen=True):
    """The value of a message in `video.queries` (key `feed/query`, feed `*` for all); an empty value removes it."""

    text: str


@dataclass(frozen=True, slots=True)
class Done:
    """What one step did: the message's feed and its last frame's time, for progress."""

    feed: str
    at_us: int
    ended: bool
    events: int


@dataclass(slots=True)
class _Waiting:
    """A record that was delivered and not worked on yet, and what was begun of it: its frames, where it is a chunk,
    and their scan, where it follows the chunk in work."""

    record: Record
    header: Header | ValueError
    frames: Prefetch[Frames] | None = None
    scanning: Scanning | None = None

    def close(self) -> None:
        if self.scanning is not None:
            self.scanning.close()
        if self.frames is not None:
            self.frames.close()
        self.scanning = self.frames = None


class Worker:
    """One member of the consumer group. Use `run`, or `step` by hand; close it to hand over at once.

    While one chunk is followed the next one is being decoded already: two records at most are in hand.
    """

    def __init__(
        self, log: Log, pipeline: Pipeline, decoder: Decoder, *, group: str = GROUP, session_s: float = 30.0
    ) -> None:
        self._log, self._pipeline, self._decoder = log, pipeline, decoder
        self._consumer: Consumer = log.consumer(group, [CHUNKS], session_timeout_s=session_s)
        self._states: dict[str, tuple[FeedState, bytes]] = {}
        self._assignment: set[tuple[str, int]] = set()
        self._waiting: list[_Waiting] = []
        self._say = structlog.get_logger("strefer.worker")

    def run(self, *, until: Callable[[Done | None], bool], poll_s: float = 0.5) -> None:
        """Work until `until` says so; it is asked after every message, and with None after every empty poll."""
        while True:
            done = self.step(timeout_s=poll_s)
            if until(done):
                return

    def step(self, *, timeout_s: float) -> Done | None:
        """Process at most one message. None where there was none, or it was somebody else's by now."""
        wanted = 2 - len(self._waiting)
        records = self._consumer.poll(max_records=wanted, timeout_s=0.0 if self._waiting else timeout_s)
        self._waiting += [self._begin(record) for record in records]
        assignment = self._consumer.assignment()
        if assignment != self._assignment:
            self._assignment, self._states = assignment, {}  # what was handed over may have moved on elsewhere
        if not self._waiting:
            return None
        now = self._waiting.pop(0)
        try:
            return self._process(now)
        except FencedError:
            self._say.warning("fenced", topic=now.record.topic, partition=now.record.partition)
            self._states = {}
            self._drop()
            self._consumer.rewind()
            return None
        finally:
            now.close()

    def close(self) -> None:
        self._drop()
        self._consumer.close()

    def _drop(self) -> None:
        """Let go of what was delivered and not worked on."""
        for waiting in self._waiting:
            waiting.close()
        self._waiting = []

    def _begin(self, record: Record) -> _Waiting:
        """Read the header, and begin to decode where it is a chunk's."""
        try:
            header = decode_header(dict(record.headers))
            if header.feed != record.key:
                raise ValueError(f"the header's feed is {header.feed!r}, the message's key {record.key!r}")
        except ValueError as e:
            return _Waiting(record, e)
        return _Waiting(record, header, self._frames(header, record))

    def _frames(self, header: Header, record: Record) -> Prefetch[Frames] | None:
        if not isinstance(header, ChunkHeader):
            return None

        def frames(chunk: Chunk) -> Iterator[Frames]:
            chunk.verify()
            yield from self._decoder.decode(chunk)

        return Prefetch(frames(Chunk(header, record.value)))

    def _process(self, now: _Waiting) -> Done:
        record, header = now.record, now.header
        state, before = self._recall(record.key)
        dead: Message | None = None
        if isinstance(header, ValueError):
            state, events = self._reject(state, "header", "malformed", str(header))
            dead = _letter(record, str(header))
            return self._commit(record, state, events, _REJECTED_N + state.rejected, dead, None)
        if header.seq <= state.seq:
            with self._log.transaction() as tx:  # delivered twice: already done
                tx.commit_offset(self._consumer, record)
            return Done(header.feed, max(0, state.last_us), False, 0)
        events = self._bridge(state, header)
        try:
            events += self._queries(state, header.feed)
            events += self._follow(state, header, now)
        except (CorruptChunkError, ValueError) as e:
            state = restore(before) if before else FeedState(record.key)
            events, dead = self._lose(state, header, str(e)), _letter(record, str(e))
        state.seq = header.seq
        return self._commit(record, state, events, 0, dead, header)

    def _follow(self, state: FeedState, header: Header, now: _Waiting) -> list[Body]:
        if isinstance(header, GapHeader):
            return self._pipeline.gap(
                state, FeedGap(start_us=header.start_us, end_us=header.end_us, reason=header.reason)
            )
        if isinstance(header, EndHeader):
            return self._pipeline.end(state, FeedEnded(at_us=header.at_us, reason=header.reason))
        scanning = self._scan(state, header, now)
        after = self._waiting[0] if self._waiting else None
        if after is None or after.record.key != now.record.key or _seq(after) != header.seq + 1:
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
        state.recent.append(RecentChunk(header.seq, now.record.offset, end_us))
        return events

    def _scan(self, state: FeedState, header: ChunkHeader, now: _Waiting) -> Scanning:
        """The chunk's scan: the one begun ahead, unless the feed's state has changed since."""
        if now.scanning is not None and now.scanning.begun_from is state.scan:
            return now.scanning
        if now.scanning is not None:  # it has read of the frames
            now.close()
        now.frames = now.frames or self._frames(header, now.record)
        assert now.frames is not None
        now.scanning = self._pipeline.scan(state, now.frames)
        return now.scanning

    def _bridge(self, state: FeedState, header: Header) -> list[Body]:
        """Messages that never came: say so, and start afresh behind them."""
        if state.seq < 0 or header.seq == state.seq + 1:
            return []
        start = header.start_us if isinstance(header, ChunkHeader | GapHeader) else header.at_us
        body = FeedGap(
            start_us=max(0, state.last_us), end_us=start, reason="missing messages",
            missing_seqs=(state.seq + 1, header.seq - 1),
        )  # fmt: skip
        return self._pipeline.gap(state, body)

    def _lose(self, state: FeedState, header: Header, message: str) -> list[Body]:
        """A chunk that is no good: an error, and a gap where it should have been."""
        events: list[Body] = [Error(stage="decode", code="corrupt_chunk", message=message, seq=header.seq)]
        if isinstance(header, ChunkHeader):
            gap = FeedGap(
                start_us=header.start_us, end_us=header.start_us + header.duration_us, reason="corrupt chunk",
                missing_seqs=(header.seq, header.seq),
            )  # fmt: skip
            events += self._pipeline.gap(state, gap)
        self._say.warning("corrupt chunk", feed=header.feed, seq=header.seq, cause=message)
        return events

    def _reject(self, state: FeedState, stage: str, code: str, message: str) -> tuple[FeedState, list[Body]]:
        state.rejected += 1
        self._say.warning("message rejected", feed=state.feed, cause=message)
        return state, [Error(stage=stage, code=code, message=message, seq=None)]

    def _queries(self, state: FeedState, feed: str) -> list[Body]:
        """Bring the state's queries up to what `video.queries` says."""
        wanted: dict[str, str] = {}
        for record in self._log.read(QUERIES):
            owner, _, query = record.key.rpartition("/")
            if owner not in (feed, "*"):
                continue
            wanted.pop(query, None)
            if record.value:
                wanted[query] = msgspec.json.decode(record.value, type=QueryRequest).text
        events: list[Body] = []
        for q in [q.id for q in state.refer.queries if q.id not in wanted]:
            events += refer.remove(state.refer, q)
        known = {q.id: q.text for q in state.refer.queries}
        for query, text in sorted(wanted.items()):
            if known.get(query) != text:
                refer.add(state.refer, query, text)
                state.scan = msgspec.structs.replace(state.scan, detected_us=-1)  # look at once
        return events

    def _commit(
        self,
        record: Record,
        state: FeedState,
        events: list[Body],
        first_n: int,
        dead: Message | None,
        header: Header | None,
    ) -> Done:
        """Events, state and offset, all or nothing."""
        seq = header.seq if header is not None else max(0, state.seq)
        after = snapshot(state)
        with self._log.transaction() as tx:
            for n, body in enumerate(events, first_n):
                event = Event(record.key, seq, n, body)
                tx.send(Message(ANNOTATIONS, record.key, encode_body(body), event.headers()))
            if dead is not None:
                tx.send(dead)
            tx.send(Message(STATE, record.key, after))
            tx.commit_offset(self._consumer, record)
        self._states[record.key] = (state, after)
        at_us = header.at_us if isinstance(header, EndHeader) else max(0, state.last_us)
        return Done(record.key, at_us, isinstance(header, EndHeader), len(events))

    def _recall(self, feed: str) -> tuple[FeedState, bytes]:
        """The feed's state and its bytes, b'' for a new feed."""
        if feed in self._states:
            return self._states[feed]
        saved = self._log.latest(STATE, feed)
        if saved is None:
            return FeedState(feed), b""
        try:
            state = restore(saved.value)
        except ValueError as e:
            raise UserError(f"{feed}: {e}; produce it under another feed id, or begin with a new log") from None
        for recent in state.recent:
            record = next(iter(self._log.read(CHUNKS, key=feed, after=recent.offset - 1)), None)
            if record is None or record.offset != recent.offset:
                continue  # past its retention: the look-back is shorter, nothing else
            header = decode_header(dict(record.headers))
            if isinstance(header, ChunkHeader):
                self._pipeline.warm(state, Chunk(header, record.value), self._decoder)
        self._say.info("feed resumed", feed=feed, seq=state.seq)
        self._states[feed] = (state, saved.value)
        return state, saved.value


def _seq(waiting: _Waiting) -> int:
    return -1 if isinstance(waiting.header, ValueError) else waiting.header.seq


def _letter(record: Record, reason: str) -> Message:
    """The dead letter of a message: itself, with where it was and why it is dead."""
    origin = {
        "strefer_dead_topic": record.topic,
        "strefer_dead_partition": str(record.partition),
        "strefer_dead_offset": str(record.offset),
        "strefer_dead_reason": reason,
    }
    return Message(DEADLETTER, record.key, record.value, {**record.headers, **origin})
