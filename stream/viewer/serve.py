"""Runs the viewer's app over HTTP until it is told to stop."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from engines.errors import UserError
from stream.viewer.gate import Gate

MAX_CONNECTIONS = 256
ASKED_WITHIN_S = 10.0
"""From a connection to the head of its first request: who says nothing holds a place from others."""
ANSWERED_WITHIN_S = 75.0
"""From there, or from the answer before, to the end of an answer: longer than `reading.WITHIN_S`."""
MAX_MESSAGE_BYTES = 4096
"""Of what a viewer says on its WebSocket."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket (port 0 takes a free one). Raises UserError where it cannot be had."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=64)
    except OSError as e:
        why = e.strerror if isinstance(e, socket.gaierror) else os.strerror(e.errno or 0)
        raise UserError(f"cannot listen on {host}:{port}: {why}; choose another --port or --host") from None


def serve(app: Gate, listening: socket.socket, stop: threading.Event, ready: Callable[[], None]) -> None:
    """Until `stop` is set; viewers that are still there then have two seconds to leave."""
    config = uvicorn.Config(
        app, http=_InTime, ws="websockets-sansio", log_level="error", access_log=False, server_header=False,
        proxy_headers=False, limit_concurrency=MAX_CONNECTIONS, ws_max_size=MAX_MESSAGE_BYTES,
        timeout_graceful_shutdown=2,
    )  # fmt: skip
    server = _Server(config)

    def leave() -> None:
        stop.wait()
        server.should_exit = True

    threading.Thread(target=leave, name="view-stop", daemon=True).start()
    ready()
    server.run([listening])


class _InTime(H11Protocol):
    """Ends a connection that takes longer than it may. uvicorn limits only what is idle behind an answer, and a byte
    lifts that."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._within(ASKED_WITHIN_S)

    def data_received(self, data: bytes) -> None:
        silent = self.cycle is None
        super().data_received(data)
        if silent and self.cycle is not None:
            self._within(ANSWERED_WITHIN_S)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._within(ANSWERED_WITHIN_S)

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self._within(None)
        super().handle_websocket_upgrade(event)

    def connection_lost(self, exc: Exception | None) -> None:
        self._within(None)
        super().connection_lost(exc)

    def _within(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self.transport.abort)


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the command's, which sets `stop`."""
        yield
