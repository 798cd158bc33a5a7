"""A member of a consumer group on Kafka."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import structlog
from kafka import ConsumerRebalanceListener, KafkaConsumer
from kafka.errors import KafkaError, KafkaTimeoutError
from kafka.structs import ConsumerGroupMetadata, OffsetAndMetadata, TopicPartition

from stream.log import FencedError, Record
from stream.log.kafka.clients import translated

BUFFER_RECORDS, BUFFER_BYTES = 32, 32 << 20
"""Fetched ahead of what `poll` has given; beyond either nothing is fetched (and heartbeats go on)."""
IDLE_S = 15.0
"""A member without a partition looks after this whether it was forgotten."""
CLOSE_S = 10.0
NOTE_BYTES = 4000
"""Of a committed offset's metadata; brokers allow 4096."""

Place = tuple[str, int]
Decode = Callable[[object], Record]


@dataclass(slots=True)
class _Held:
    """A partition this member owns, since it was given it as `member_id`."""

    member_id: str
    start: int = -1
    position: int = -1
    """Records [start, position) were given out; -1 before the first."""
    committed: int = -1
    states: dict[str, int] = field(default_factory=dict)
    """Where in `video.state` the state of each key lies, as the note of the committed offset tells."""
    buffer: deque[Record] = field(default_factory=deque)

    def outstanding(self) -> bool:
        return self.position > max(self.committed, self.start)


@dataclass(frozen=True, slots=True)
class _News:
    gained: frozenset[TopicPartition] = frozenset()
    lost: frozenset[TopicPartition] = frozenset()


class _Moves(ConsumerRebalanceListener):  # type: ignore[misc]
    """What the group's coordinator tells, on the client's own thread; taken up after the poll."""

    def __init__(self) -> None:
        self._news: deque[_News] = deque()

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self._news.append(_News(gained=frozenset(assigned)))

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        self._news.append(_News(lost=frozenset(revoked)))

    def on_partitions_lost(self, lost: Iterable[TopicPartition]) -> None:
        self._news.append(_News(lost=frozenset(lost)))

    def take(self) -> list[_News]:
        return [self._news.popleft() for _ in range(len(self._news))]


