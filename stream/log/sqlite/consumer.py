"""A member of a consumer group on the embedded log."""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from stream.log import Record
from stream.log.sqlite import group as groups
from stream.log.sqlite.fetch import Place, merged
from stream.log.sqlite.lease import Lease
from stream.log.sqlite.schema import Synchronous, connect, write

MIN_PAUSE_S, MAX_PAUSE_S = 0.001, 0.05


@dataclass(slots=True)
class _Held:
    """A partition this member owns: it was given records [start, position) and has committed up to `committed`."""

    start: int
    position: int
    committed: int
    moving_since: float | None = None


class SqliteConsumer:
    """Polls partitions it owns; a thread of its own (`Lease`) keeps it in the group while the caller works.

    A partition that should move to another member is delivered from no more, and handed over by the first `poll`
    after all its delivered records were committed or rewound, at the latest one session timeout later. A `poll` that
    finds the lease lost returns nothing and leaves an empty `assignment`; the next one joins anew.
    An idle `poll` asks SQLite's change counter alone, every 1 to 50 ms. One `poll` gives at most 32 MB (or one record).
    """

    def __init__(
        self, file: Path, synchronous: Synchronous, group: str, topics: Mapping[int, str], session_timeout_s: float
    ) -> None:
        self.group = group
        self._file, self._synchronous, self._topics, self._session_s = file, synchronous, topics, session_timeout_s
        self._conn = connect(file, synchronous)
        self._held: dict[Place, _Held] = {}
        self._lease: Lease | None = None
        self._seen_version = -1
        self._drained = False
        self.closed = False
        self._join()

    def _join(self) -> None:
        member = uuid.uuid4().hex
        with write(self._conn):
            groups.join(self._conn, self.group, member, list(self._topics), round(self._session_s * 1e6))
        self._lease = Lease(self._file, self._synchronous, self.group, member, self._session_s)
        self._seen_version = -1
        self._sync()

    def poll(self, *, max_records: int, timeout_s: float) -> list[Record]:
        if max_records < 1:
            raise ValueError(f"max_records is {max_records}, wanted 1 or more")
        if self.closed:
            raise ValueError("the consumer is closed")
        if self._lease is None:
            self._join()
        until = time.monotonic() + timeout_s
        pause_s = MIN_PAUSE_S
        while True:
            assert self._lease is not None
            if self._lease.lost.is_set():
                self._drop_lease()
                return []
            if self._changed():
                self._sync()
                self._drained = False
            if not self._drained and (records := self._fetch(max_records)):
                return records
            left_s = until - time.monotonic()
            if left_s <= 0:
                return []
            time.sleep(min(pause_s, left_s))
            pause_s = min(pause_s * 1.5, MAX_PAUSE_S)

    def _changed(self) -> bool:
        """Whether another connection has committed anything since last asked, or a partition waits to be moved."""
        version = int(self._conn.execute("PRAGMA data_version").fetchone()[0])
        changed = version != self._seen_version
        self._seen_version = version
        return changed or any(held.moving_since is not None for held in self._held.values())

    def _sync(self) -> None:
        """Learn what this member owns now, and hand over what should move."""
        assert self._lease is not None
        member = self._lease.member
        rows = self._conn.execute(
            'SELECT topic, partition, committed, target FROM positions WHERE "group" = ? AND owner = ?',
            (self.group, member),
        ).fetchall()
        owned: dict[Place, _Held] = {}
        for topic, partition, committed, target in rows:
            held = self._held.get((topic, partition)) or _Held(committed, committed, committed)
            held.committed = committed
            held.moving_since = None if target == member else held.moving_since or time.monotonic()
            owned[topic, partition] = held
        self._held = owned
        moving = {place: held for place, held in owned.items() if held.moving_since is not None}
        ready = [place for place, held in moving.items() if self._may_move(held)]
        if ready:
            with write(self._conn):
                for topic, partition in ready:
                    groups.release(self._conn, self.group, member, topic, partition)
            for place in ready:
                del self._held[place]

    def _may_move(self, held: _Held) -> bool:
        waited_s = time.monotonic() - (held.moving_since or 0.0)
        return held.position <= held.committed or waited_s > self._session_s

    def _fetch(self, max_records: int) -> list[Record]:
        positions = {place: held.position for place, held in self._held.items() if held.moving_since is None}
        records = merged(self._conn, positions, self._topics, max_records, None)
        ids = {name: topic for topic, name in self._topics.items()}
        for record in records:
            self._held[ids[record.topic], record.partition].position = record.offset + 1
        self._drained = not records
        return records

    def _drop_lease(self) -> None:
        if self._lease is not None:
            self._lease.stop()
        self._lease = None
        self._held = {}

    def assignment(self) -> set[tuple[str, int]]:
        return {(self._topics[topic], partition) for topic, partition in self._held}

    def waiting(self, key: str) -> int:
        query = 'SELECT count(*) FROM records WHERE topic = ? AND key = ? AND partition = ? AND "offset" >= ?'
        places = ((topic, key, partition, held.position) for (topic, partition), held in self._held.items())
        return sum(int(self._conn.execute(query, place).fetchone()[0]) for place in places)

    def rewind(self) -> None:
        for (topic, partition), held in self._held.items():
            row = self._conn.execute(
                'SELECT committed FROM positions WHERE "group" = ? AND topic = ? AND partition = ?',
                (self.group, topic, partition),
            ).fetchone()
            held.start = held.position = held.committed = row[0]
        self._drained = False

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        if self._lease is not None:
            member = self._lease.member
            self._drop_lease()
            # Where this fails (a full disk) the lease runs out by itself: slower, and no worse.
            with suppress(sqlite3.OperationalError), write(self._conn):
                groups.leave(self._conn, self.group, member)
        self._conn.close()

    def owns(self, conn: sqlite3.Connection, topic: int, partition: int, offset: int) -> bool:
        """Whether this member may commit `offset` now. To be asked inside the write transaction that commits it.

        False where the lease ran out, the partition has another owner, the record was delivered under an earlier
        ownership of the partition, or somebody has committed it before.
        """
        held = self._held.get((topic, partition))
        if self._lease is None or held is None or not held.start <= offset < held.position:
            return False
        if not groups.alive(conn, self.group, self._lease.member):
            return False
        row = conn.execute(
            'SELECT owner, committed FROM positions WHERE "group" = ? AND topic = ? AND partition = ?',
            (self.group, topic, partition),
        ).fetchone()
        return row is not None and row[0] == self._lease.member and row[1] <= offset


def make_consumer(
    file: Path, synchronous: Synchronous, group: str, names: Sequence[str], ids: Mapping[str, int], session_s: float
) -> SqliteConsumer:
    """Check what the caller asked for and join the group."""
    if not names or (unknown := sorted(set(names) - set(ids))):
        raise ValueError(
            f"topics are {list(names)}, wanted some of {sorted(ids)}" + (f", not {unknown}" if names else "")
        )
    if session_s <= 0:
        raise ValueError(f"session_timeout_s is {session_s}, wanted more than 0")
    return SqliteConsumer(file, synchronous, group, {ids[name]: name for name in names}, session_s)
