"""Transactions on Kafka: gathered in memory, then sent and committed in one go by a transactional producer.

Every process writes with a producer of its own. That a worker which has lost its partitions cannot commit is the group
coordinator's doing: offsets go with the member's id and generation (KIP-447). That an older `Writer` cannot is the
transaction coordinator's: the writers of one name share one transactional id.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError
from kafka.partitioner.default import murmur2
from kafka.structs import OffsetAndMetadata, TopicPartition

from engines.errors import UserError
from stream.log import STATE, TOPICS, Consumer, FencedError, LogAwayError, Message, Record
from stream.log.kafka.claims import Claims
from stream.log.kafka.clients import Clients, translated
from stream.log.kafka.consumer import KafkaMember

CLOSE_S = 5.0
COMMIT_S = 15.0
"""A transaction that takes longer is the broker's to abort; whether it was committed is told by reading."""
COMPACTED = frozenset(t.name for t in TOPICS if t.compacted)


class KafkaTransaction:
    """Messages and offsets to be committed together. Nothing is sent before the block is left."""

    def __init__(self, topics: Mapping[str, int]) -> None:
        self._topics = topics
        self.messages: list[Message] = []
        self.offsets: dict[KafkaMember, dict[tuple[str, int], int]] = {}

    def send(self, message: Message) -> None:
        if message.topic not in self._topics:
            raise ValueError(f"topic is {message.topic!r}, wanted one of {sorted(self._topics)}")
        self.messages.append(message)

    def commit_offset(self, consumer: Consumer, record: Record) -> None:
        if not isinstance(consumer, KafkaMember):
            raise ValueError(f"consumer is a {type(consumer).__name__}, wanted one of this log")
        consumer.check_owned(record)
        places = self.offsets.setdefault(consumer, {})
        place = (record.topic, record.partition)
        places[place] = max(record.offset + 1, places.get(place, -1))

    def empty(self) -> bool:
        return not self.messages and not self.offsets


class Sender:
    """A transactional producer that is made anew after every failure. May be shared by threads."""

    def __init__(
        self, clients: Clients, prefix: str, topics: Mapping[str, int], claims: Claims | None, name: str = ""
    ) -> None:
        self._clients, self._prefix, self._topics, self._claims, self._name = clients, prefix, topics, claims, name
        self._lock = threading.Lock()
        self._producer: KafkaProducer | None = None

    def begin(self) -> None:
        """Make the producer now. From here on an older one of the same name cannot write."""
        with self._lock:
            self._ready()

    @contextmanager
    def transaction(self) -> Iterator[KafkaTransaction]:
        transaction = KafkaTransaction(self._topics)
        yield transaction
        if transaction.empty():
            return
        messages = [self._claims.check_in(m) if self._claims else m for m in transaction.messages]
        with self._lock:
            try:
                with translated("committing to Kafka"):
                    states = self._commit(messages, transaction)
            except BaseException:
                self._end()  # whatever it had open is aborted by its successor or by time
                raise
        for member, places in transaction.offsets.items():
            member.committed(places, states)

    def _commit(self, messages: Sequence[Message], transaction: KafkaTransaction) -> dict[str, int]:
        """Returns where each key's state now lies."""
        producer = self._ready()
        with _caused(producer):
            return self._commit_with(producer, messages, transaction)

    def _commit_with(
        self, producer: KafkaProducer, messages: Sequence[Message], transaction: KafkaTransaction
    ) -> dict[str, int]:
        producer.begin_transaction()
        sent = [(m, self._send(producer, m)) for m in messages]
        states: dict[str, int] = {}
        if transaction.offsets:
            # Offsets carry a note of where the states lie, which is known once they have been written.
            states = {m.key: f.get(timeout=COMMIT_S).offset for m, f in sent if m.topic == STATE}
        for member, places in transaction.offsets.items():
            offsets = {
                TopicPartition(self._prefix + topic, partition): OffsetAndMetadata(
                    offset, member.note((topic, partition), states), -1
                )
                for (topic, partition), offset in places.items()
            }
            _wait(producer, producer._transaction_manager.send_offsets_to_transaction(offsets, member.identity(places)))
        _wait(producer, producer._transaction_manager.begin_commit())
        for message, future in sent:
            if future.failed():
                raise future.exception or KafkaError(f"{message.topic} took no message")
        return states

    def _send(self, producer: KafkaProducer, message: Message) -> Any:
        return producer.send(
            self._prefix + message.topic,
            key=message.key.encode(),
            # compaction forgets a key by a null, not by an empty value
            value=None if message.topic in COMPACTED and not message.value else message.value,
            headers=[(name, value.encode()) for name, value in message.headers.items()],
            partition=partition_of(message.key, self._topics[message.topic]),
        )

    def _ready(self) -> KafkaProducer:
        if self._producer is None:
            name = f"{self._prefix}{self._name or uuid.uuid4().hex}"
            producer = self._clients.producer(name)
            try:
                with translated("beginning to write to Kafka"):
                    producer.init_transactions()
            except BaseException:
                _end(producer, within_s=0)
                raise
            self._producer = producer
        return self._producer

    def close(self) -> None:
        # A commit under way to a broker that is away has no end: what it holds is the broker's to abort.
        if not self._lock.acquire(timeout=CLOSE_S):
            return
        try:
            self._end(within_s=CLOSE_S)
        finally:
            self._lock.release()

    def _end(self, within_s: float = 0) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            _end(producer, within_s)