class KafkaMember:
    """See `stream.log.Consumer`. A thread of its own polls the client, so that a group's moves do not wait for whoever
    works, and heartbeats run however long that takes.

    - A rebalance is not joined while records given out are uncommitted, so that in order nothing is done twice; nothing
      is given out while one is under way. A caller that goes on polling and commits nothing is waited for one session.
    - kafka-python 3.0 throws away a join that ended between two polls and joins again: with short polls a member can
      stay without partitions for good. The thread polls again at once, so that there is no such moment.
    - A member that holds nothing for long asks to be counted again.
    - kafka-python 3.0 forgets a partition that was paused in the midst of a fetched batch where another was read from
      before it was resumed. So nothing is paused: while the buffers are full the client is not asked for records.
    - kafka-python 3.0 keeps the answer to a fetch of committed offsets that came after its caller's time-out, and gives
      it to the next who asks for the same partitions, however old it is. So we fetch and seek ourselves.
    """

    def __init__(
        self, client: KafkaConsumer, prefix: str, topics: Sequence[str], decode: Decode, session_timeout_s: float,
        starving: Callable[[], bool],
    ) -> None:  # fmt: skip
        self._client, self._prefix, self._topics, self._decode = client, prefix, list(topics), decode
        self._session_s, self._starving = session_timeout_s, starving
        self._moves = _Moves()
        self._changed = threading.Condition()  # guards all below; told when a batch or a move has come
        self._held: dict[Place, _Held] = {}
        self._visible: set[Place] = set()
        self._lost: set[Place] = set()
        self._failure: BaseException | None = None
        self._unplaced: set[Place] = set()  # held, but not yet at the group's committed offset
        self._joining = False
        self._held_back_since: float | None = None
        self._polled_at = 0.0
        self._idle_since = time.monotonic()
        self.closed = False
        # There is no public way to have a rebalance wait; tests/log hold this to what it should do.
        self._due = client._coordinator.need_rejoin
        client._coordinator.need_rejoin = self._may_join
        client.subscribe([prefix + t for t in topics], listener=self._moves)
        self._thread = threading.Thread(target=self._run, name="kafka-member", daemon=True)
        self._thread.start()

    def poll(self, *, max_records: int, timeout_s: float) -> list[Record]:
        if max_records < 1:
            raise ValueError(f"max_records is {max_records}, wanted 1 or more")
        if self.closed:
            raise ValueError("the consumer is closed")
        until = time.monotonic() + timeout_s
        with self._changed:
            while True:
                self._polled_at = time.monotonic()
                if self._failure is not None:
                    failure, self._failure = self._failure, None
                    raise failure
                if self._lost:
                    self._visible -= self._lost
                    self._lost.clear()
                    return []
                self._visible = set(self._held)
                if self._may_give() and (records := self._take(max_records)):
                    return records
                if not self._changed.wait(max(0.0, until - time.monotonic())) and time.monotonic() >= until:
                    return []

    def _may_give(self) -> bool:
        """Not while a rebalance is under way or waits for what was given out: it would wait for ever."""
        return not self._joining and self._held_back_since is None and not self._unplaced

    # The thread.

    def _run(self) -> None:
        while not self.closed:
            try:
                with translated("reading from Kafka"):
                    self._turn()
            except Exception as e:  # the caller's to hear, whatever it is
                self.rewind()  # of what was being taken in something may be missing
                with self._changed:
                    self._failure = e
                    self._changed.notify_all()
                time.sleep(0.5)

    def _turn(self) -> None:
        """Poll the client once, and take up what it tells."""
        self._seek_committed()
        full = self._full()
        if full or self._due():
            self._client._coordinator.poll(timeout_ms=2000)  # joins where it is due, and returns when that is done
        if full:
            batches = {}
            time.sleep(0.02)
        else:
            batches = self._client.poll(timeout_ms=20 if self._joining else 200, max_records=BUFFER_RECORDS)
        moves = self._moves.take()
        member_id = self._client.group_metadata().member_id
        owned = {self._place(p) for p in self._client.assignment()} if member_id else set()
        decoded = {self._place(p): [self._decode(r) for r in records] for p, records in batches.items()}
        with self._changed:
            for news in moves:
                for place in map(self._place, news.lost):
                    self._let_go(place)
                for place in map(self._place, news.gained):
                    self._let_go(place)
                    self._held[place] = _Held(member_id)
                    self._unplaced.add(place)
            # thrown out and joined anew meanwhile: what was given out before is void
            for place in [p for p, h in self._held.items() if h.member_id != member_id]:
                self._let_go(place)
            # who joins anew may keep what it had, and is told of no gain: without this it would stand still
            for place in owned - self._held.keys():
                self._held[place] = _Held(member_id)
                self._unplaced.add(place)
            for place, records in decoded.items():
                if place in self._held and place not in self._unplaced:
                    self._held[place].buffer.extend(records)
            self._joining = self._joining and self._due()
            if moves or batches or not self._joining:
                self._changed.notify_all()
        self._seek_committed()
        if not batches and not full:
            self._rest()

    def _may_join(self) -> bool:
        """In place of the coordinator's `need_rejoin`: a rebalance waits until what was given out is committed."""
        if not self._due():
            self._held_back_since = None
            return False
        with self._changed:
            if self._joining:
                return True
            if any(h.outstanding() for h in self._held.values()):
                self._held_back_since = self._held_back_since or time.monotonic()
                # who works may take long; who asks for more and finishes nothing has lost what it was given
                if self._polled_at - self._held_back_since < self._session_s:
                    return False
            self._joining, self._held_back_since = True, None
            return True

    def _let_go(self, place: Place) -> None:
        if self._held.pop(place, None) is not None:
            self._lost.add(place)
            self._unplaced.discard(place)

    def _take(self, max_records: int) -> list[Record]:
        """From the buffers, oldest first."""
        records: list[Record] = []
        while len(records) < max_records:
            heads = [(h.buffer[0].appended_wall_us, place) for place, h in self._held.items() if h.buffer]
            if not heads:
                break
            held = self._held[min(heads)[1]]
            record = held.buffer.popleft()
            held.start = record.offset if held.start < 0 else held.start
            held.position = record.offset + 1
            records.append(record)
        return records

    def _full(self) -> bool:
        with self._changed:
            waiting = [len(r.value) for h in self._held.values() for r in h.buffer]
        return len(waiting) >= BUFFER_RECORDS or sum(waiting) >= BUFFER_BYTES

    def _rest(self) -> None:
        """Nothing came. Commit the position past the marks of transactions, so that the group's lag is 0 where
        nothing is left; and see whether the group has forgotten us."""
        if self._held:
            self._idle_since = time.monotonic()
        elif time.monotonic() - self._idle_since > IDLE_S:
            self._idle_since = time.monotonic()
            if self._starving():
                structlog.get_logger("strefer.log").warning("no partition though others hold many: joining anew")
                self._client._coordinator.request_rejoin()
            return
        offsets = {}
        with self._changed:
            resting = [(p, h) for p, h in self._held.items() if not h.outstanding() and not h.buffer]
        for place, held in resting:
            try:
                position = self._client.position(self._partition(place), timeout_ms=1)
            except KafkaTimeoutError:  # not known yet
                continue
            with self._changed:
                # void records have been read and not been done: their offsets must not be committed
                if place in self._unplaced or held.outstanding() or held.buffer or position is None:
                    continue
                if position > max(held.committed, 0):
                    offsets[self._partition(place)] = OffsetAndMetadata(position, self.note(place, {}), -1)
        if not offsets:
            return
        with suppress(KafkaError):  # a rebalance, a broker that is away: asked again at the next rest
            self._client.commit(offsets, timeout_ms=5000)
            with self._changed:
                for place, held in resting:
                    if (partition := self._partition(place)) in offsets:
                        held.committed = max(held.committed, offsets[partition].offset)

    def _seek_committed(self) -> None:
        """Go to the group's committed offsets in partitions that were gained or rewound."""
        with self._changed:
            places = [p for p in self._held if p in self._unplaced]
        if not places:
            return
        self._client._coordinator._offset_fetch_futures.clear()
        found = {p: self._client.committed(self._partition(p), metadata=True, timeout_ms=30_000) for p in places}
        with self._changed:
            for place, at in found.items():
                held = self._held[place]
                held.buffer.clear()
                held.start = held.position = -1
                if at is None:
                    held.committed, held.states = -1, {}
                    self._client.seek_to_beginning(self._partition(place))
                else:
                    held.committed, held.states = at.offset, json.loads(at.metadata or "{}")
                    self._client.seek(self._partition(place), at.offset)
            self._unplaced -= found.keys()
            self._changed.notify_all()

    # What the caller and transactions ask.

    def assignment(self) -> set[Place]:
        return set(self._visible)

    def waiting(self, key: str) -> int:
        with self._changed:
            return sum(1 for h in self._held.values() for r in h.buffer if r.key == key)

    def rewind(self) -> None:
        with self._changed:
            for held in self._held.values():
                held.buffer.clear()
                held.start = held.position = -1  # what was given out is void from here on
            self._unplaced = set(self._held)

    def close(self) -> None:
        if self.closed:
            return
        # A leave that is sent while a join is under way waits behind it on the wire, and the group for our session's
        # end: see the join through first.
        self.rewind()
        until = time.monotonic() + CLOSE_S
        while self._due() and time.monotonic() < until:
            time.sleep(0.01)
        self.closed = True
        self._thread.join(timeout=30)
        self._held.clear()
        with suppress(KafkaError):
            self._client.close(autocommit=False, timeout_ms=5000)

    def check_owned(self, record: Record) -> None:
        """Raises FencedError where the record is not this member's to finish: lost, given out under an earlier
        ownership, or finished before. (What happened since is the broker's to know: see `identity`.)"""
        held = self._held.get((record.topic, record.partition))
        if (
            held is None
            or self.closed
            or (record.topic, record.partition) in self._unplaced
            or not max(held.start, held.committed) <= record.offset < held.position
        ):
            raise FencedError(f"{record.topic}/{record.partition} at {record.offset} is no longer this member's")

    def identity(self, places: Iterable[Place]) -> ConsumerGroupMetadata:
        """Who commits: the broker refuses a member it has thrown out, and one of an earlier generation."""
        me: ConsumerGroupMetadata = self._client.group_metadata()
        held = [self._held.get(place) for place in places]
        # Without an id the broker would take the commit for a simple client's and check nothing.
        if not me.member_id or me.generation_id < 0 or any(h is None or h.member_id != me.member_id for h in held):
            raise FencedError("this member was thrown out of its group")
        return me

    def note(self, place: Place, states: Mapping[str, int]) -> str:
        """The metadata of an offset: where the newest state of each of the partition's keys lies."""
        held = self._held.get(place)
        if held is None:
            raise FencedError(f"{place[0]}/{place[1]} is no longer this member's")
        known = {**held.states, **states}
        note = json.dumps(known, separators=(",", ":"))
        while len(note.encode()) > NOTE_BYTES:  # the oldest are looked for from the beginning
            known.pop(next(iter(known)))
            note = json.dumps(known, separators=(",", ":"))
        return note

    def committed(self, places: Mapping[Place, int], states: Mapping[str, int]) -> None:
        for place, offset in places.items():
            if (held := self._held.get(place)) is not None:
                held.committed = offset
                for key, at in states.items():
                    held.states.pop(key, None)
                    held.states[key] = at

    def state_at(self, key: str) -> int | None:
        """Where the newest state of a key lies, if this member knows."""
        return next((h.states[key] for h in self._held.values() if key in h.states), None)

    def _place(self, partition: TopicPartition) -> Place:
        return partition.topic.removeprefix(self._prefix), partition.partition

    def _partition(self, place: Place) -> TopicPartition:
        return TopicPartition(self._prefix + place[0], place[1])
