"""`/healthz`, `/readyz` and `/metrics` of a worker over HTTP, and the thread that asks the log how much waits."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from engines.errors import UserError
from stream.health import Health
from stream.health_metrics import Metrics
from stream.log import Log

LAG_EVERY_S = 5.0


@contextmanager
def serving(
    health: Health,
    *,
    host: str,
    port: int,
    open_log: Callable[[], Log],
    group: str,
    topics: Sequence[str],
    registry: CollectorRegistry | None = None,
    every_s: float = LAG_EVERY_S,
) -> Iterator[int]:
    """Serve until the block is left; gives the port (port 0 takes a free one). Raises UserError where it is taken.

    registry: of figures that /metrics tells beside the health's own.

    The log is watched through one of its own, opened by the watching thread: a worker's consumer is not thread-safe,
    and a log that hangs must hold up neither the worker nor a probe.
    """
    try:
        server = _Server(health, host, port, registry or CollectorRegistry())
    except OSError as e:
        raise UserError(f"--health cannot listen on {host}:{port}: {e.strerror or e}") from None
    over = threading.Event()
    watch = threading.Thread(
        target=_watch, args=(health, open_log, group, topics, every_s, over), name="health-log", daemon=True
    )
    serve = threading.Thread(target=server.serve_forever, args=(0.1,), name="health-http", daemon=True)
    watch.start()
    serve.start()
    try:
        yield server.server_address[1]
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        serve.join()
        watch.join(1.0)  # it may hang in the log; the process does not wait for it


def _watch(
    health: Health,
    open_log: Callable[[], Log],
    group: str,
    topics: Sequence[str],
    every_s: float,
    over: threading.Event,
) -> None:
    """Ask for the lag every few seconds until it is over. Whatever goes wrong is told and tried again."""
    while not over.is_set():
        try:
            with closing(open_log()) as log:
                while not over.is_set():
                    for topic in topics:
                        health.seen(topic, log.lag(group, topic))
                    over.wait(every_s)
        except Exception as e:
            health.away(str(e) or type(e).__name__)
            over.wait(every_s)


class _Server(socketserver.ThreadingTCPServer):
    """Not `HTTPServer`, which asks DNS for its own name before it serves."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False  # a client that says nothing must not hold up the end

    def __init__(self, health: Health, host: str, port: int, registry: CollectorRegistry) -> None:
        self.health, self.registry = health, registry
        self.registry.register(Metrics(health))
        self.address_family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        super().__init__((host, port), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = 5.0

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            encode, kind = choose_encoder(self.headers.get("Accept", ""))
            self._answer(HTTPStatus.OK, kind, encode(self.server.registry))
        elif path in ("/healthz", "/readyz"):
            verdict = self.server.health.alive() if path == "/healthz" else self.server.health.ready()
            status = HTTPStatus.OK if verdict.ok else HTTPStatus.SERVICE_UNAVAILABLE
            facts = msgspec.to_builtins(self.server.health.facts())
            body = {"ok": verdict.ok, "reason": verdict.reason, **facts}
            self._answer(status, "application/json", msgspec.json.encode(body) + b"\n")
        else:
            self._answer(HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", b"/healthz /readyz /metrics\n")

    do_HEAD = do_GET  # noqa: N815

    def _answer(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Probes come every few seconds: they are no news."""
