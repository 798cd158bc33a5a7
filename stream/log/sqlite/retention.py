"""Bounding the embedded log: delete what every group has finished, give freed pages back to the file system."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass

from stream.log.sqlite.append import TopicRow
from stream.log.sqlite.schema import write

SLICE_RECORDS = 200
"""Deleted in one write transaction, so that other writers wait for milliseconds only."""
SPARE_BYTES = 32 << 20
"""Free space the file may keep for reuse; what is above goes back to the file system."""
_VACUUM_PAGES = 1024


@dataclass(frozen=True, slots=True)
class Retention:
    """A finished record may go once it is older than `older_than_us` or its topic holds more than `keep_bytes`."""

    older_than_us: int | None = None
    keep_bytes: int | None = None

    def __post_init__(self) -> None:
        if self.older_than_us is None and self.keep_bytes is None:
            raise ValueError("a retention wants older_than_us or keep_bytes")


def truncate(conn: sqlite3.Connection, topic: TopicRow, retention: Retention, *, even_unread: bool) -> int:
    """Delete a topic's finished records by `retention`; returns how many. See `SqliteLog.truncate`."""
    deleted = 0
    while True:
        with write(conn):
            count = _slice(conn, topic, retention, even_unread)
        deleted += count
        if count < SLICE_RECORDS:
            return deleted


def _slice(conn: sqlite3.Connection, topic: TopicRow, retention: Retention, even_unread: bool) -> int:
    finished = _finished(conn, topic, even_unread)
    rows: list[tuple[int, int, int, int]] = []  # id, partition, bytes, appended_wall_us
    for partition, below in finished.items():
        rows += conn.execute(
            "SELECT id, partition, length(value), appended_wall_us FROM records "
            'WHERE topic = ? AND partition = ? AND "offset" < ? AND (NOT ? OR value = x\'\') ORDER BY "offset" LIMIT ?',
            (topic.id, partition, below, topic.compacted, SLICE_RECORDS),
        )
    held = conn.execute("SELECT sum(bytes) FROM partitions WHERE topic = ?", (topic.id,)).fetchone()[0]
    old = time.time_ns() // 1000 - retention.older_than_us if retention.older_than_us is not None else -1
    budget = retention.keep_bytes if retention.keep_bytes is not None else held
    count = 0
    for rowid, partition, size, wall_us in sorted(rows)[:SLICE_RECORDS]:
        if wall_us >= old and held <= budget:
            break
        conn.execute("DELETE FROM records WHERE id = ?", (rowid,))
        conn.execute(
            "UPDATE partitions SET bytes = bytes - ? WHERE topic = ? AND partition = ?", (size, topic.id, partition)
        )
        held -= size
        count += 1
    return count


def _finished(conn: sqlite3.Connection, topic: TopicRow, even_unread: bool) -> dict[int, int]:
    """For each partition the offset below which every group is done; empty where no group reads the topic."""
    rows = conn.execute(
        "SELECT partition, min(committed) FROM positions WHERE topic = ? GROUP BY partition", (topic.id,)
    )
    finished = dict(rows.fetchall())
    if not finished and even_unread:
        finished = dict(
            conn.execute("SELECT partition, next_offset FROM partitions WHERE topic = ?", (topic.id,)).fetchall()
        )
    return finished


def shrink(conn: sqlite3.Connection) -> None:
    """Give free pages above the spare back, in steps between which others can write."""
    page_bytes = conn.execute("PRAGMA page_size").fetchone()[0]
    while (free := conn.execute("PRAGMA freelist_count").fetchone()[0]) * page_bytes > SPARE_BYTES:
        step = min(_VACUUM_PAGES, free - SPARE_BYTES // page_bytes)
        conn.execute(f"PRAGMA incremental_vacuum({step})").fetchall()  # a page is freed for each row fetched
