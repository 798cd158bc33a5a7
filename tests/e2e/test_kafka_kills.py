"""Two producers, four feeds and three workers on a real Kafka, of which nearly everything is killed: the events finally
there are those of a calm run of one worker on the embedded log.
"""

from __future__ import annotations

import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from producers.produce import produce
from producers.sources import open_sources
from stream.events import ChunkDone, decode_message
from stream.log import ANNOTATIONS, CHUNKS, DEADLETTER, Log
from stream.log.kafka import KafkaLog
from stream.log.sqlite import SqliteLog
from stream.worker import GROUP
from tests.e2e.programs import SESSION_S, start
from tests.running import post_queries, work
from tools.kafka.broker import JarBroker

SCENES = {
    "door": "synthetic:exit-reentry?seconds=15&size=192x108&fps=5",
    "hall": "synthetic:behind-pillar?seconds=15&size=192x108&fps=5",
    "street": "synthetic:two-people?seconds=15&size=192x108&fps=5",
    "yard": "synthetic:late-entry?seconds=15&size=192x108&fps=5",
}
PRODUCERS = (("door", "hall"), ("street", "yard"))
KILLS = 20

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


class Stage:
    """Programs on one broker, and what may happen to them."""

    def __init__(self, broker: JarBroker, dice: random.Random) -> None:
        self.broker, self.dice = broker, dice
        self.workers = [self.worker() for _ in range(3)]
        self.over = threading.Event()
        self.producing: dict[int, subprocess.Popen[bytes]] = {}

    def worker(self) -> subprocess.Popen[bytes]:
        lanes = str(self.dice.choice((1, 1, 3)))  # one in three follows feeds side by side
        return start("worker", "--kafka", self.broker.address, "--session", str(SESSION_S), "--parallel", lanes)

    def produce(self, number: int) -> None:
        """One producer: its feeds one after the other, each as a camera would; started again until it has ended."""
        for feed in PRODUCERS[number]:
            while not self.over.is_set():
                command = ("produce", SCENES[feed], "--feed", feed, "--kafka", self.broker.address, "--realtime")
                self.producing[number] = start(*command)
                if self.producing[number].wait() == 0:
                    break

    def supervise(self) -> None:
        """As systemd does: a worker that has ended (the broker was away when it started) is started again."""
        for ended in [worker for worker in self.workers if worker.poll() is not None]:
            self.workers.remove(ended)
            self.workers.append(self.worker())

    def kill_worker(self) -> None:
        victim = self.workers.pop(self.dice.randrange(len(self.workers)))
        victim.kill()
        victim.wait()
        self.workers.append(self.worker())

    def pause_worker(self) -> None:
        """It stands still for longer than its session; others take over; then it goes on, a zombie."""
        zombie = self.dice.choice(self.workers)
        zombie.send_signal(signal.SIGSTOP)
        time.sleep(3 * SESSION_S)
        zombie.send_signal(signal.SIGCONT)

    def kill_producer(self) -> None:
        self.producing[self.dice.randrange(2)].kill()

    def kill_broker(self) -> None:
        self.broker.kill()
        time.sleep(self.dice.uniform(0.0, 2.0))
        self.broker.start()

    def end(self) -> None:
        self.over.set()
        for process in [*self.workers, *self.producing.values()]:
            process.kill()
            process.wait()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[JarBroker]:
    """A broker that may be killed: always one of our own."""
    one = JarBroker(tmp_path / "broker")
    one.start()
    yield one
    one.stop()


def finally_there(log: Log) -> dict[str, bytes]:
    """Every event's body by its id; of `chunk.done`, which holds wall-clock times, only the numbers of frames."""
    records = list(log.read(ANNOTATIONS))
    ids = Counter(r.headers["ce_id"] for r in records)
    assert [i for i, n in ids.items() if n > 1] == []
    found: dict[str, bytes] = {}
    for record in records:
        body = decode_message(dict(record.headers), record.value).body
        value = f"{body.seq} {body.frames} {body.dropped}".encode() if isinstance(body, ChunkDone) else record.value
        found[record.headers["ce_id"]] = value
    return found


def assert_no_holes(ids: Sequence[str]) -> None:
    """feed/seq/n: no seq is missing, and in each the events count from 0."""
    events: dict[str, dict[int, list[int]]] = {}
    for feed, seq, n in (i.split("/") for i in ids):
        events.setdefault(feed, {}).setdefault(int(seq), []).append(int(n))
    for feed, seqs in events.items():
        assert sorted(seqs) == list(range(len(seqs))), feed
        assert all(sorted(ns) == list(range(len(ns))) for ns in seqs.values()), feed


def test_what_is_finally_there_is_what_a_calm_run_gives(tmp_path: Path, broker: JarBroker) -> None:
    with closing(SqliteLog(tmp_path / "calm")) as log:
        for feed, scene in SCENES.items():
            post_queries(log, feed, ["the person in red"])
            produce(open_sources([scene]), feed, log)
        work(log)
        calm = finally_there(log)
        chunks = [(r.key, r.headers["ce_id"], r.value) for r in log.read(CHUNKS)]
    with closing(KafkaLog((broker.address,))) as log:
        for feed in SCENES:
            post_queries(log, feed, ["the person in red"])
    dice = random.Random(7)
    stage = Stage(broker, dice)
    producers = [threading.Thread(target=stage.produce, args=(i,), daemon=True) for i in range(2)]
    for thread in producers:
        thread.start()
    trouble = [stage.kill_worker] * KILLS + [stage.kill_broker] * 2 + [stage.kill_producer] * 4 + [stage.pause_worker]
    dice.shuffle(trouble)
    try:
        for happen in trouble:
            time.sleep(dice.uniform(0.2, 1.6))
            stage.supervise()
            happen()
        for thread in producers:
            thread.join(timeout=120)
            assert not thread.is_alive()
        with closing(KafkaLog((broker.address,))) as log:
            until = time.monotonic() + 180
            while log.lag(GROUP, CHUNKS) > 0:
                assert time.monotonic() < until, f"{log.lag(GROUP, CHUNKS)} chunks are left"
                stage.supervise()
                time.sleep(0.5)
            there = finally_there(log)
            assert sorted((r.key, r.headers["ce_id"], r.value) for r in log.read(CHUNKS)) == sorted(chunks)
            assert list(log.read(DEADLETTER)) == []
    finally:
        stage.end()
    assert there.keys() == calm.keys()
    assert there == calm
    assert_no_holes(list(there))
