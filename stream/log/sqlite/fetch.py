"""Reading records out of the file in bounded pages."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping

from stream.log import Record
from stream.log.sqlite.schema import snapshot

PAGE_RECORDS = 256
PAGE_BYTES = 32 << 20
"""A page ends after the record that reaches this, so memory is this much plus one record."""
FIRST_BYTES = 1 << 20
"""Of a key's first page: who looks for one chunk does not read 32 MB of them."""

Place = tuple[int, int]
"""(topic id, partition)"""

_COLUMNS = 'id, topic, partition, "offset", key, appended_wall_us, headers, value'
_Row = tuple[int, int, int, int, str, int, str, bytes]


def _record(row: _Row, names: Mapping[int, str]) -> Record:
    _, topic, partition, offset, key, wall_us, headers, value = row
    return Record(names[topic], partition, offset, key, value, json.loads(headers), wall_us)


def merged(
    conn: sqlite3.Connection, positions: Mapping[Place, int], names: Mapping[int, str], limit: int, up_to_id: int | None
) -> list[Record]:
    """At most `limit` records at or after `positions` in the order they were appended, over all partitions given.

    Finds places in the index alone first: a partition whose turn does not come costs no reading of its values.
    """
    bound = up_to_id if up_to_id is not None else 1 << 62
    page: list[Record] = []
    size = 0
    with snapshot(conn):
        ids: list[int] = []
        for (topic, partition), offset in positions.items():
            rows = conn.execute(
                'SELECT id FROM records WHERE topic = ? AND partition = ? AND "offset" >= ? ORDER BY "offset" LIMIT ?',
                (topic, partition, offset, limit),
            )
            ids.extend(row[0] for row in rows)
        for rowid in sorted(i for i in ids if i <= bound)[:limit]:
            row: _Row = conn.execute(f"SELECT {_COLUMNS} FROM records WHERE id = ?", (rowid,)).fetchone()
            page.append(_record(row, names))
            size += len(row[-1])
            if size >= PAGE_BYTES:
                break
    return page


def of_key(
    conn: sqlite3.Connection,
    topic: int,
    key: str,
    after: int,
    up_to_id: int,
    names: Mapping[int, str],
    most_bytes: int = PAGE_BYTES,
) -> list[Record]:
    """One page of the records of a key after an offset, ending after the record that reaches `most_bytes`."""
    page: list[Record] = []
    size = 0
    rows = conn.execute(
        f'SELECT {_COLUMNS} FROM records WHERE topic = ? AND key = ? AND "offset" > ? AND id <= ? '
        f'ORDER BY "offset" LIMIT {PAGE_RECORDS}',
        (topic, key, after, up_to_id),
    )
    for row in rows:
        page.append(_record(row, names))
        size += len(row[-1])
        if size >= most_bytes:
            break
    rows.close()  # ends the statement, and with it its snapshot
    return page


def newest(conn: sqlite3.Connection, topic: int, key: str, names: Mapping[int, str]) -> Record | None:
    """Newest record of a key, a deletion (empty value) included."""
    row: _Row | None = conn.execute(
        f'SELECT {_COLUMNS} FROM records WHERE topic = ? AND key = ? ORDER BY "offset" DESC LIMIT 1', (topic, key)
    ).fetchone()
    return None if row is None else _record(row, names)


def newest_id(conn: sqlite3.Connection) -> int:
    row = conn.execute("SELECT max(id) FROM records").fetchone()
    return int(row[0] or 0)
