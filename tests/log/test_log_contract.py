"""What every log owes its users (see `stream.log`)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import pytest

from stream.log import ANNOTATIONS, CHUNKS, QUERIES, STATE, Consumer, FencedError, Log, Message, Record

OpenLog = Callable[[], Log]
FEEDS = [f"feed-{i}" for i in range(20)]


def send(log: Log, topic: str, *pairs: tuple[str, bytes]) -> None:
    with log.transaction() as tx:
        for key, value in pairs:
            tx.send(Message(topic, key, value))


def finish(log: Log, consumer: Consumer, records: Sequence[Record], *messages: Message) -> None:
    with log.transaction() as tx:
        for message in messages:
            tx.send(message)
        for record in records:
            tx.commit_offset(consumer, record)


def drain(consumer: Consumer, count: int, within_s: float = 60.0) -> list[Record]:
    until = time.monotonic() + within_s
    records: list[Record] = []
    while len(records) < count and time.monotonic() < until:
        records += consumer.poll(max_records=count - len(records), timeout_s=0.1)
    return records


def settle(*consumers: Consumer, until: Callable[[], bool], within_s: float = 30.0) -> None:
    """Let the members poll (they are given nothing to do) until the group looks as wanted."""
    end = time.monotonic() + within_s
    while not until():
        assert time.monotonic() < end, [sorted(c.assignment()) for c in consumers]
        for consumer in consumers:
            assert consumer.poll(max_records=1, timeout_s=0.0) == []
        time.sleep(0.005)


def comes_to_be(ask: Callable[[], object], wanted: object, within_s: float = 60.0) -> None:
    until = time.monotonic() + within_s
    while ask() != wanted and time.monotonic() < until:
        time.sleep(0.02)
    assert ask() == wanted


def test_a_message_comes_back_as_it_was_sent(log: Log) -> None:
    before_us = time.time_ns() // 1000
    value = bytes(range(256)) * 20_000  # 5 MB
    with log.transaction() as tx:
        tx.send(Message(CHUNKS, "käy/1", value, {"ce_type": "strefer.chunk", "ö": "ü"}))
    (record,) = log.read(CHUNKS)
    assert (record.topic, record.key, record.offset) == (CHUNKS, "käy/1", 0)
    assert record.value == value
    assert dict(record.headers) == {"ce_type": "strefer.chunk", "ö": "ü"}
    assert before_us // 1000 * 1000 <= record.appended_wall_us <= time.time_ns() // 1000


def test_a_key_keeps_its_partition_and_order_and_offsets_only_grow(open_log: OpenLog) -> None:
    first, second = open_log(), open_log()
    for n in range(60):
        send((first, second)[n % 2], ANNOTATIONS, (FEEDS[n % 7], str(n).encode()))
    records = list(first.read(ANNOTATIONS))
    places: dict[str, set[int]] = {}
    offsets: dict[int, list[int]] = {}
    for record in records:
        places.setdefault(record.key, set()).add(record.partition)
        offsets.setdefault(record.partition, []).append(record.offset)
    assert all(len(partitions) == 1 for partitions in places.values())
    assert len(offsets) > 1
    assert all(seen == sorted(set(seen)) for seen in offsets.values())
    for i in range(7):
        assert [int(r.value) for r in second.read(ANNOTATIONS, key=FEEDS[i])] == list(range(i, 60, 7))


def test_a_failed_transaction_leaves_nothing(log: Log) -> None:
    send(log, CHUNKS, ("a", b"1"))
    consumer = log.consumer("g", [CHUNKS])
    (record,) = drain(consumer, 1)
    with suppress(KeyError), log.transaction() as tx:
        tx.send(Message(ANNOTATIONS, "a", b"x"))
        tx.send(Message(STATE, "a", b"y"))
        tx.commit_offset(consumer, record)
        raise KeyError
    assert list(log.read(ANNOTATIONS)) == []
    assert log.latest(STATE, "a") is None
    assert log.lag("g", CHUNKS) > 0
    consumer.rewind()
    assert drain(consumer, 1) == [record]


def test_nothing_of_a_transaction_is_seen_before_it_ends(open_log: OpenLog) -> None:
    writer, reader = open_log(), open_log()
    with writer.transaction() as tx:
        tx.send(Message(ANNOTATIONS, "a", b"1"))
        assert list(reader.read(ANNOTATIONS)) == []
    assert len(list(reader.read(ANNOTATIONS))) == 1


def test_order_within_a_transaction_holds_over_two_topics(log: Log) -> None:
    with log.transaction() as tx:
        for n in range(10):
            tx.send(Message(CHUNKS, "a", f"c{n}".encode()))
            tx.send(Message(ANNOTATIONS, "a", f"e{n}".encode()))
    assert [r.value for r in log.read(CHUNKS, key="a")] == [f"c{n}".encode() for n in range(10)]
    assert [r.value for r in log.read(ANNOTATIONS, key="a")] == [f"e{n}".encode() for n in range(10)]


def test_read_goes_on_after_an_offset_of_a_key(log: Log) -> None:
    send(log, ANNOTATIONS, *[(FEEDS[n % 4], str(n).encode()) for n in range(40)])
    records = list(log.read(ANNOTATIONS, key=FEEDS[1]))
    assert list(log.read(ANNOTATIONS, key=FEEDS[1], after=records[3].offset)) == records[4:]
    assert list(log.read(ANNOTATIONS, key=FEEDS[1], after=records[-1].offset)) == []
    assert list(log.read(ANNOTATIONS, key="unheard of")) == []


def test_a_compacted_topic_keeps_the_newest_of_a_key_and_forgets_deleted_ones(log: Log) -> None:
    send(log, STATE, ("a", b"1"), ("b", b"1"), ("a", b"2"))
    send(log, STATE, ("a", b"3"), ("b", b"2"))
    assert {r.key: r.value for r in log.read(STATE)} == {"a": b"3", "b": b"2"}
    newest = log.latest(STATE, "a")
    assert newest is not None
    assert newest.value == b"3"
    send(log, STATE, ("a", b""))
    assert log.latest(STATE, "a") is None
    assert {r.key: r.value for r in log.read(STATE) if r.value} == {"b": b"2"}
    assert log.latest(STATE, "nobody") is None


def test_a_consumer_hears_of_deletions(log: Log) -> None:
    send(log, QUERIES, ("door/1", b"the girl"))
    consumer = log.consumer("g", [QUERIES])
    assert [r.value for r in drain(consumer, 1)] == [b"the girl"]
    send(log, QUERIES, ("door/1", b""))
    assert [r.value for r in drain(consumer, 1)] == [b""]


def test_a_group_goes_on_where_it_committed(open_log: OpenLog) -> None:
    log = open_log()
    send(log, CHUNKS, *[("a", str(n).encode()) for n in range(10)])
    consumer = log.consumer("g", [CHUNKS])
    records = drain(consumer, 10)
    assert [r.offset for r in records] == list(range(10))
    assert log.lag("g", CHUNKS) in (10, 11)  # Kafka counts the end of the transaction too
    finish(log, consumer, records[:4])
    comes_to_be(lambda: log.lag("g", CHUNKS) in (6, 7), True)  # nor is a commit told of the moment it is made
    assert log.lag("another", CHUNKS) in (10, 11)
    consumer.close()
    log.close()
    again = open_log().consumer("g", [CHUNKS])
    assert drain(again, 6) == records[4:]
    assert again.poll(max_records=1, timeout_s=0.0) == []


def test_the_end_is_behind_the_newest_record(log: Log) -> None:
    assert log.end(CHUNKS, "a") == 0
    send(log, CHUNKS, *[("a", str(n).encode()) for n in range(10)])
    comes_to_be(lambda: log.end(CHUNKS, "a") in (10, 11), True)  # Kafka counts the end of the transaction too
    newest = list(log.read(CHUNKS, key="a"))[-1]
    assert log.end(CHUNKS, "a") > newest.offset
    with pytest.raises(ValueError, match="topic is 'x'"):
        log.end("x", "a")


def test_lag_is_0_when_all_is_done_and_not_before(log: Log) -> None:
    assert log.lag("g", CHUNKS) == 0
    send(log, CHUNKS, *[(feed, b"1") for feed in FEEDS])
    consumer = log.consumer("g", [CHUNKS])
    records = drain(consumer, len(FEEDS))
    finish(log, consumer, records[:-1])
    assert consumer.poll(max_records=1, timeout_s=0.3) == []
    assert log.lag("g", CHUNKS) > 0
    finish(log, consumer, records[-1:])
    settle(consumer, until=lambda: log.lag("g", CHUNKS) == 0)


def test_rewind_goes_back_to_what_is_committed(log: Log) -> None:
    send(log, CHUNKS, *[("a", str(n).encode()) for n in range(6)])
    consumer = log.consumer("g", [CHUNKS])
    records = drain(consumer, 6)
    finish(log, consumer, records[:2])
    consumer.rewind()
    assert drain(consumer, 4) == records[2:]


def test_poll_waits_for_the_first_record_and_no_longer(open_log: OpenLog) -> None:
    log, other = open_log(), open_log()
    consumer = log.consumer("g", [CHUNKS])
    start = time.monotonic()
    assert consumer.poll(max_records=1, timeout_s=0.2) == []
    assert 0.2 <= time.monotonic() - start < 10.0  # a machine with other work may stand still for a while
    timer = threading.Timer(0.3, send, (other, CHUNKS, ("a", b"1")))
    timer.start()
    start = time.monotonic()
    assert len(consumer.poll(max_records=1, timeout_s=20.0)) == 1
    assert time.monotonic() - start < 15.0
    timer.join()


def test_a_record_cannot_be_finished_twice(log: Log) -> None:
    send(log, CHUNKS, ("a", b"1"), ("a", b"2"))
    consumer = log.consumer("g", [CHUNKS])
    records = drain(consumer, 2)
    finish(log, consumer, records)
    with pytest.raises(FencedError):
        finish(log, consumer, records[:1], Message(ANNOTATIONS, "a", b"again"))
    assert list(log.read(ANNOTATIONS)) == []


def test_members_share_the_partitions_and_only_what_must_move_moves(open_log: OpenLog) -> None:
    log = open_log()
    one = log.consumer("g", [CHUNKS])
    settle(one, until=lambda: len(one.assignment()) == 8)
    two = open_log().consumer("g", [CHUNKS])
    before = one.assignment()
    settle(one, two, until=lambda: len(one.assignment()) == len(two.assignment()) == 4)
    assert one.assignment() < before
    assert one.assignment() | two.assignment() == before
    three = open_log().consumer("g", [CHUNKS])
    ones, twos = one.assignment(), two.assignment()
    settle(one, two, three, until=lambda: sorted(map(len, (c.assignment() for c in (one, two, three)))) == [2, 3, 3])
    assert one.assignment() <= ones
    assert two.assignment() <= twos
    everything = [*one.assignment(), *two.assignment(), *three.assignment()]
    assert len(everything) == len(set(everything)) == 8


def test_a_clean_close_hands_over_at_once(open_log: OpenLog) -> None:
    log = open_log()
    one = log.consumer("g", [CHUNKS], session_timeout_s=60)
    two = open_log().consumer("g", [CHUNKS], session_timeout_s=60)
    settle(one, two, until=lambda: len(one.assignment()) == len(two.assignment()) == 4)
    one.close()
    settle(two, until=lambda: len(two.assignment()) == 8)


def test_a_partition_moves_only_after_its_delivered_records_are_committed(open_log: OpenLog) -> None:
    log = open_log()
    send(log, CHUNKS, *[(feed, b"1") for feed in FEEDS])
    one = log.consumer("g", [CHUNKS])
    records = drain(one, len(FEEDS))
    two = open_log().consumer("g", [CHUNKS])
    for _ in range(5):
        assert one.poll(max_records=10, timeout_s=0.01) == []
        assert two.poll(max_records=10, timeout_s=0.01) == []
    finish(log, one, records)  # not fenced: it still owns them all
    settle(one, two, until=lambda: len(one.assignment()) == len(two.assignment()) == 4)


def test_two_groups_do_not_share(log: Log) -> None:
    send(log, CHUNKS, ("a", b"1"))
    one, two = log.consumer("g", [CHUNKS]), log.consumer("h", [CHUNKS])
    assert drain(one, 1) == drain(two, 1)


@pytest.mark.slow
def test_long_work_between_polls_keeps_the_partitions(open_log: OpenLog) -> None:
    log = open_log()
    send(log, CHUNKS, ("a", b"1"))
    # Long enough that a machine that stands still for a moment does not lose the lease for good reason.
    worker = log.consumer("g", [CHUNKS], session_timeout_s=4.0)
    records = drain(worker, 1)
    other = open_log().consumer("g", [CHUNKS], session_timeout_s=4.0)
    until = time.monotonic() + 5.0
    while time.monotonic() < until:  # the worker is busy; another member is there to take over
        for record in other.poll(max_records=1, timeout_s=0.1):
            pytest.fail(f"{record} was given to another member")
    finish(log, worker, records)


def test_many_threads_and_handles_write_at_once(open_log: OpenLog) -> None:
    shared = open_log()
    logs = [shared, shared, open_log(), open_log()]

    def write(i: int) -> None:
        for n in range(25):
            send(logs[i], ANNOTATIONS, (f"k{i}", str(n).encode()), (f"k{i}", str(n).encode()))

    threads = [threading.Thread(target=write, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in range(4):
        assert [int(r.value) for r in shared.read(ANNOTATIONS, key=f"k{i}")] == [n for n in range(25) for _ in "ab"]


def test_what_does_not_exist_is_refused(log: Log) -> None:
    with pytest.raises(ValueError, match=r"video\.chunks"), log.transaction() as tx:
        tx.send(Message("video.chunk", "a", b""))
    with pytest.raises(ValueError, match="topic"):
        log.read("video.chunk")
    with pytest.raises(ValueError, match="topics"):
        log.consumer("g", ["video.chunk"])
    with pytest.raises(ValueError, match="key"):
        log.read(CHUNKS, after=3)
    with pytest.raises(ValueError, match="max_records"):
        log.consumer("g", [CHUNKS]).poll(max_records=0, timeout_s=0)


def test_the_newest_writer_of_a_name_fences_the_older(open_log: OpenLog) -> None:
    log = open_log()
    old, street = log.writer("door"), log.writer("street")
    with old.transaction() as tx:
        tx.send(Message(CHUNKS, "door", b"1"))
    new = open_log().writer("door")
    with pytest.raises(FencedError), old.transaction() as tx:
        tx.send(Message(CHUNKS, "door", b"void"))
    with new.transaction() as tx:
        tx.send(Message(CHUNKS, "door", b"2"))
    with street.transaction() as tx, log.transaction() as other:  # they are not concerned
        tx.send(Message(CHUNKS, "street", b"3"))
        other.send(Message(CHUNKS, "door", b"4"))
    assert [r.value for r in log.read(CHUNKS, key="door")] == [b"1", b"2", b"4"]
    assert [r.value for r in log.read(CHUNKS, key="street")] == [b"3"]


def test_a_table_is_the_newest_value_of_every_key(open_log: OpenLog) -> None:
    log, other = open_log(), open_log()
    assert dict(log.table(QUERIES)) == {}
    send(log, QUERIES, ("door/1", b"a"), ("door/2", b"b"), ("door/1", b"c"))
    comes_to_be(lambda: dict(log.table(QUERIES)), {"door/1": b"c", "door/2": b"b"})
    send(other, QUERIES, ("door/2", b""), ("*/1", b"d"))
    comes_to_be(lambda: dict(log.table(QUERIES)), {"door/1": b"c", "*/1": b"d"})
    assert dict(open_log().table(QUERIES)) == {"door/1": b"c", "*/1": b"d"}  # one that has just begun is up to date


def test_waiting_counts_what_lies_behind_of_a_key(log: Log) -> None:
    send(log, CHUNKS, *[(f"k{n % 2}", str(n).encode()) for n in range(8)])
    consumer = log.consumer("g", [CHUNKS])
    assert len(drain(consumer, 3)) == 3
    left = [consumer.waiting("k0"), consumer.waiting("k1")]
    assert sum(left) == 5
    assert consumer.waiting("k2") == 0
    drain(consumer, 5)
    assert [consumer.waiting("k0"), consumer.waiting("k1")] == [0, 0]
