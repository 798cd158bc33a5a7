"""Runs the viewer's app over HTTP until it is told to stop."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from engines.errors import UserError
from stream.viewer.gate import Gate

MAX_CONNECTIONS = 256
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
        app, ws="websockets-sansio", log_level="error", access_log=False, server_header=False, proxy_headers=False,
        limit_concurrency=MAX_CONNECTIONS, ws_max_size=MAX_MESSAGE_BYTES, timeout_graceful_shutdown=2,
    )  # fmt: skip
    server = _Server(config)

    def leave() -> None:
        stop.wait()
        server.should_exit = True

    threading.Thread(target=leave, name="view-stop", daemon=True).start()
    ready()
    server.run([listening])


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the command's, which sets `stop`."""
        yield
