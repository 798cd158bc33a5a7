"""Kafka's clients as strefer needs them: which settings are ours, which are the user's, and what an error means."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import (
    AuthorizationError,
    CommitFailedError,
    FencedInstanceIdError,
    IllegalGenerationError,
    InvalidProducerEpochError,
    KafkaConfigurationError,
    KafkaError,
    MessageSizeTooLargeError,
    ProducerFencedError,
    RebalanceInProgressError,
    RecordListTooLargeError,
    SaslAuthenticationFailedError,
    TransactionAbortedError,
    UnknownMemberIdError,
)

from engines.errors import UserError
from stream.log import FencedError, LogAwayError
from stream.log.place import client_name

MESSAGE_BYTES = 8 << 20
"""Largest message our topics take inline."""
RECEIVE_BYTES = 256 << 20
"""Largest answer a client takes in: far above, so that one oversized message is read and refused, not stuck at."""
TRANSACTION_S = 10.0
"""A transaction whose writer died is aborted by the broker after this; readers of its partitions wait as long."""
CONNECT_S = 15.0

_OURS = frozenset(
    {
        *("bootstrap_servers", "client_id", "group_id", "isolation_level", "enable_auto_commit", "auto_offset_reset"),
        *("transactional_id", "enable_idempotence", "acks", "partitioner", "partition_assignment_strategy"),
        *("key_serializer", "value_serializer", "key_deserializer", "value_deserializer", "max_poll_interval_ms"),
    }
)
"""What exactly-once rests upon: no user's setting."""
_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
_FENCED = (
    ProducerFencedError,
    InvalidProducerEpochError,
    CommitFailedError,
    IllegalGenerationError,
    UnknownMemberIdError,
    FencedInstanceIdError,
    RebalanceInProgressError,
    TransactionAbortedError,
)
_REFUSED = (AuthorizationError, SaslAuthenticationFailedError)
_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)


@dataclass(frozen=True, slots=True)
class Clients:
    """Makes clients of one cluster. `options` are the user's, named as kafka-python names them."""

    servers: tuple[str, ...]
    options: Mapping[str, object] = field(default_factory=dict)
    client_id: str = field(default_factory=client_name)

    def __post_init__(self) -> None:
        known = {*KafkaConsumer.DEFAULT_CONFIG, *KafkaProducer.DEFAULT_CONFIG, *KafkaAdminClient.DEFAULT_CONFIG}
        for name in self.options:
            if name not in known:
                raise UserError(f"{name} is no setting of kafka-python: see its KafkaConsumer and KafkaProducer")
            if name == "security_protocol" and self.options[name] not in _PROTOCOLS:
                raise UserError(f"security_protocol is {self.options[name]!r}, wanted one of {', '.join(_PROTOCOLS)}")
            if name in _OURS:
                raise UserError(f"{name} is set by strefer itself, exactly-once rests upon it: take it out")
        logging.getLogger("kafka").setLevel(logging.CRITICAL)  # what concerns the user is told by strefer

    def producer(self, transactional_id: str) -> KafkaProducer:
        """A transactional producer. `init_transactions` is still to be called."""
        return self._make(
            KafkaProducer,
            transactional_id=transactional_id,
            enable_idempotence=True,
            acks="all",
            transaction_timeout_ms=round(TRANSACTION_S * 1000),
            delivery_timeout_ms=60_000,
            max_block_ms=15_000,
            max_request_size=RECEIVE_BYTES,
            linger_ms=0,
            batch_size=1 << 18,
            retry_backoff_ms=5,  # decides the rate of transactions: 100 ms give 11 to 17 a second, 5 ms give 97
            reconnect_backoff_max_ms=1000,
        )

    def member(self, group: str, session_timeout_s: float) -> KafkaConsumer:
        """A member of a consumer group, not subscribed yet."""
        session_ms = round(session_timeout_s * 1000)  # 6 s is the least that brokers allow by default
        return self._reader(
            group_id=group,
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=min(300, session_ms // 4),  # how soon a member hears of a rebalance
            max_poll_interval_ms=600_000,
            partition_assignment_strategy=[CooperativeStickyAssignor],
        )

    def reader(self) -> KafkaConsumer:
        """A consumer of no group, to be given its partitions."""
        return self._reader(group_id=None)

    def admin(self) -> KafkaAdminClient:
        return self._make(KafkaAdminClient, retry_backoff_ms=20, reconnect_backoff_max_ms=1000)

    def _reader(self, **settings: object) -> KafkaConsumer:
        return self._make(
            KafkaConsumer,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            allow_auto_create_topics=False,
            max_partition_fetch_bytes=MESSAGE_BYTES,
            fetch_max_bytes=4 * MESSAGE_BYTES,
            receive_message_max_bytes=RECEIVE_BYTES,
            fetch_max_wait_ms=100,
            retry_backoff_ms=20,
            reconnect_backoff_max_ms=1000,
            **settings,
        )

    def _make(self, kind: Any, **settings: object) -> Any:
        own = {name: value for name, value in self.options.items() if name in kind.DEFAULT_CONFIG}
        base = {
            "bootstrap_servers": list(self.servers),
            "client_id": self.client_id,
            "bootstrap_timeout_ms": round(CONNECT_S * 1000),
            "metrics_enabled": False,
        }
        if "proxy_url" not in self.options:
            self._knock()
        try:
            return kind(**{n: v for n, v in {**base, **settings, **own}.items() if n in kind.DEFAULT_CONFIG})
        except _REFUSED as e:
            raise UserError(f"Kafka at {','.join(self.servers)} refuses us: {_said(e)}; see --kafka-config") from None
        except (KafkaConfigurationError, ValueError, TypeError, AssertionError, FileNotFoundError) as e:
            raise UserError(f"these Kafka settings do not fit: {_said(e)}; see --kafka-config") from None
        except KafkaError as e:
            # kafka-python tells a refused password no other way
            doubt = ", or refuses the name and password of --kafka-config" if "sasl_mechanism" in self.options else ""
            raise LogAwayError(f"Kafka does not answer at {','.join(self.servers)}{doubt}: {_said(e)}") from None

    def _knock(self) -> None:
        """Raises LogAwayError at once where nobody listens; a client would try for its whole time-out."""
        causes = []
        for server in self.servers:
            host, _, port = server.rpartition(":")
            try:
                socket.create_connection((host.strip("[]"), int(port)), timeout=5.0).close()
                return
            except OSError as e:
                causes.append(f"{server}: {e.strerror or e}")
        raise LogAwayError(f"Kafka does not answer at {', '.join(causes)}")


@contextlib.contextmanager
def translated(doing: str) -> Iterator[None]:
    """Kafka's errors as the log's: fenced, refused (the user's to mend), or away for now."""
    try:
        yield
    except KafkaError as e:
        causes = (e, *(a for a in e.args if isinstance(a, BaseException)), e.__cause__)
        if any(isinstance(c, _FENCED) for c in causes):
            raise FencedError(f"{doing}: {_said(e)}") from e
        if any(isinstance(c, _REFUSED) for c in causes):
            raise UserError(f"{doing}: Kafka refuses it: {_said(e)}") from e
        if any(isinstance(c, _TOO_LARGE) for c in causes):
            raise UserError(
                f"{doing}: a message is larger than its topic allows ({_said(e)}): name a place for large ones with "
                "--claims, or raise the topic's max.message.bytes"
            ) from e
        raise LogAwayError(f"{doing}: {_said(e)}") from e


def _said(e: BaseException) -> str:
    said = str(e).strip().replace("\n", " ")
    return type(e).__name__ if said in ("", "None", f"{type(e).__name__}: None") else said
