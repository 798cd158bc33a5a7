"""Consumer groups in the file: members with leases, evictions, rebalancing. All functions want a write transaction.

Leases are times of the monotonic clock, which all processes of a machine share and nobody can turn back. After a
reboot it starts anew: a deadline further ahead than its session allows is one of an earlier boot, and dead.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Sequence

from stream.log.sqlite.assign import assign

_ALIVE = "deadline_us >= :now AND deadline_us <= :now + session_us"


def now_us() -> int:
    return time.monotonic_ns() // 1000


def join(conn: sqlite3.Connection, group: str, member: str, topics: Sequence[int], session_us: int) -> None:
    conn.execute(
        "INSERT INTO members VALUES(?, ?, ?, ?, ?)",
        (group, member, json.dumps(sorted(topics)), session_us, now_us() + session_us),
    )
    for topic in topics:
        conn.execute(
            'INSERT OR IGNORE INTO positions("group", topic, partition) '
            "SELECT ?, topic, partition FROM partitions WHERE topic = ?",
            (group, topic),
        )
    rebalance(conn, group)


def leave(conn: sqlite3.Connection, group: str, member: str) -> None:
    conn.execute('DELETE FROM members WHERE "group" = ? AND member = ?', (group, member))
    rebalance(conn, group)


def alive(conn: sqlite3.Connection, group: str, member: str) -> bool:
    query = f'SELECT 1 FROM members WHERE "group" = :group AND member = :member AND {_ALIVE}'
    return conn.execute(query, {"group": group, "member": member, "now": now_us()}).fetchone() is not None


def renew(conn: sqlite3.Connection, group: str, member: str) -> bool:
    """Extend a lease; False where it ran out. Once out it is never renewed: somebody may have taken over."""
    renewed = conn.execute(
        f'UPDATE members SET deadline_us = :now + session_us WHERE "group" = :group AND member = :member AND {_ALIVE}',
        {"group": group, "member": member, "now": now_us()},
    ).rowcount
    if _has_dead(conn, group):
        rebalance(conn, group)
    return renewed == 1


def _has_dead(conn: sqlite3.Connection, group: str) -> bool:
    query = f'SELECT 1 FROM members WHERE "group" = :group AND NOT ({_ALIVE})'
    return conn.execute(query, {"group": group, "now": now_us()}).fetchone() is not None


def rebalance(conn: sqlite3.Connection, group: str) -> None:
    """Evict the dead and share the partitions out anew.

    What a dead member held changes hands at once. What a live one should give up only gets a new `target`: it stays
    the owner until it has committed what it was given and hands over itself (`release`).
    """
    conn.execute(f'DELETE FROM members WHERE "group" = :group AND NOT ({_ALIVE})', {"group": group, "now": now_us()})
    rows = conn.execute('SELECT member, topics FROM members WHERE "group" = ?', (group,))
    members = {str(member): frozenset(json.loads(topics)) for member, topics in rows}
    holders: dict[tuple[int, int], str | None] = {
        (topic, partition): owner if owner in members else None
        for topic, partition, owner in conn.execute(
            'SELECT topic, partition, owner FROM positions WHERE "group" = ?', (group,)
        )
    }
    wanted = assign(list(holders), {place: owner for place, owner in holders.items() if owner}, members)
    conn.executemany(
        'UPDATE positions SET owner = ?, target = ? WHERE "group" = ? AND topic = ? AND partition = ?',
        [(owner or wanted.get(place), wanted.get(place), group, *place) for place, owner in holders.items()],
    )


def release(conn: sqlite3.Connection, group: str, member: str, topic: int, partition: int) -> None:
    """Hand a partition that should move to the member that should have it."""
    conn.execute(
        'UPDATE positions SET owner = target WHERE "group" = ? AND topic = ? AND partition = ? AND owner = ?',
        (group, topic, partition, member),
    )
