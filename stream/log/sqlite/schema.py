"""The file behind the embedded log: tables, pragmas, and opening it with errors a user can act on."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from engines.errors import UserError
from stream.log import Topic

FILE = "log.sqlite"
SCHEMA_VERSION = 2
APPLICATION_ID = 0x53545246  # "STRF": tells our file from another program's database
PAGE_BYTES = 8192
WAL_LIMIT_BYTES = 64 << 20
BUSY_TIMEOUT_S = 60.0

Synchronous = Literal["normal", "full"]

_TABLES = (
    """CREATE TABLE topics(
        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, partitions INTEGER NOT NULL, compacted INTEGER NOT NULL)""",
    """CREATE TABLE partitions(
        topic INTEGER NOT NULL, partition INTEGER NOT NULL, next_offset INTEGER NOT NULL DEFAULT 0,
        bytes INTEGER NOT NULL DEFAULT 0, PRIMARY KEY(topic, partition)) WITHOUT ROWID""",
    # The value comes last, so that reading the other columns never touches a large value's overflow pages.
    """CREATE TABLE records(
        id INTEGER PRIMARY KEY, topic INTEGER NOT NULL, partition INTEGER NOT NULL, "offset" INTEGER NOT NULL,
        key TEXT NOT NULL, appended_wall_us INTEGER NOT NULL, headers TEXT NOT NULL, value BLOB NOT NULL)""",
    'CREATE UNIQUE INDEX records_place ON records(topic, partition, "offset")',
    'CREATE INDEX records_key ON records(topic, key, "offset")',
    # owner: who may commit offsets now. target: who should hold it next; they differ while a partition moves.
    """CREATE TABLE positions(
        "group" TEXT NOT NULL, topic INTEGER NOT NULL, partition INTEGER NOT NULL,
        committed INTEGER NOT NULL DEFAULT 0, owner TEXT, target TEXT,
        PRIMARY KEY("group", topic, partition)) WITHOUT ROWID""",
    """CREATE TABLE members(
        "group" TEXT NOT NULL, member TEXT NOT NULL, topics TEXT NOT NULL, session_us INTEGER NOT NULL,
        deadline_us INTEGER NOT NULL, PRIMARY KEY("group", member)) WITHOUT ROWID""",
)
_SINCE_2 = ("CREATE TABLE writers(name TEXT NOT NULL PRIMARY KEY, epoch INTEGER NOT NULL) WITHOUT ROWID",)


def connect(file: Path, synchronous: Synchronous) -> sqlite3.Connection:
    """A connection in autocommit mode that waits for other writers instead of failing."""
    conn = sqlite3.connect(file, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    conn.execute(f"PRAGMA synchronous = {synchronous}")
    conn.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT_BYTES}")
    return conn


@contextmanager
def write(conn: sqlite3.Connection) -> Iterator[None]:
    """One write transaction. The lock is taken first, so what is read inside cannot change before the commit."""
    conn.execute("BEGIN IMMEDIATE")
    try:
        yield
        conn.execute("COMMIT")
    except BaseException:
        if conn.in_transaction:
            conn.execute("ROLLBACK")
        raise


@contextmanager
def snapshot(conn: sqlite3.Connection) -> Iterator[None]:
    """Several reads of one state. Keep it short: an open snapshot stops the write-ahead log from being recycled."""
    conn.execute("BEGIN")
    try:
        yield
    finally:
        conn.execute("COMMIT")


def open_database(folder: Path, topics: Sequence[Topic], synchronous: Synchronous) -> sqlite3.Connection:
    """Open or create the log's file in `folder`. Raises UserError where the folder or the file is of no use."""
    file = folder / FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise UserError(f"log folder {folder} is a file: name a folder") from None
    except OSError as e:
        raise UserError(f"log folder {folder} cannot be made: {e.strerror}; name another folder") from None
    if file.exists() and not file.is_file():
        raise UserError(f"{file} is not a file: move it away or name another log folder")
    conn: sqlite3.Connection | None = None
    try:
        conn = connect(file, synchronous)
        _prepare(conn, file, topics)
    except BaseException as e:
        if conn is not None:
            conn.close()
        if isinstance(e, sqlite3.Error):
            raise _explain(file, e) from None
        raise
    return conn


def _explain(file: Path, e: sqlite3.Error) -> UserError:
    code = getattr(e, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return UserError(f"{file} is no log ({e}): move it away or name another log folder")
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_IOERR):
        return UserError(f"log folder {file.parent} cannot be written ({e}): name another folder")
    if code == sqlite3.SQLITE_FULL:
        return UserError(f"no space left for the log in {file.parent}: free some or name another folder")
    return UserError(f"log {file} cannot be used: {e}")


def _prepare(conn: sqlite3.Connection, file: Path, topics: Sequence[Topic]) -> None:
    version = _version(conn, file)
    if version == 0:
        conn.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        conn.execute("PRAGMA auto_vacuum = INCREMENTAL")
    _use_wal(conn)
    with write(conn):
        version = _version(conn, file)  # asked again under the lock: several processes may open a new log at once
        for since, statements in ((1, _TABLES), (2, _SINCE_2)):
            for statement in statements if version < since else ():
                conn.execute(statement)
        conn.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        conn.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        known = {str(row[0]) for row in conn.execute("SELECT name FROM topics")}
        for topic in topics:
            if topic.name not in known:  # a topic keeps the number of partitions it was made with
                values = (topic.name, topic.partitions, topic.compacted)
                rowid = conn.execute(
                    "INSERT INTO topics(name, partitions, compacted) VALUES(?, ?, ?)", values
                ).lastrowid
                rows = [(rowid, p) for p in range(topic.partitions)]
                conn.executemany("INSERT INTO partitions(topic, partition) VALUES(?, ?)", rows)


def _version(conn: sqlite3.Connection, file: Path) -> int:
    """Schema version of the file, 0 for an empty one. Raises UserError for a newer one and for a stranger's file."""
    version = int(conn.execute("PRAGMA user_version").fetchone()[0])
    ours = int(conn.execute("PRAGMA application_id").fetchone()[0]) == APPLICATION_ID
    empty = conn.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0
    if not ours and not empty:
        raise UserError(f"{file} is another program's database: move it away or name another log folder")
    if version > SCHEMA_VERSION:
        raise UserError(
            f"{file} was written by a newer strefer (schema {version}, this one reads {SCHEMA_VERSION}): upgrade"
        )
    return version


def _use_wal(conn: sqlite3.Connection) -> None:
    # The switch needs the file for itself and does not always wait for it, so several first openers try again.
    give_up = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            conn.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as e:
            if getattr(e, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
            time.sleep(0.01)
