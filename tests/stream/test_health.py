"""`strefer worker --health`: the truth over HTTP, also about a worker that hangs, stops or has lost its log."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from engines import lite
from engines.store import Store
from stream.chunk import Chunk
from stream.cli import main
from stream.decode.pyav import PyAVDecoder
from stream.frames import Frames
from stream.health import LIMIT_S, SEEN_LIMIT_S, Health
from stream.health_probe import probe as probe_image
from stream.health_server import serving
from stream.log import CHUNKS, Log, LogAwayError
from stream.log.sqlite import SqliteLog
from stream.pipeline import Pipeline
from stream.worker import GROUP, Done, Worker
from tests.running import environment, messages_of, send_all

ROOT = Path(__file__).parents[2]
SCENE = "synthetic:two-people?seconds=3&size=128x96&fps=10"


class StuckDecoder:
    """Decodes as PyAV does, once it is let go."""

    name = "stuck"

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()

    def decode(self, chunk: Chunk) -> Iterator[Frames]:
        self.begun.set()
        assert self.go_on.wait(60)
        yield from PyAVDecoder().decode(chunk)


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as e:
        with e:
            return e.code, e.read().decode()


def probe(port: int, path: str) -> tuple[int, dict[str, Any]]:
    status, body = get(port, path)
    return status, json.loads(body)


def until(path: str, port: int, status: int, within_s: float = 30.0) -> dict[str, Any]:
    """The body of the first answer with this status."""
    end = time.monotonic() + within_s
    while True:
        got, body = probe(port, path)
        if got == status:
            return body
        assert time.monotonic() < end, (got, body)
        time.sleep(0.02)


def metrics(port: int) -> dict[str, float]:
    _, text = get(port, "/metrics")
    return {sample.name: sample.value for family in text_string_to_metric_families(text) for sample in family.samples}


def health_of(stop: threading.Event, **options: Any) -> Health:
    return Health(client_id="me", group=GROUP, stop=stop, **options)


def serve(health: Health, open_log: Callable[[], Log]) -> Any:
    return serving(health, host="127.0.0.1", port=0, open_log=open_log, group=GROUP, topics=[CHUNKS], every_s=0.05)


def nothing_loaded(folder: Path) -> Pipeline:
    return Pipeline(lite.load(Store(folder, folder)))


class Running:
    """A real worker in a thread over a log with a feed of 3 chunks and its end, its health over HTTP."""

    def __init__(self, folder: Path, decoder: Any, rest: ExitStack, limit_s: float = LIMIT_S) -> None:
        self.stop = threading.Event()
        self.health = health_of(self.stop, limit_s=limit_s)
        log = rest.enter_context(closing(SqliteLog(folder)))
        send_all(log, messages_of(SCENE))
        self.port: int = rest.enter_context(serve(self.health, lambda: SqliteLog(folder)))
        worker = rest.enter_context(closing(Worker(log, nothing_loaded(folder), decoder)))
        self._thread = threading.Thread(target=worker.run, kwargs={"until": self._turned, "poll_s": 0.05}, daemon=True)
        rest.callback(self.end)

    def _turned(self, done: Done | None) -> bool:
        self.health.turn(done)
        return self.stop.is_set()

    def begin(self) -> None:
        self.health.loaded()
        self._thread.start()

    def end(self) -> None:
        self.stop.set()
        if self._thread.ident is not None:
            self._thread.join(30)
            assert not self._thread.is_alive()


def test_a_worker_from_its_start_to_an_empty_log(tmp_path: Path) -> None:
    with ExitStack() as rest:
        running = Running(tmp_path, PyAVDecoder(), rest)
        assert probe(running.port, "/healthz")[1]["reason"] == "networks are being loaded"
        assert probe(running.port, "/readyz")[0] == 503
        running.begin()
        until("/healthz", running.port, 200)
        until("/readyz", running.port, 200)
        deadline = time.monotonic() + 30
        while (seen := metrics(running.port)).get("strefer_log_lag") != 0:
            assert time.monotonic() < deadline, seen
            time.sleep(0.05)
        seen = metrics(running.port)
        assert (seen["strefer_messages_total"], seen["strefer_feeds_ended_total"]) == (4, 1)
        assert seen["strefer_events_total"] > 4
        assert (seen["strefer_alive"], seen["strefer_ready"]) == (1, 1)
        assert abs(seen["strefer_last_turn_timestamp_seconds"] - time.time()) < 10
        body = probe(running.port, "/readyz")[1]
        assert body["lag"] == {CHUNKS: 0}
        assert (body["client_id"], body["group"], body["messages"]) == ("me", GROUP, 4)


@pytest.mark.slow
def test_a_loop_that_hangs_is_not_alive_and_alive_again_when_it_goes_on(tmp_path: Path) -> None:
    decoder = StuckDecoder()
    with ExitStack() as rest:
        running = Running(tmp_path, decoder, rest, limit_s=1.0)
        rest.callback(decoder.go_on.set)
        # the first turn is an empty one's: a loop that hangs at its first message was never alive
        running.health.turn(None)
        running.begin()
        assert decoder.begun.wait(30)
        body = until("/healthz", running.port, 503)
        assert body["reason"].startswith("the loop has not turned for ")
        assert "\n" not in body["reason"]
        assert probe(running.port, "/readyz")[0] == 503
        assert metrics(running.port)["strefer_alive"] == 0
        decoder.go_on.set()
        until("/healthz", running.port, 200)
        until("/readyz", running.port, 200)


@pytest.mark.slow
def test_a_worker_told_to_stop_is_alive_but_not_ready_while_its_chunk_is_in_work(tmp_path: Path) -> None:
    decoder = StuckDecoder()
    with ExitStack() as rest:
        running = Running(tmp_path, decoder, rest)
        rest.callback(decoder.go_on.set)
        running.health.turn(None)
        running.begin()
        assert decoder.begun.wait(30)
        until("/readyz", running.port, 200)
        running.stop.set()
        status, body = probe(running.port, "/readyz")
        assert (status, body["reason"]) == (503, "stopping")
        assert probe(running.port, "/healthz")[0] == 200
        decoder.go_on.set()
        running.end()
        assert probe(running.port, "/readyz")[1]["messages"] == 1


def test_more_workers_than_partitions_are_ready_all_the_same(tmp_path: Path) -> None:
    """What counts is that the group answers, not that it gave something."""
    with ExitStack() as rest:
        log = rest.enter_context(closing(SqliteLog(tmp_path)))
        workers = [rest.enter_context(closing(Worker(log, nothing_loaded(tmp_path), PyAVDecoder()))) for _ in range(9)]
        health = health_of(threading.Event())
        port = rest.enter_context(serve(health, lambda: SqliteLog(tmp_path)))
        for worker in workers:
            worker.step(timeout_s=0)
        health.loaded()
        workers[-1].run(until=lambda done: health.turn(done) is None, poll_s=0.01)
        until("/readyz", port, 200)


def test_a_log_out_of_reach_is_not_ready_but_alive_and_its_lag_is_not_told(tmp_path: Path) -> None:
    away = threading.Event()

    class Flaky(SqliteLog):
        def lag(self, group: str, topic: str) -> int:
            if away.is_set():
                raise LogAwayError("no broker\nanswers")
            return 7

    with ExitStack() as rest:
        health = health_of(threading.Event())
        port = rest.enter_context(serve(health, lambda: Flaky(tmp_path)))
        health.loaded()
        health.turn(None)
        until("/readyz", port, 200)
        assert metrics(port)["strefer_log_lag"] == 7
        away.set()
        assert until("/readyz", port, 503)["reason"] == "the log is out of reach: no broker answers"
        assert probe(port, "/healthz")[0] == 200
        assert "strefer_log_lag" not in metrics(port)
        away.clear()
        until("/readyz", port, 200)


def test_a_log_that_never_answers_holds_up_no_probe(tmp_path: Path) -> None:
    asked, go_on = threading.Event(), threading.Event()

    class Silent(SqliteLog):
        def lag(self, group: str, topic: str) -> int:
            asked.set()
            assert go_on.wait(60)
            return 0

    with ExitStack() as rest:
        health = health_of(threading.Event())
        port = rest.enter_context(serve(health, lambda: Silent(tmp_path)))
        rest.callback(go_on.set)
        health.loaded()
        health.turn(None)
        assert asked.wait(30)
        began = time.monotonic()
        assert probe(port, "/readyz")[1]["reason"] == "the log is out of reach: it was not asked yet"
        assert probe(port, "/healthz")[0] == 200
        assert time.monotonic() - began < 2


def test_an_old_answer_of_the_log_is_no_answer() -> None:
    now = [0.0]
    health = health_of(threading.Event(), clock=lambda: now[0])
    health.loaded()
    health.seen(CHUNKS, 3)
    now[0] = SEEN_LIMIT_S + 1
    health.turn(None)
    assert health.ready().reason == "the log has not answered for 31 s"
    assert health.alive().ok


def test_other_paths_and_head(tmp_path: Path) -> None:
    with serve(health_of(threading.Event()), lambda: SqliteLog(tmp_path)) as port:
        assert get(port, "/")[0] == 404
        request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", method="HEAD")
        with urllib.request.urlopen(request, timeout=5) as answer:
            assert (answer.status, answer.read()) == (200, b"")


def test_the_images_probe_says_what_healthz_says(tmp_path: Path) -> None:
    health = health_of(threading.Event())
    with serve(health, lambda: SqliteLog(tmp_path)) as port:
        assert probe_image(port) == "networks are being loaded"
        health.loaded()
        health.turn(None)
        assert probe_image(port) == ""
    assert probe_image(port) == ""  # nobody listens: a command that serves no health


def test_the_images_probe_does_not_wait_for_ever() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert "timed out" in probe_image(silent.getsockname()[1], timeout_s=0.2)


def test_a_busy_port_is_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["worker", "--log", str(tmp_path), "--health", str(port)]) == 2
    assert capfd.readouterr().err == f"strefer: --health cannot listen on 127.0.0.1:{port}: Address already in use\n"


def test_host_alone_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["worker", "--log", str(tmp_path), "--health-host", "0.0.0.0"]) == 2
    assert "--health-host goes with --health" in capfd.readouterr().err


@pytest.mark.slow
def test_the_command_serves_and_ends_in_order(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "stream.cli", "worker", "--log", str(tmp_path / "log"), "--health", "0"]
    child = subprocess.Popen(command, cwd=ROOT, env=environment(), stderr=subprocess.PIPE, text=True)
    with child:
        try:
            assert child.stderr is not None
            line = next(line for line in child.stderr if line.startswith("health: "))
            port = int(line.rpartition(":")[2].partition("/")[0])
            assert line == f"health: http://127.0.0.1:{port}/healthz\n"
            body = until("/readyz", port, 200, within_s=60)
            assert body["client_id"].endswith(f"-{child.pid}")
            os.kill(child.pid, signal.SIGTERM)
            assert child.wait(30) == 0
        finally:
            child.kill()
