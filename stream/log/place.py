"""Where a log lies, as a user names it: a folder (embedded) or Kafka's brokers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engines.errors import UserError
from stream.log import Log
from stream.log.sqlite import Retention, SqliteLog

MISSING_KAFKA = "--kafka wants kafka-python: pip install 'strefer-stream[kafka]'"


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
        try:
            from stream.log.kafka import KafkaLog
        except ModuleNotFoundError as e:
            if e.name != "kafka":
                raise
            raise UserError(MISSING_KAFKA) from None
        return KafkaLog(self.servers, prefix=self.prefix, claims=self.claims, options=self.options)
