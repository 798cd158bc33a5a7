"""What only the embedded log has: its file, its bounds, its errors."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from engines.errors import UserError
from stream.log import ANNOTATIONS, CHUNKS, QUERIES, FencedError, Message, Topic
from stream.log.sqlite import Retention, SqliteLog
from stream.log.sqlite import group as groups
from stream.log.sqlite.assign import assign
from stream.log.sqlite.retention import SPARE_BYTES
from stream.log.sqlite.schema import FILE, SCHEMA_VERSION

MIB = 1 << 20


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqliteLog]:
    log = SqliteLog(tmp_path)
    yield log
    log.close()


def send(log: SqliteLog, topic: str, key: str, value: bytes) -> None:
    with log.transaction() as tx:
        tx.send(Message(topic, key, value))


def consume(log: SqliteLog, group: str) -> int:
    consumer = log.consumer(group, [CHUNKS])
    count = 0
    while records := consumer.poll(max_records=8, timeout_s=0.0):
        with log.transaction() as tx:
            for record in records:
                tx.commit_offset(consumer, record)
        count += len(records)
    consumer.close()
    return count


# -- opening ------------------------------------------------------------------------------------------------------


def test_a_file_instead_of_a_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("hello")
    with pytest.raises(UserError, match="is a file: name a folder"):
        SqliteLog(tmp_path / "log")
    with pytest.raises(UserError, match="cannot be made"):
        SqliteLog(tmp_path / "log" / "deeper")


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot be (made|written)"):
        SqliteLog(Path("/proc/strefer"))
    with pytest.raises(UserError, match="cannot be written"):  # a folder even root cannot write to
        SqliteLog(Path("/proc/self"))
    (tmp_path / FILE).mkdir()
    with pytest.raises(UserError, match="is not a file"):
        SqliteLog(tmp_path)


@pytest.mark.parametrize("content", [b"no database at all, and rather longer than a header " * 50, b"short"])
def test_a_file_that_is_no_database_is_one_line_and_left_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(UserError, match="is no log"):
        SqliteLog(tmp_path)
    assert (tmp_path / FILE).read_bytes() == content


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    conn = sqlite3.connect(tmp_path / FILE)
    conn.execute("CREATE TABLE books(title)")
    conn.close()
    with pytest.raises(UserError, match="another program's database"):
        SqliteLog(tmp_path)


def test_a_log_of_a_newer_schema_is_refused(tmp_path: Path) -> None:
    SqliteLog(tmp_path).close()
    conn = sqlite3.connect(tmp_path / FILE)
    assert conn.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    conn.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    conn.close()
    with pytest.raises(UserError, match=r"newer strefer \(schema 3, this one reads 2\): upgrade"):
        SqliteLog(tmp_path)


def test_several_processes_may_open_a_new_log_at_once(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from stream.log.sqlite import SqliteLog; "
        "SqliteLog(Path(sys.argv[1])).close()"
    )
    openers = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(6)]
    assert [opener.wait() for opener in openers] == [0] * 6


def test_topics_keep_their_partitions_and_new_ones_are_added(tmp_path: Path) -> None:
    SqliteLog(tmp_path, topics=[Topic("t", partitions=3)]).close()
    log = SqliteLog(tmp_path, topics=[Topic("t", partitions=5), Topic("u", partitions=2)])
    consumer = log.consumer("g", ["t", "u"])
    assert consumer.assignment() == {("t", 0), ("t", 1), ("t", 2), ("u", 0), ("u", 1)}
    log.close()


@pytest.mark.parametrize("synchronous", ["normal", "full"])
def test_synchronous_reaches_the_database(tmp_path: Path, synchronous: str) -> None:
    log = SqliteLog(tmp_path, synchronous=synchronous)  # type: ignore[arg-type]
    assert log._conn.execute("PRAGMA synchronous").fetchone() == ({"normal": 1, "full": 2}[synchronous],)
    assert log._conn.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    log.close()


def test_a_full_disk_is_one_line_and_the_log_goes_on(log: SqliteLog) -> None:
    send(log, CHUNKS, "a", b"1")
    pages = log._conn.execute("PRAGMA page_count").fetchone()[0]
    log._conn.execute(f"PRAGMA max_page_count = {pages + 4}")
    with pytest.raises(UserError, match="cannot be written: database or disk is full"):
        send(log, CHUNKS, "a", bytes(MIB))
    log._conn.execute("PRAGMA max_page_count = 1000000")
    send(log, CHUNKS, "a", b"2")
    assert [r.value for r in log.read(CHUNKS)] == [b"1", b"2"]


# -- bounds -------------------------------------------------------------------------------------------------------


def test_reading_holds_a_page_not_the_topic(log: SqliteLog) -> None:
    for _ in range(80):
        send(log, CHUNKS, "a", os.urandom(MIB))
    tracemalloc.start()
    try:
        assert sum(len(r.value) for r in log.read(CHUNKS, key="a")) == 80 * MIB
        assert sum(len(r.value) for r in log.read(CHUNKS)) == 80 * MIB
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 70 * MIB  # two pages while one is swapped for the next


def test_one_poll_gives_a_bounded_amount(log: SqliteLog) -> None:
    for n in range(40):
        send(log, CHUNKS, f"feed-{n % 5}", bytes(MIB))
    consumer = log.consumer("g", [CHUNKS])
    assert len(consumer.poll(max_records=100, timeout_s=0.0)) == 32
    assert len(consumer.poll(max_records=100, timeout_s=0.0)) == 8


def test_a_reader_that_stops_half_way_does_not_hold_the_log(log: SqliteLog) -> None:
    for n in range(300):
        send(log, ANNOTATIONS, "a", bytes([n % 256]) * 100)
    reader = log.read(ANNOTATIONS)
    next(reader)
    send(log, ANNOTATIONS, "a", b"new")
    assert log._conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0)  # nobody in the way
    assert len(list(reader)) == 299  # it ends with what was there when it began


def test_truncate_takes_only_what_every_group_has_finished(log: SqliteLog) -> None:
    for n in range(10):
        send(log, CHUNKS, f"feed-{n % 3}", bytes(100))
    assert log.truncate(CHUNKS, keep_bytes=0) == 0  # nobody has read it yet
    consumer = log.consumer("slow", [CHUNKS])
    assert consume(log, "quick") == 10
    assert log.truncate(CHUNKS, keep_bytes=0) == 0
    records = consumer.poll(max_records=4, timeout_s=0.0)
    with log.transaction() as tx:
        for record in records:
            tx.commit_offset(consumer, record)
    assert log.truncate(CHUNKS, older_than_us=3_600_000_000) == 0
    assert log.truncate(CHUNKS, keep_bytes=800) == 2
    assert log.truncate(CHUNKS, older_than_us=0) == 2
    assert log.lag("slow", CHUNKS) == 6
    consumer.rewind()
    assert len(consumer.poll(max_records=10, timeout_s=0.0)) == 6
    log.forget_group("slow")
    assert log.truncate(CHUNKS, keep_bytes=0) == 6
    with pytest.raises(FencedError), log.transaction() as tx:
        tx.commit_offset(consumer, records[0])


def test_truncate_of_an_unread_topic_wants_to_be_told_so(log: SqliteLog) -> None:
    send(log, ANNOTATIONS, "a", bytes(100))
    assert log.truncate(ANNOTATIONS, keep_bytes=0) == 0
    assert log.truncate(ANNOTATIONS, keep_bytes=0, even_unread=True) == 1
    send(log, QUERIES, "a/1", b"the girl")
    send(log, QUERIES, "a/2", b"the boy")
    send(log, QUERIES, "a/2", b"")
    assert log.truncate(QUERIES, older_than_us=0, even_unread=True) == 1  # the deletion only
    assert [r.key for r in log.read(QUERIES)] == ["a/1"]
    with pytest.raises(ValueError, match="older_than_us or keep_bytes"):
        log.truncate(CHUNKS)


def test_offsets_go_on_after_everything_was_truncated(log: SqliteLog) -> None:
    send(log, CHUNKS, "a", b"1")
    consume(log, "g")
    assert log.truncate(CHUNKS, keep_bytes=0) == 1
    send(log, CHUNKS, "a", b"2")
    assert [r.offset for r in log.read(CHUNKS)] == [1]
    assert consume(log, "g") == 1


@pytest.mark.slow
def test_a_feed_without_end_does_not_grow_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.log.sqlite.RETENTION_INTERVAL_S", 0.0)
    log = SqliteLog(tmp_path, retain={CHUNKS: Retention(keep_bytes=8 * MIB)})
    consumer = log.consumer("g", [CHUNKS])
    sizes = []
    for n in range(160):
        send(log, CHUNKS, f"feed-{n % 4}", bytes(MIB))
        for record in consumer.poll(max_records=8, timeout_s=0.0):
            with log.transaction() as tx:
                tx.commit_offset(consumer, record)
        sizes.append(sum(f.stat().st_size for f in tmp_path.iterdir()))
    assert max(sizes) < 8 * MIB + SPARE_BYTES + 32 * MIB
    assert max(sizes[80:]) <= max(sizes[:80])
    log.close()


@pytest.mark.slow
def test_a_backlog_worked_off_is_given_back_to_the_disk(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path)
    for _ in range(80):
        send(log, CHUNKS, "a", bytes(MIB))
    consume(log, "g")
    log.truncate(CHUNKS, keep_bytes=0)
    log.close()
    assert (tmp_path / FILE).stat().st_size < SPARE_BYTES + 4 * MIB


# -- groups -------------------------------------------------------------------------------------------------------


def test_assignment_is_balanced_and_sticky() -> None:
    places = [(topic, partition) for topic in (1, 2) for partition in range(8)]
    both = frozenset({1, 2})
    alone = assign(places, {}, {"a": both})
    assert set(alone.values()) == {"a"}
    shared = assign(places, alone, {"a": both, "b": both, "c": frozenset({2})})
    for topic, able in ((1, "ab"), (2, "abc")):
        loads = [sum(m == member and p[0] == topic for p, m in shared.items()) for member in able]
        assert sum(loads) == 8
        assert max(loads) - min(loads) <= 1
    moved = [p for p in places if shared[p] != alone[p]]
    assert len(moved) == 4 + 5
    assert assign(places, shared, {"a": both, "b": both, "c": frozenset({2})}) == shared
    assert assign(places, shared, {}) == {}


def test_a_lease_that_ran_out_is_fenced_even_where_nobody_took_over(
    log: SqliteLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(log, CHUNKS, "a", b"1")
    consumer = log.consumer("g", [CHUNKS], session_timeout_s=2.0)
    records = consumer.poll(max_records=1, timeout_s=0.0)
    real = groups.now_us
    monkeypatch.setattr(groups, "now_us", lambda: real() + 2_500_000)
    with pytest.raises(FencedError), log.transaction() as tx:
        tx.commit_offset(consumer, records[0])
    until = time.monotonic() + 60
    while consumer.assignment() and time.monotonic() < until:
        assert consumer.poll(max_records=1, timeout_s=0.05) == []
    assert consumer.assignment() == set()  # said once, so that the worker drops what it holds of these feeds
    assert consumer.poll(max_records=1, timeout_s=60.0) == records  # joined anew
    with log.transaction() as tx:
        tx.commit_offset(consumer, records[0])


def test_a_lease_of_before_a_reboot_is_dead(log: SqliteLog, monkeypatch: pytest.MonkeyPatch) -> None:
    real = groups.now_us
    monkeypatch.setattr(groups, "now_us", lambda: real() + 10**12)
    log.consumer("g", [CHUNKS], session_timeout_s=30.0)._drop_lease()  # its heartbeat ends with the machine
    monkeypatch.setattr(groups, "now_us", real)
    assert len(log.consumer("g", [CHUNKS]).assignment()) == 8
