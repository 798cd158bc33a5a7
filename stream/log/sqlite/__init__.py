"""The embedded log: one SQLite file in WAL mode, shared by all processes of one machine. No server.

```python
with closing(SqliteLog(Path("run"))) as log:
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

import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from engines.errors import UserError
from stream.log import TOPICS, Record, Topic
from stream.log.sqlite import fetch, retention
from stream.log.sqlite.append import SqliteTransaction, TopicRow, next_epoch
from stream.log.sqlite.consumer import SqliteConsumer, make_consumer
from stream.log.sqlite.retention import Retention
from stream.log.sqlite.schema import FILE, Synchronous, open_database, write

__all__ = ["Retention", "SqliteLog"]

RETENTION_INTERVAL_S = 10.0


class SqliteWriter:
    """See `stream.log.Writer`."""

    def __init__(self, log: SqliteLog, name: str, epoch: int) -> None:
        self._log, self._name, self._epoch = log, name, epoch

    def transaction(self) -> AbstractContextManager[SqliteTransaction]:
        return self._log.transaction(writer=self._name, epoch=self._epoch)

    def close(self) -> None:
        """Nothing to let go of: the name stays its own until another takes it."""


class SqliteLog:
    """`stream.log.Log` in `folder/log.sqlite`. May be shared by threads; consumers may not.

    synchronous: what a commit waits for. Either way a killed process (kill -9 at any point) loses nothing committed
        and leaves nothing half-done. "normal" hands the write to the operating system: a power cut or a crash of the
        kernel may lose the last commits (those since the last checkpoint), never the file nor the order, and since
        offsets lie in the same file the work is simply done again. "full" waits for the disk.
        A process stopped (not killed) inside a commit holds the others up until it goes on or dies.
    retain: per topic, what may be deleted; applied after commits, at most every 10 s. Topics not named keep all.

    On a compacted topic an empty value deletes its key: `latest` gives None, while consumers and `read` see the
    deletion itself, until `truncate` takes it away.
    """

    def __init__(
        self,
        folder: Path,
        *,
        topics: Sequence[Topic] = TOPICS,
        synchronous: Synchronous = "normal",
        retain: Mapping[str, Retention] | None = None,
    ) -> None:
        self._file, self._synchronous = folder / FILE, synchronous
        self._conn = open_database(folder, topics, synchronous)
        self._lock = threading.RLock()
        rows = self._conn.execute("SELECT id, name, partitions, compacted FROM topics").fetchall()
        self._topics = {name: TopicRow(i, name, partitions, bool(compacted)) for i, name, partitions, compacted in rows}
        self._names = {topic.id: topic.name for topic in self._topics.values()}
        self._retain = {self._topic(name).name: rule for name, rule in (retain or {}).items()}
        self._retained_at = time.monotonic()
        self._consumers: list[SqliteConsumer] = []

    def _topic(self, name: str) -> TopicRow:
        if name not in self._topics:
            raise ValueError(f"topic is {name!r}, wanted one of {sorted(self._topics)}")
        return self._topics[name]

    @contextmanager
    def transaction(self, *, writer: str = "", epoch: int = 0) -> Iterator[SqliteTransaction]:
        """See `stream.log.Log`. `writer` and `epoch` are for `SqliteWriter` alone."""
        transaction = SqliteTransaction(self._topics, writer, epoch)
        yield transaction
        if transaction.empty():
            return
        try:
            with self._lock, write(self._conn):
                transaction.write_to(self._conn)
        except sqlite3.OperationalError as e:
            raise UserError(f"log {self._file} cannot be written: {e}") from e
        if self._retain and time.monotonic() - self._retained_at > RETENTION_INTERVAL_S:
            self.apply_retention()

    def writer(self, name: str) -> SqliteWriter:
        with self._lock, write(self._conn):
            return SqliteWriter(self, name, next_epoch(self._conn, name))

    def consumer(self, group: str, topics: Sequence[str], *, session_timeout_s: float = 30.0) -> SqliteConsumer:
        ids = {topic.name: topic.id for topic in self._topics.values()}
        try:
            consumer = make_consumer(self._file, self._synchronous, group, topics, ids, session_timeout_s)
        except sqlite3.OperationalError as e:
            raise UserError(f"log {self._file} cannot be written: {e}") from e
        self._consumers = [c for c in self._consumers if not c.closed] + [consumer]
        return consumer

    def read(self, topic: str, *, key: str | None = None, after: int = -1) -> Iterator[Record]:
        """Records up to the newest at the time of the first step, over all partitions in the order of appending.

        Holds one page (32 MB, or one record if that is larger) and no lock or snapshot between steps.
        """
        row = self._topic(topic)
        if key is None and after != -1:
            raise ValueError(f"after is {after} without a key: offsets count within a key's partition")
        return self._read_all(row) if key is None else self._read_key(row, key, after)

    def _read_key(self, topic: TopicRow, key: str, after: int) -> Iterator[Record]:
        with self._lock:
            end = fetch.newest_id(self._conn)
        most_bytes = fetch.FIRST_BYTES
        while True:
            with self._lock:
                page = fetch.of_key(self._conn, topic.id, key, after, end, self._names, most_bytes)
            if not page:
                return
            most_bytes = fetch.PAGE_BYTES
            after = page[-1].offset
            yield from page

    def _read_all(self, topic: TopicRow) -> Iterator[Record]:
        positions = {(topic.id, partition): 0 for partition in range(topic.partitions)}
        with self._lock:
            end = fetch.newest_id(self._conn)
        while True:
            with self._lock:
                page = fetch.merged(self._conn, positions, self._names, fetch.PAGE_RECORDS, end)
            if not page:
                return
            for record in page:
                positions[topic.id, record.partition] = record.offset + 1
            yield from page

    def latest(self, topic: str, key: str) -> Record | None:
        with self._lock:
            record = fetch.newest(self._conn, self._topic(topic).id, key, self._names)
        return record if record is not None and record.value else None

    def end(self, topic: str, key: str) -> int:
        row = self._topic(topic)
        query = "SELECT next_offset FROM partitions WHERE topic = ? AND partition = ?"
        with self._lock:
            return int(self._conn.execute(query, (row.id, row.partition_of(key))).fetchone()[0])

    def table(self, topic: str) -> dict[str, bytes]:
        query = "SELECT key, value FROM records WHERE topic = ? AND value != x'' ORDER BY id"
        with self._lock:
            return dict(self._conn.execute(query, (self._topic(topic).id,)).fetchall())

    def lag(self, group: str, topic: str) -> int:
        query = """SELECT sum((SELECT count(*) FROM records r
                WHERE r.topic = t.topic AND r.partition = t.partition AND r."offset" >= coalesce(p.committed, 0)))
            FROM partitions t
            LEFT JOIN positions p ON p."group" = ? AND p.topic = t.topic AND p.partition = t.partition
            WHERE t.topic = ?"""
        with self._lock:
            return int(self._conn.execute(query, (group, self._topic(topic).id)).fetchone()[0])

    def truncate(
        self, topic: str, *, older_than_us: int | None = None, keep_bytes: int | None = None, even_unread: bool = False
    ) -> int:
        """Delete the topic's oldest records that every group has finished; returns how many.

        One goes when it was appended more than `older_than_us` ago, or while the topic's values are more than
        `keep_bytes` together. A topic no group has ever read loses nothing unless `even_unread`. Of a compacted topic
        only deletions go. Pages are used again, and more than 32 MB of free ones are given back to the disk.
        """
        with self._lock:
            rule = Retention(older_than_us, keep_bytes)
            deleted = retention.truncate(self._conn, self._topic(topic), rule, even_unread=even_unread)
            if deleted:
                retention.shrink(self._conn)
        return deleted

    def held_bytes(self, topic: str) -> int:
        """What the topic's values are together."""
        query = "SELECT sum(bytes) FROM partitions WHERE topic = ?"
        with self._lock:
            return int(self._conn.execute(query, (self._topic(topic).id,)).fetchone()[0])

    def apply_retention(self) -> None:
        """Truncate by the rules given as `retain`."""
        self._retained_at = time.monotonic()
        for name, rule in self._retain.items():
            self.truncate(name, older_than_us=rule.older_than_us, keep_bytes=rule.keep_bytes)

    def forget_group(self, group: str) -> None:
        """Drop a group and its offsets, so that it no longer holds records back. Its members are fenced."""
        with self._lock, write(self._conn):
            self._conn.execute('DELETE FROM members WHERE "group" = ?', (group,))
            self._conn.execute('DELETE FROM positions WHERE "group" = ?', (group,))

    def close(self) -> None:
        for consumer in self._consumers:
            consumer.close()
        self._consumers.clear()
        self._conn.close()
