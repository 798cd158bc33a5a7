"""A broker that dies under producers and workers: they go on when it is back, and end when asked while it is not."""

from __future__ import annotations

import signal
import time
from contextlib import closing
from pathlib import Path

import pytest

from stream.log import ANNOTATIONS
from stream.log.kafka import KafkaLog
from tests.e2e.programs import start
from tools.kafka.broker import JarBroker

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
SCENE = "synthetic:two-people?seconds=60&size=192x108&fps=5"


def done(address: str) -> list[int]:
    """Seqs that are finished."""
    with closing(KafkaLog((address,))) as log:
        ids = [r.headers["ce_id"] for r in log.read(ANNOTATIONS) if r.headers["ce_type"] == "chunk.done"]
    return [int(i.split("/")[1]) for i in ids]


def wait_for(address: str, count: int, within_s: float = 90.0) -> None:
    until = time.monotonic() + within_s
    while len(done(address)) < count:
        assert time.monotonic() < until, f"{len(done(address))} of {count} chunks after {within_s} s"
        time.sleep(0.5)


def test_a_broker_that_dies_comes_back_and_dies_for_good(tmp_path: Path) -> None:
    broker = JarBroker(tmp_path / "broker")
    broker.start()
    place = ("--kafka", broker.address)
    produced, worked = tmp_path / "produce.txt", tmp_path / "worker.txt"
    producer = start(
        "produce", SCENE, "--feed", "door", "--max-chunk", "1", *place, "--realtime", "--loop", out=produced
    )
    worker = start("worker", *place, "--session", "6", out=worked)
    try:
        wait_for(broker.address, 3)
        broker.kill()
        time.sleep(20)  # longer than a transaction may be open, and than a commit is waited for
        broker.start()
        before = len(done(broker.address))
        wait_for(broker.address, before + 5)
        seqs = done(broker.address)
        assert sorted(seqs) == list(range(len(seqs)))
        broker.kill()
        time.sleep(3)
        for process in (producer, worker):
            process.send_signal(signal.SIGTERM)
        assert producer.wait(60) in (0, 2)
        assert worker.wait(60) == 0
    finally:
        for process in (producer, worker):
            process.kill()
            process.wait()
        broker.stop()
    for said in (produced.read_text(), worked.read_text()):
        assert "Traceback" not in said, said
