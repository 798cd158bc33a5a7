"""Kills, pauses and takeovers, with real processes, on every log."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stream.log import ANNOTATIONS, CHUNKS, STATE, Log, Message

OpenLog = Callable[[], Log]
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts `members.py` with arguments; what still runs at the end is killed."""
    running: list[subprocess.Popen[str]] = []

    def start_(*args: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(Path(__file__).with_name("members.py")), *args]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return running[-1]

    yield start_
    for process in running:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def fill(log: Log, count: int, feeds: int = 12) -> None:
    for n in range(count):
        with log.transaction() as tx:
            tx.send(Message(CHUNKS, f"feed-{n % feeds}", str(n).encode(), {"n": str(n)}))


def copied(log: Log) -> list[int]:
    return [int(r.headers["n"]) for r in log.read(ANNOTATIONS)]


def wait_until_copied(log: Log, count: int, within_s: float = 200.0) -> None:
    until = time.monotonic() + within_s
    while len(copied(log)) < count:
        assert time.monotonic() < until, f"{len(copied(log))} of {count} after {within_s} s"
        time.sleep(0.3)  # on Kafka each look reads everything, with the cores that the workers need


def assert_exactly_once(log: Log, count: int, feeds: int = 12) -> None:
    assert Counter(copied(log)) == Counter(range(count))
    for i in range(feeds):
        numbers = [int(r.headers["n"]) for r in log.read(ANNOTATIONS, key=f"feed-{i}")]
        assert numbers == list(range(i, count, feeds))
        state = log.latest(STATE, f"feed-{i}")
        assert state is not None
        assert int(state.value) == numbers[-1]


def test_kill_9_of_a_writer_loses_nothing_committed_and_shows_nothing_else(
    open_log: OpenLog, spec: str, start: Start
) -> None:
    log = open_log()
    acknowledged = -1
    for _ in range(6):
        writer = start("write", spec)
        acknowledged = int(line(writer))  # the writer runs
        time.sleep(random.uniform(0.0, 0.25))
        writer.kill()
        rest, _ = writer.communicate()
        acknowledged = max([acknowledged, *map(int, rest.split("\n")[:-1])])
        written = [int(r.headers["n"]) for r in log.read(CHUNKS)]
        assert sorted(written) == list(range(len(written)))
        assert written == copied(log)
        # The one after the last acknowledged may have been committed just before the kill.
        assert len(written) - 1 in (acknowledged, acknowledged + 1)
        state = log.latest(STATE, "writer")
        assert state is not None
        assert int(state.value) == len(written) - 1
        for record in log.read(CHUNKS):
            number = int(record.headers["n"]).to_bytes(4, "big")
            assert record.value == number * (len(record.value) // 4)


@pytest.mark.parametrize(("kills", "count"), [(3, 240), pytest.param(12, 800, marks=pytest.mark.slow)])
def test_killed_workers_of_a_group_leave_each_record_done_once(
    open_log: OpenLog, spec: str, start: Start, kills: int, count: int
) -> None:
    log = open_log()
    fill(log, count)
    workers = [start("work", spec, "g", "1.0") for _ in range(3)]
    for worker in workers:
        assert line(worker) == "joined"
    for _ in range(kills):
        time.sleep(random.uniform(0.05, 0.3))
        victim = workers.pop(0)
        victim.kill()
        workers.append(start("work", spec, "g", "1.0"))
    wait_until_copied(log, count)
    time.sleep(0.2)  # what would come twice has time to come
    assert_exactly_once(log, count)
    assert log.lag("g", CHUNKS) == 0


@pytest.mark.slow
def test_a_stopped_worker_is_replaced_and_fenced_when_it_comes_back(open_log: OpenLog, spec: str, start: Start) -> None:
    log = open_log()
    count = 240
    fill(log, count)
    zombie = start("work", spec, "g", "0.6", "0.3")
    while not line(zombie).startswith("got"):  # and now works on it, outside any transaction
        pass
    os.kill(zombie.pid, signal.SIGSTOP)
    live = start("work", spec, "g", "0.6")
    wait_until_copied(log, count)
    os.kill(zombie.pid, signal.SIGCONT)
    fill_late = [Message(CHUNKS, f"feed-{i}", b"x", {"n": str(count + i)}) for i in range(12)]
    with log.transaction() as tx:
        for message in fill_late:
            tx.send(message)
    wait_until_copied(log, count + 12)
    time.sleep(0.3)
    zombie.kill()
    live.kill()
    said = zombie.communicate()[0].split("\n")
    assert "fenced" in said  # on a machine that stands still it may be so twice
    assert_exactly_once(log, count + 12)
