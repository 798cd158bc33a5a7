"""A transaction on the embedded log: gathered in memory, written in one go."""

from __future__ import annotations

import json
import sqlite3
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from stream.log import Consumer, FencedError, Message, Record
from stream.log.sqlite.consumer import SqliteConsumer


@dataclass(frozen=True, slots=True)
class TopicRow:
    """A topic as the file has it."""

    id: int
    name: str
    partitions: int
    compacted: bool

    def partition_of(self, key: str) -> int:
        """The partition of a key, the same in every process and release."""
        return zlib.crc32(key.encode()) % self.partitions


class SqliteTransaction:
    """Messages and offsets to be committed together. Nothing touches the file before the block is left."""

    def __init__(self, topics: Mapping[str, TopicRow], writer: str = "", epoch: int = 0) -> None:
        self._topics, self._writer, self._epoch = topics, writer, epoch
        self._messages: list[Message] = []
        self._offsets: dict[tuple[SqliteConsumer, str, int], int] = {}

    def send(self, message: Message) -> None:
        if message.topic not in self._topics:
            raise ValueError(f"topic is {message.topic!r}, wanted one of {sorted(self._topics)}")
        self._messages.append(message)

    def commit_offset(self, consumer: Consumer, record: Record) -> None:
        if not isinstance(consumer, SqliteConsumer):
            raise ValueError(f"consumer is a {type(consumer).__name__}, wanted one of this log")
        place = (consumer, record.topic, record.partition)
        self._offsets[place] = max(record.offset, self._offsets.get(place, -1))

    def empty(self) -> bool:
        return not self._messages and not self._offsets

    def write_to(self, conn: sqlite3.Connection) -> None:
        """Write everything. To be called inside a write transaction; raises FencedError to have it rolled back."""
        if self._writer and newest_epoch(conn, self._writer) != self._epoch:
            raise FencedError(f"another {self._writer!r} has begun to write")
        for (consumer, name, partition), offset in self._offsets.items():
            topic = self._topics[name]
            if not consumer.owns(conn, topic.id, partition, offset):
                raise FencedError(
                    f"{name}/{partition} at {offset} is no longer this member's of group {consumer.group!r}"
                )
            conn.execute(
                'UPDATE positions SET committed = ? WHERE "group" = ? AND topic = ? AND partition = ?',
                (offset + 1, consumer.group, topic.id, partition),
            )
        wall_us = time.time_ns() // 1000
        for message in self._messages:
            _append(conn, self._topics[message.topic], message, wall_us)


def newest_epoch(conn: sqlite3.Connection, writer: str) -> int:
    """How often anybody has begun to write under this name."""
    row = conn.execute("SELECT epoch FROM writers WHERE name = ?", (writer,)).fetchone()
    return int(row[0]) if row else 0


def next_epoch(conn: sqlite3.Connection, writer: str) -> int:
    """Begin to write under this name: who did so before is fenced."""
    query = (
        "INSERT INTO writers(name, epoch) VALUES(?, 1) ON CONFLICT(name) DO UPDATE SET epoch = epoch + 1 "
        "RETURNING epoch"
    )
    return int(conn.execute(query, (writer,)).fetchone()[0])


def _append(conn: sqlite3.Connection, topic: TopicRow, message: Message, wall_us: int) -> None:
    partition = topic.partition_of(message.key)
    freed = _forget_key(conn, topic, message.key) if topic.compacted else 0
    (offset,) = conn.execute(
        "UPDATE partitions SET next_offset = next_offset + 1, bytes = bytes + ? WHERE topic = ? AND partition = ? "
        "RETURNING next_offset - 1",
        (len(message.value) - freed, topic.id, partition),
    ).fetchone()
    conn.execute(
        'INSERT INTO records(topic, partition, "offset", key, appended_wall_us, headers, value) VALUES(?,?,?,?,?,?,?)',
        (topic.id, partition, offset, message.key, wall_us, json.dumps(dict(message.headers)), message.value),
    )


def _forget_key(conn: sqlite3.Connection, topic: TopicRow, key: str) -> int:
    """Delete what a compacted topic has of a key; returns the bytes that were its values."""
    where = "FROM records WHERE topic = ? AND key = ?"
    freed = conn.execute(f"SELECT coalesce(sum(length(value)), 0) {where}", (topic.id, key)).fetchone()[0]
    conn.execute(f"DELETE {where}", (topic.id, key))
    return int(freed)
