"""A spool: a queue on the producer's disk, in which chunks wait while the log is away, and from which they follow in
order.

The spool is an embedded log of its own. The producer commits to it, a thread forwards what it finds there to the log:

1. A commit of the producer is one transaction of the spool. Its last record carries the producer's state as of then,
   and the state before.
2. The forwarder sends those records and that state in one transaction of the log's `producer/<feed>` writer, so that
   the log's state tells what has come through, whatever dies when.
3. Only then are they finished in the spool, and deleted.
4. At the start the log's state is looked for among what waits. From there on it is sent; where it is not found, the log
   has gone on without this spool (another machine took the feed over), and what waits is out of date: it is dropped.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import structlog

from engines.errors import UserError
from producers.state import Journal, LogJournal, ProducerState, encode_state
from stream.log import CHUNKS, STATE, FencedError, Log, LogAwayError, Message, Record, Topic
from stream.log.sqlite import SqliteLog
from stream.log.sqlite.consumer import SqliteConsumer

LAST_S = 10.0
"""How long a producer that was told to stop goes on forwarding."""
SPARE_BYTES = 256 << 20
"""What the spool leaves free of its disk."""
ROOM_AGAIN = 0.9
"""A spool that was full takes chunks in again below this share of its limit."""

_GROUP = "forwarder"
_STATE, _BEFORE = "spool_state", "spool_before"
_TOPICS = (Topic(CHUNKS, partitions=1), Topic(STATE, partitions=1, compacted=True))
_SESSION_S = 1e6  # who begins anew takes the queue over at once: nobody needs to be thought dead
_POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class Spooling:
    """Under which folder the feeds' chunks wait for a log that is away, and how large one feed's may get."""

    folder: Path
    limit_bytes: int = 10 << 30


@contextmanager
def open_journal(log: Log, feed: str, stop: threading.Event, spooling: Spooling | None) -> Iterator[Journal]:
    """The feed's journal: the log's own, or with `spooling` a spool before it, which is emptied on leaving the block.
    That takes as long as it takes, but at most 10 s once `stop` is set or where the block was left by an exception."""
    if spooling is None:
        yield LogJournal(log, feed, stop)
        return
    spool = Spool(log, feed, stop, spooling)
    try:
        yield spool
    except BaseException:
        spool.close(patient=False)
        raise
    spool.close()
    spool.check()


class Spool:
    """`producers.state.Journal` that is never away."""

    def __init__(self, log: Log, feed: str, stop: threading.Event, spooling: Spooling) -> None:
        self._feed, self._stop, self._limit_bytes = feed, stop, spooling.limit_bytes
        self._folder = spooling.folder / feed
        self._full = False
        self._error: BaseException | None = None
        self._ending, self._quit = threading.Event(), threading.Event()
        self._queue = SqliteLog(self._folder, topics=_TOPICS)
        try:
            self._near = LogJournal(self._queue, feed, stop)
            self._far = LogJournal(log, feed, stop)
            self._far.stop = self._quit
            self._agree()
        except BaseException:
            self._queue.close()
            raise
        self._thread = threading.Thread(target=self._forward, name=f"spool-{feed}", daemon=True)
        self._thread.start()

    def _agree(self) -> None:
        """Make the spool's state the one to go on from: the log's, or that of the last of what waits behind it."""
        self._queue.forget_group(_GROUP)  # of a producer before this one, which is gone or shall be
        near, far = self._near.load(), self._far.load()
        waits, follows = self._what_waits(self._far.value)
        if waits and far is not None and not follows:
            self._near.commit(far)
            dropped = self._queue.truncate(CHUNKS, keep_bytes=-1, even_unread=True)
            structlog.get_logger().warning(
                f"feed {self._feed} has gone on without the {dropped} messages in its spool {self._folder}: dropped"
            )
        elif near is not None and (far is None or near.next_seq > far.next_seq):
            if not waits:  # the log has forgotten: no seq may come twice
                self._far.commit(near)
        elif far is not None:
            self._near.commit(far)

    def _what_waits(self, state: bytes) -> tuple[bool, bool]:
        """Whether anything is in the spool, and whether the log's state is the one before or behind any of it."""
        waits = False
        for record in self._queue.read(CHUNKS, key=self._feed):
            waits = True
            if state.decode() in (record.headers.get(_BEFORE), record.headers.get(_STATE)):
                return True, True
        return waits, False

    def load(self) -> ProducerState | None:
        return self._near.load()

    def room(self, size_bytes: int) -> bool:
        self.check()
        limit = self._limit_bytes * (ROOM_AGAIN if self._full else 1.0)
        held = self._queue.held_bytes(CHUNKS)
        full = 0 < held > limit - size_bytes  # an empty one takes in whatever comes
        full |= shutil.disk_usage(self._folder).free < SPARE_BYTES + size_bytes
        if full and not self._full:
            structlog.get_logger().warning(f"the spool {self._folder} is full: no chunks are taken in for now")
        self._full = full
        return not full

    def commit(self, state: ProducerState, *messages: Message) -> None:
        self.check()
        *first, last = messages
        own = {_BEFORE: self._near.value.decode(), _STATE: encode_state(state).decode()}
        self._near.commit(state, *first, replace(last, headers={**last.headers, **own}))

    def check(self) -> None:
        """Raise what ended the forwarder, where something did."""
        if self._error is not None:
            raise self._error

    def _forward(self) -> None:
        try:
            done = self._far.load()
            sent = done.next_seq if done is not None else 0
            entry: list[Record] = []
            with closing(self._queue.consumer(_GROUP, [CHUNKS], session_timeout_s=_SESSION_S)) as consumer:
                while not self._quit.is_set():
                    ending = self._ending.is_set()  # asked before: what is committed until then is seen below
                    records = consumer.poll(max_records=1, timeout_s=_POLL_S)
                    entry += records
                    if records and _STATE in records[-1].headers:
                        self._send(entry, sent, consumer)
                        entry.clear()
                    elif ending and not records:
                        return
        except LogAwayError:
            pass  # it has been told to quit
        except FencedError:
            self._error = UserError(f"another producer has taken over the spool {self._folder}: this one stops")
        except BaseException as e:  # the producer's to raise, whatever it is
            self._error = e

    def _send(self, entry: list[Record], sent: int, consumer: SqliteConsumer) -> None:
        """One commit of the producer to the log, unless the log has it, and out of the spool."""
        state = msgspec.json.decode(entry[-1].headers[_STATE], type=ProducerState)
        if state.next_seq > sent:
            self._far.commit(state, *(_as_it_came(record) for record in entry))
        with self._queue.transaction() as transaction:
            transaction.commit_offset(consumer, entry[-1])
        self._queue.truncate(CHUNKS, keep_bytes=-1)

    def close(self, *, patient: bool = True) -> None:
        """Forward what is left; of what is left after that, say how much."""
        self._ending.set()
        while patient and not self._stop.is_set() and self._thread.is_alive():
            self._thread.join(_POLL_S)
        self._thread.join(LAST_S)
        self._quit.set()
        self._thread.join(2 * _POLL_S)
        waiting = self._queue.lag(_GROUP, CHUNKS)
        if waiting:
            structlog.get_logger().warning(
                f"feed {self._feed}: {waiting} messages wait in the spool {self._folder}; the next start sends them"
            )
        if not self._thread.is_alive():  # else it waits for an answer of the log, and ends with the process
            self._queue.close()


def _as_it_came(record: Record) -> Message:
    headers = {name: text for name, text in record.headers.items() if name not in (_STATE, _BEFORE)}
    return Message(record.topic, record.key, record.value, headers)
