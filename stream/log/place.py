"""Where a log lies, as a user names it: a folder (embedded) or Kafka's brokers."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from engines.errors import UserError
from stream.log import Log
from stream.log.sqlite import Retention, SqliteLog

if TYPE_CHECKING:
    from stream.log.kafka.clients import Clients


def client_name() -> str:
    """What brokers log and count this process by; `/metrics` tells the same."""
    return f"strefer-{socket.gethostname()}-{os.getpid()}"


@dataclass(frozen=True, slots=True)
class Place:
    """A folder, or Kafka: `servers` (host:port), `options` of kafka-python and where large messages are kept.

    prefix: stands before the names of topics and groups, so that several installations can share one cluster.
    claims: an fsspec address (file:///mnt/share, s3://bucket/path) for messages too large to travel inline.
    """

    folder: Path | None = None
    servers: tuple[str, ...] = ()
    prefix: str = ""
    claims: str = ""
    options: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.folder is None) == (not self.servers):
            raise ValueError(f"a log is a folder or has servers, got {self.folder} and {self.servers}")

    def __str__(self) -> str:
        return str(self.folder) if self.folder is not None else "kafka " + ",".join(self.servers)

    def exists(self) -> bool:
        """Whether there is a log already; Kafka always counts as one."""
        return self.folder is None or (self.folder / "log.sqlite").exists()

    def open(self, retain: Mapping[str, Retention] | None = None) -> Log:
        """Open it; an embedded one is made where there is none and keeps to `retain`. Kafka's retention is its
        topics' (`strefer topics`). Raises UserError where that cannot be."""
        if self.folder is not None:
            return SqliteLog(self.folder, retain=retain)
        with _kafka_wanted():
            from stream.log.kafka import KafkaLog
        return KafkaLog(self.servers, prefix=self.prefix, claims=self.claims, options=self.options)

    def open_existing(self) -> Log:
        """Open it; raises UserError where there is none."""
        self.must_exist()
        return self.open()

    def must_exist(self) -> None:
        if not self.exists():
            raise UserError(f"{self} holds no log: `strefer produce SOURCE --feed ID --log {self}` makes one")

    def clients(self) -> Clients:
        """What makes Kafka's own clients, for what only Kafka has. Raises UserError for an embedded log."""
        if not self.servers:
            raise UserError("topics are Kafka's: name it with --kafka HOST:PORT; the embedded log makes its own")
        with _kafka_wanted():
            from stream.log.kafka.clients import Clients
        return Clients(self.servers, self.options)


@contextmanager
def _kafka_wanted() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as e:
        if e.name != "kafka":
            raise
        raise UserError("--kafka wants kafka-python: pip install '.[kafka]'") from None
