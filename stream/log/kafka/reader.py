"""Reading Kafka's topics without a group: ranges, single keys, tables. Committed records only."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from kafka import KafkaAdminClient, KafkaConsumer
from kafka.errors import KafkaError
from kafka.protocol.consumer import IsolationLevel, OffsetSpec
from kafka.structs import TopicPartition

from stream.log import LogAwayError, Record
from stream.log.kafka.clients import TRANSACTION_S, translated

PAGE_RECORDS = 256
STALL_S = 30.0
Decode = Callable[[object], Record]


class Ends:
    """Where partitions end and how far groups are, asked of the brokers. May be shared by threads."""

    def __init__(self, admin: KafkaAdminClient) -> None:
        self._admin, self._lock = admin, threading.Lock()

    def of(
        self, partitions: Sequence[TopicPartition], *, committed: bool, oldest: bool = False
    ) -> dict[TopicPartition, int]:
        """The offset after the last record (of ended transactions, with `committed`), or of the oldest one."""
        spec = OffsetSpec.EARLIEST if oldest else OffsetSpec.LATEST
        level = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
        with self._lock, translated("asking Kafka where topics end"):
            found = self._admin.list_partition_offsets(dict.fromkeys(partitions, spec), isolation_level=level)
        return {p: int(at.offset) for p, at in found.items()}

    def settled(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Where they end now, once every transaction that has begun to write there is over.

        A client that died in the middle of one makes this wait, at most as long as the broker lets it.
        Raises LogAwayError after that.
        """
        wanted = self.of(partitions, committed=False)
        until = time.monotonic() + TRANSACTION_S + 15
        pause_s = 0.002
        while True:
            ends = self.of(partitions, committed=True)
            if all(ends[p] >= wanted[p] for p in partitions):
                return wanted
            if time.monotonic() > until:
                raise LogAwayError("a transaction that has begun does not end")
            time.sleep(pause_s)
            pause_s = min(pause_s * 1.5, 0.1)

    def lag(self, group: str, partitions: Sequence[TopicPartition]) -> int:
        """Offsets that a group has not committed."""
        ends, oldest = self.of(partitions, committed=False), self.of(partitions, committed=True, oldest=True)
        with self._lock, translated("asking Kafka for a group's offsets"):
            done = self._admin.list_group_offsets({group: list(partitions)})[group]
        at = {p: done[p].offset if p in done else -1 for p in partitions}
        return sum(max(0, ends[p] - max(oldest[p], at[p])) for p in partitions)

    def members(self, group: str) -> int:
        """How many members a group has."""
        with self._lock, translated("asking Kafka for a group"):
            return len(self._admin.describe_groups([group])[group]["members"])

    def close(self) -> None:
        with self._lock:
            self._admin.close()


def scan(
    client: KafkaConsumer, decode: Decode, partition: TopicPartition, start: int, end: int, key: bytes | None
) -> Iterator[Record]:
    """Committed records of offsets [start, end), of one key if given. `start` below the oldest means the oldest."""
    if start >= end:
        return
    with translated("reading from Kafka"):
        client.assign([partition])
        if start > 0:
            client.seek(partition, start)
        else:
            client.seek_to_beginning(partition)
    moved = time.monotonic()
    position = -1
    while True:
        with translated("reading from Kafka"):
            batches = client.poll(timeout_ms=200, max_records=PAGE_RECORDS)
            now = client.position(partition, timeout_ms=5000)
        for raw in batches.get(partition, ()):
            if raw.offset >= end:
                return
            if key is None or raw.key == key:
                yield decode(raw)
        if now is not None and now >= end:
            return
        if now != position:
            position, moved = now, time.monotonic()
        elif time.monotonic() - moved > STALL_S:
            raise LogAwayError(f"reading {partition.topic}/{partition.partition} stands still at {position} of {end}")


class Table:
    """The newest value of every key of a compacted topic, kept up by a thread of its own."""

    def __init__(self, client: KafkaConsumer, decode: Decode, partitions: Sequence[TopicPartition], ends: Ends) -> None:
        self._client, self._decode = client, decode
        self._values: dict[str, bytes] = {}
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._ready = threading.Event()
        self._ends = ends.settled(partitions)
        client.assign(list(partitions))
        client.seek_to_beginning(*partitions)
        self._thread = threading.Thread(target=self._follow, name="table", daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        waiting = {p for p, end in self._ends.items() if end > 0}
        while not self._stop.is_set():
            if not waiting:
                self._ready.set()
            try:
                batches = self._client.poll(timeout_ms=200, max_records=PAGE_RECORDS)
            except KafkaError:
                self._stop.wait(0.5)
                continue
            changes = [self._decode(raw) for records in batches.values() for raw in records]
            with self._lock:
                for record in changes:
                    self._values.pop(record.key, None)
                    if record.value:
                        self._values[record.key] = record.value
            with suppress(KafkaError):  # not known yet
                waiting = {p for p in waiting if (self._client.position(p, timeout_ms=200) or 0) < self._ends[p]}

    def values(self) -> dict[str, bytes]:
        if not self._ready.wait(STALL_S):
            raise LogAwayError("a table cannot be read")
        with self._lock:
            return dict(self._values)

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self._client.close()
