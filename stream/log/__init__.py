"""The log: topics, partitions by key, offsets, consumer groups, and one transaction for events + state + offsets.

Two implementations stand behind the same `Log`: `stream.log.sqlite` (embedded) and `stream.log.kafka`;
`stream.log.place` opens the one a user named. What each side owes the other:

1. A message's partition is a function of its key, so one key keeps its order.
2. A transaction commits its messages and consumer offsets together or not at all; readers see committed messages only.
3. A consumer group's partitions are each held by one live member; a member that was thought dead and comes back
   is *fenced*: its transaction raises `FencedError` and nothing of it is seen.
4. Offsets only grow. `poll` returns messages after the position; only a transaction moves the group's offset.
5. Where the log is out of reach a call raises `LogAwayError`; whether an unfinished transaction took place is told by
   reading again. The embedded log is never away.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Literal, Protocol

from engines.errors import UserError

CHUNKS, QUERIES, ANNOTATIONS = "video.chunks", "video.queries", "video.annotations"
STATE, DEADLETTER, INSTRUCTIONS = "video.state", "video.deadletter", "video.instructions"


CLAIM, LOST_CLAIM = "ce_dataref", "strefer_lost_claim"
"""Headers of a claim check: where a message's value is kept, and why it could not be had from there."""


FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 10.0
"""Pause before a log that is away is asked again: it doubles from the first to the second."""


class FencedError(RuntimeError):
    """Another member holds this partition now; what was not committed is void."""


class LogAwayError(RuntimeError):
    """The log cannot be reached for now. A transaction that met this may have been committed or not."""


def check_name(name: str, of: Literal["feed", "query"]) -> str:
    """The name, which may stand in a key. Raises UserError where it may not."""
    if not re.fullmatch(r"[\w.-]+", name) or len(name.encode()) > 200:  # bytes: a folder's name has 255 at most
        raise UserError(f"{name[:80]!r} is no name for a {of}: use letters, digits, '-', '_', '.', 200 bytes at most")
    if not name.strip("."):
        raise UserError(f"{name!r} is no name for a {of}: dots alone are none in an address, nor of a folder")
    return name


@dataclass(frozen=True, slots=True)
class Topic:
    name: str
    partitions: int = 8
    compacted: bool = False
    """Only the newest message of each key is kept; an empty value deletes the key."""


TOPICS = (
    Topic(CHUNKS),
    Topic(QUERIES, compacted=True),
    Topic(ANNOTATIONS),
    Topic(STATE, compacted=True),
    Topic(DEADLETTER, partitions=1),
    Topic(INSTRUCTIONS),
)


@dataclass(frozen=True, slots=True)
class Message:
    topic: str
    key: str
    value: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Record:
    """A committed message and its place."""

    topic: str
    partition: int
    offset: int
    key: str
    value: bytes
    headers: Mapping[str, str]
    appended_wall_us: int


class Transaction(Protocol):
    def send(self, message: Message) -> None: ...

    def commit_offset(self, consumer: Consumer, record: Record) -> None:
        """With this transaction, the consumer's group has finished everything up to and including `record`."""
        ...


class Writer(Protocol):
    """The one that writes under a name. Its transactions raise `FencedError` once another has begun to."""

    def transaction(self) -> AbstractContextManager[Transaction]: ...

    def close(self) -> None: ...


class Consumer(Protocol):
    """One member of a group. Not thread-safe; close it to hand its partitions over at once."""

    def poll(self, *, max_records: int, timeout_s: float) -> list[Record]:
        """Next records of the assigned partitions in offset order, waiting up to `timeout_s` for the first."""
        ...

    def assignment(self) -> set[tuple[str, int]]:
        """(topic, partition) this member holds, as of the last `poll`. A `poll` in which a partition was lost gives
        nothing and an assignment without it, even where it came back at once."""
        ...

    def waiting(self, key: str) -> int:
        """How many records of a key are known to wait behind what `poll` has given; a lower bound."""
        ...

    def rewind(self) -> None:
        """Go back to the group's committed offsets (after a failed transaction)."""
        ...

    def close(self) -> None: ...


class Log(Protocol):
    def transaction(self) -> AbstractContextManager[Transaction]:
        """All or nothing: commits on leaving the block, aborts on an exception."""
        ...

    def writer(self, name: str) -> Writer:
        """Begin to write under a name that one may use at a time; whoever did so before is fenced."""
        ...

    def consumer(self, group: str, topics: Sequence[str], *, session_timeout_s: float = 30.0) -> Consumer: ...

    def read(self, topic: str, *, key: str | None = None, after: int = -1) -> Iterator[Record]:
        """All committed records (of one key), in the order they were appended within a partition; no group.
        `after` is an offset and needs `key`."""
        ...

    def latest(self, topic: str, key: str) -> Record | None:
        """Newest record of a key, None where there is none or it was deleted."""
        ...

    def end(self, topic: str, key: str) -> int:
        """The offset after the newest record of a key's partition, whosever that is; 0 where there is none. On Kafka a
        transaction that has ended may take an offset more."""
        ...

    def table(self, topic: str) -> Mapping[str, bytes]:
        """Newest value of every key of a compacted topic, but for deleted ones. May be asked at every message."""
        ...

    def lag(self, group: str, topic: str) -> int:
        """Records the group has not finished yet; 0 exactly where there is none. Kafka counts offsets, of which every
        transaction takes one more than its records."""
        ...

    def close(self) -> None: ...
