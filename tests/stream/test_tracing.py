"""One trace from capture to events, over a real collector's protocol; and nothing at all where nobody asked."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from engines.errors import UserError
from producers.produce import produce
from producers.sources import open_sources
from stream.cli import main
from stream.decode.pyav import PyAVDecoder
from stream.log import ANNOTATIONS, CHUNKS
from stream.log.sqlite import SqliteLog
from stream.pipeline import Pipeline
from stream.tracing import spans
from stream.worker import Worker
from tests.running import drain, environment, networks

SCENE = "synthetic:cut?seconds=2&size=64x64&fps=5"


class Collector(ThreadingHTTPServer):
    """What an OpenTelemetry collector is over HTTP, as far as traces go."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(handler) -> None:  # noqa: N805
                assert handler.path == "/v1/traces"
                sent = ExportTraceServiceRequest()
                sent.ParseFromString(handler.rfile.read(int(handler.headers["Content-Length"])))
                self.spans += [s for r in sent.resource_spans for scope in r.scope_spans for s in scope.spans]
                handler.send_response(200)
                handler.send_header("Content-Length", "0")
                handler.end_headers()

            def log_message(handler, format: str, *args: object) -> None:  # noqa: N805
                pass

        super().__init__(("127.0.0.1", 0), Handler)


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def run(folder: Path, address: str | None) -> SqliteLog:
    log = SqliteLog(folder)
    for_producer, for_worker = spans(address, service="p"), spans(address, service="w")
    produce(open_sources([SCENE]), "door", log, spans=for_producer)
    with closing(Worker(log, Pipeline(networks()), PyAVDecoder(), spans=for_worker)) as worker:
        drain(worker, log)
    for one in (for_producer, for_worker):
        one.close()
    return log


def test_one_trace_from_capture_to_events(tmp_path: Path, collector: Collector) -> None:
    with closing(run(tmp_path, f"http://127.0.0.1:{collector.server_port}/")) as log:
        chunks, events = list(log.read(CHUNKS)), list(log.read(ANNOTATIONS))
    by_id = {s.span_id.hex(): s for s in collector.spans}
    assert sorted(s.name for s in collector.spans) == ["follow"] * 3 + ["produce"] * 3
    for record in chunks:
        _, trace, span, _ = record.headers["traceparent"].split("-")
        produced = by_id[span]
        assert (produced.name, produced.trace_id.hex()) == ("produce", trace)
        (followed,) = [s for s in collector.spans if s.parent_span_id.hex() == span]
        assert (followed.name, followed.trace_id.hex()) == ("follow", trace)
        assert produced.start_time_unix_nano <= followed.start_time_unix_nano < followed.end_time_unix_nano
        told = {a.key: a.value for a in followed.attributes}
        assert told["feed"].string_value == "door"
        if record.value:
            assert told["stage_us.detect"].int_value > 0
        seq = told["seq"].int_value
        mine = [e for e in events if e.headers["ce_id"].startswith(f"door/{seq}/")]
        assert mine
        assert {e.headers["traceparent"].split("-")[2] for e in mine} == {followed.span_id.hex()}


def test_untraced_there_is_no_header(tmp_path: Path) -> None:
    with closing(run(tmp_path, None)) as log:
        assert not [r for topic in (CHUNKS, ANNOTATIONS) for r in log.read(topic) if "traceparent" in r.headers]


@pytest.mark.slow
def test_a_collector_that_is_away_costs_spans_only(tmp_path: Path) -> None:
    program = [sys.executable, "-m", "stream.cli", "produce", SCENE, "--feed", "door", "--log", str(tmp_path)]
    done = subprocess.run([*program, "--traces", "http://127.0.0.1:9"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert "2 chunks written" in done.stdout


@pytest.mark.parametrize("address", ["collector:4318", "ftp://x", "http://", "http://[bad"])
def test_an_address_that_is_none_is_one_line(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["worker", "--log", "x", "--traces", address]) == 2
    assert capsys.readouterr().err.startswith(f"strefer: --traces {address}: wanted an address")


def test_without_opentelemetry_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(UserError, match=r"\.\[tracing\]"):
        spans("http://127.0.0.1:4318", service="x")


@pytest.mark.slow
def test_json_logs_are_json_with_feed_and_seq(tmp_path: Path) -> None:
    with closing(SqliteLog(tmp_path)) as log:
        produce(open_sources([SCENE]), "door", log)
    program = [sys.executable, "-m", "stream.cli", "--log-format", "json", "worker", "--log", str(tmp_path), "--drain"]
    done = subprocess.run(program, capture_output=True, text=True, timeout=120, env=environment())
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(x["event"], x["feed"], x["seq"], x["level"]) for x in lines] == [
        ("feed begun", "door", 0, "info"), *(("message done", "door", seq, "info") for seq in range(3)),
    ]  # fmt: skip
    assert all(x["timestamp"].endswith("Z") for x in lines)
