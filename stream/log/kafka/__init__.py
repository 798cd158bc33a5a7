"""The log on Apache Kafka: exactly once over any number of machines.

```python
with closing(KafkaLog(("broker:9092",))) as log:
    with log.transaction() as tx:
        tx.send(Message(CHUNKS, "door", data))
    consumer = log.consumer("workers", [CHUNKS])
    for record in consumer.poll(max_records=8, timeout_s=1.0):
        with log.transaction() as tx:
            tx.send(Message(ANNOTATIONS, record.key, events))
            tx.commit_offset(consumer, record)
```
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from threading import Lock
from typing import Any

from kafka.structs import TopicPartition

from engines.errors import UserError
from stream.log import CLAIM, LOST_CLAIM, STATE, LogAwayError, Record
from stream.log.kafka import topics as kafka_topics
from stream.log.kafka.claims import Claims
from stream.log.kafka.clients import Clients
from stream.log.kafka.consumer import KafkaMember
from stream.log.kafka.reader import Ends, Table, scan
from stream.log.kafka.transaction import COMPACTED, KafkaTransaction, KafkaWriter, Sender, partition_of

__all__ = ["KafkaLog"]


class KafkaLog:
    """`stream.log.Log` on a Kafka cluster. May be shared by threads; consumers may not.

    prefix: stands before the names of topics and groups. claims: where messages too large to travel inline are kept, ""
    for nowhere. options: settings of kafka-python's clients. Topics that are not there are made with our settings.
    Raises UserError where the cluster refuses us, or does not answer at all.
    """

    def __init__(
        self,
        servers: Sequence[str],
        *,
        prefix: str = "",
        claims: str = "",
        options: Mapping[str, object] | None = None,
    ) -> None:
        self._clients = Clients(tuple(servers), dict(options or {}))
        self.client_id = self._clients.client_id
        self._prefix, self._claims = prefix, Claims(claims) if claims else None
        if self._claims is not None:
            self._claims.check()
        try:
            admin = self._clients.admin()
        except LogAwayError as e:
            raise UserError(f"{e}: start a broker (make kafka), or name one with --kafka") from None
        try:
            absent = kafka_topics.missing(admin, prefix)
            if absent:
                kafka_topics.create(admin, prefix, absent)
            self._topics = kafka_topics.partition_counts(admin, prefix)
        except BaseException:
            admin.close()
            raise
        self._ends = Ends(admin)
        self._sender = self._new_sender()
        self._lock = Lock()
        self._members: list[KafkaMember] = []
        self._writers: list[KafkaWriter] = []
        self._tables: dict[str, Table] = {}

    def transaction(self) -> AbstractContextManager[KafkaTransaction]:
        return self._sender.transaction()

    def writer(self, name: str) -> KafkaWriter:
        def owner(key: str) -> str:
            record = self.latest(STATE, key)
            return record.value.decode() if record else ""

        self._writers.append(KafkaWriter(self._new_sender(name), name, owner))
        return self._writers[-1]

    def _new_sender(self, name: str = "") -> Sender:
        return Sender(self._clients, self._prefix, self._topics, self._claims, name)

    def consumer(self, group: str, topics: Sequence[str], *, session_timeout_s: float = 30.0) -> KafkaMember:
        """See `stream.log.Log`. Brokers allow sessions of 6 s and more."""
        if not topics or (unknown := sorted(set(topics) - set(self._topics))):
            raise ValueError(
                f"topics are {list(topics)}, wanted some of {sorted(self._topics)}"
                + (f", not {unknown}" if topics else "")
            )
        if session_timeout_s <= 0:
            raise ValueError(f"session_timeout_s is {session_timeout_s}, wanted more than 0")
        client = self._clients.member(self._prefix + group, session_timeout_s)
        member = KafkaMember(
            client, self._prefix, topics, self._record, session_timeout_s, lambda: self._starving(group, topics)
        )
        self._members = [m for m in self._members if not m.closed] + [member]
        return member

    def _starving(self, group: str, topics: Sequence[str]) -> bool:
        """Whether a group could give something to a member that holds nothing."""
        return self._ends.members(self._prefix + group) <= sum(self._topics[t] for t in topics)

    def read(self, topic: str, *, key: str | None = None, after: int = -1) -> Iterator[Record]:
        """Records up to the newest at the time of the first step, partition by partition.

        On a topic that is not compacted, of a compacted one the newest of each key. Holds one page of records.
        """
        count = self._count(topic)
        if key is None and after != -1:
            raise ValueError(f"after is {after} without a key: offsets count within a key's partition")
        records = self._read(topic, range(count) if key is None else [partition_of(key, count)], key, after)
        return self._newest(records) if topic in COMPACTED else records

    def _read(self, topic: str, partitions: Sequence[int], key: str | None, after: int) -> Iterator[Record]:
        places = [TopicPartition(self._prefix + topic, p) for p in partitions]
        ends = self._ends.settled(places)
        client = self._clients.reader()
        try:
            for place in places:
                yield from scan(
                    client, self._record, place, after + 1, ends[place], key.encode() if key is not None else None
                )
        finally:
            client.close()

    @staticmethod
    def _newest(records: Iterator[Record]) -> Iterator[Record]:
        newest: dict[str, Record] = {}
        for record in records:
            newest.pop(record.key, None)
            newest[record.key] = record
        yield from newest.values()

    def latest(self, topic: str, key: str) -> Record | None:
        """See `stream.log.Log`. Where a consumer of this log knows the place of the key's state, one fetch."""
        partition = partition_of(key, self._count(topic))
        at = next((at for m in self._members if (at := m.state_at(key)) is not None), None) if topic == STATE else None
        for start in [at - 1, -1] if at is not None else [-1]:
            newest: Record | None = None
            for record in self._read(topic, [partition], key, start):
                newest = record
            if newest is not None:
                return newest if newest.value else None
        return None

    def end(self, topic: str, key: str) -> int:
        place = TopicPartition(self._prefix + topic, partition_of(key, self._count(topic)))
        return self._ends.of([place], committed=True)[place]

    def table(self, topic: str) -> Mapping[str, bytes]:
        """See `stream.log.Log`. Follows the topic in a thread from the first call on: some milliseconds behind."""
        if topic not in COMPACTED:
            raise ValueError(f"topic is {topic!r}, wanted one of {sorted(COMPACTED)}")
        with self._lock:
            if topic not in self._tables:
                places = [TopicPartition(self._prefix + topic, p) for p in range(self._count(topic))]
                self._tables[topic] = Table(self._clients.reader(), self._record, places, self._ends)
        return self._tables[topic].values()

    def lag(self, group: str, topic: str) -> int:
        places = [TopicPartition(self._prefix + topic, p) for p in range(self._count(topic))]
        return self._ends.lag(self._prefix + group, places)

    def _count(self, topic: str) -> int:
        if topic not in self._topics:
            raise ValueError(f"topic is {topic!r}, wanted one of {sorted(self._topics)}")
        return self._topics[topic]

    def _record(self, raw: Any) -> Record:
        headers = {name: bytes(value or b"").decode("utf-8", "replace") for name, value in raw.headers}
        value = bytes(raw.value or b"")
        if self._claims is not None and CLAIM in headers:
            try:
                value = self._claims.redeem(headers[CLAIM])
            except ValueError as e:
                headers[LOST_CLAIM] = str(e)
        return Record(
            topic=raw.topic.removeprefix(self._prefix),
            partition=raw.partition,
            offset=raw.offset,
            key=bytes(raw.key or b"").decode("utf-8", "replace"),
            value=value,
            headers=headers,
            appended_wall_us=raw.timestamp * 1000,
        )

    def close(self) -> None:
        for member in self._members:
            member.close()
        for table in self._tables.values():
            table.close()
        for writer in self._writers:
            writer.close()
        self._sender.close()
        self._ends.close()