class KafkaWriter:
    """See `stream.log.Writer`. A token in `video.state` says who the newest is.

    A broker that was away fences a producer too, for its transaction ran out of time; the token tells that from
    another writer's coming.
    """

    def __init__(self, sender: Sender, name: str, owner_of: Callable[[str], str]) -> None:
        self._sender, self._key, self._owner_of = sender, f"writer/{name}", owner_of
        self._token = uuid.uuid4().hex
        for attempt in range(10):
            try:
                sender.begin()
                with sender.transaction() as tx:
                    tx.send(Message(STATE, self._key, self._token.encode()))
                return
            except FencedError:  # two that begin at once: the last to come is the one
                if attempt == 9:
                    raise

    @contextmanager
    def transaction(self) -> Iterator[KafkaTransaction]:
        try:
            with self._sender.transaction() as tx:
                yield tx
        except FencedError as e:
            if self._owner_of(self._key) != self._token:
                raise FencedError(f"another {self._key!r} has begun") from e
            raise LogAwayError(f"the transaction ran out of time: {e}") from e

    def close(self) -> None:
        self._sender.close()


@contextmanager
def _caused(producer: KafkaProducer) -> Iterator[None]:
    """kafka-python tells what put a producer out of order in the words of an error alone: here as its cause."""
    try:
        yield
    except KafkaError as e:
        raise e from (e.__cause__ or producer._transaction_manager.last_error)


def _wait(producer: KafkaProducer, result: Any) -> None:
    """As `commit_transaction` and its like do, which wait without end where the broker is away."""
    producer._sender.wakeup()
    if not result.wait(timeout_ms=round(COMMIT_S * 1000)):
        raise KafkaTimeoutError(f"no answer within {COMMIT_S:g} s")


def _end(producer: KafkaProducer, within_s: float) -> None:
    """End a producer. `close` alone gives up where something is unsent, and leaves the sender at work: what it had
    begun could still come through after others have done the same work."""
    with suppress(KafkaError):
        producer.close(timeout=within_s)
    if producer._sender is not None and producer._sender.is_alive():
        producer._sender.force_close()
    producer._closed = True


def partition_of(key: str, partitions: int) -> int:
    """The partition of a key, as Kafka's own clients in every language place it (murmur2)."""
    if partitions < 1:
        raise UserError("the topic has no partitions: strefer topics describe tells more")
    return int((murmur2(key.encode()) & 0x7FFFFFFF) % partitions)
