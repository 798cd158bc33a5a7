"""The viewer's server: whoever holds a connection and does not ask, or does not read, is let go of."""

from __future__ import annotations

import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from websockets.sync.client import connect

from stream.viewer import serve
from tests.stream.viewer.asking import comes_to_be

Say = Callable[[Any], Awaitable[None]]


class App:
    """Says ok; at /much more than any buffer takes; on a WebSocket what it hears."""

    def __init__(self) -> None:
        self.left = threading.Event()
        """Who asked for much has gone."""

    async def __call__(self, scope: Any, receive: Any, send: Say) -> None:
        if scope["type"] == "lifespan":
            while (await receive())["type"] != "lifespan.shutdown":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
        elif scope["type"] == "websocket":
            while (heard := await receive())["type"] != "websocket.disconnect":
                told = {"type": "websocket.send", "text": heard.get("text")}
                await send({"type": "websocket.accept"} if heard["type"] == "websocket.connect" else told)
        else:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for _ in range(64 if scope["path"] == "/much" else 0):
                await send({"type": "http.response.body", "body": bytes(1 << 20), "more_body": True})
            await send({"type": "http.response.body", "body": b"ok"})
            if scope["path"] == "/much":
                self.left.set()


@contextmanager
def serving(app: Any) -> Iterator[int]:
    """The port of a server of this app."""
    stop, up = threading.Event(), threading.Event()
    with closing(serve.listen("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve.serve, args=(app, listening, stop, up.set))
        thread.start()
        try:
            assert up.wait(30)
            yield listening.getsockname()[1]
        finally:
            stop.set()
            thread.join()


def hold(port: int, say: bytes = b"") -> socket.socket:
    held = socket.create_connection(("127.0.0.1", port), timeout=60)
    held.sendall(say)
    return held


def answers(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/", timeout=60) as answer:
            return bool(answer.read() == b"ok")
    except (URLError, ConnectionError):
        return False


@pytest.mark.slow
@pytest.mark.parametrize("say", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"])
def test_who_does_not_ask_makes_room_for_others(monkeypatch: pytest.MonkeyPatch, say: bytes) -> None:
    monkeypatch.setattr(serve, "MAX_CONNECTIONS", 4)
    monkeypatch.setattr(serve, "ASKED_WITHIN_S", 1.0)
    with serving(App()) as port:
        held = [hold(port, say) for _ in range(4)]
        assert [one.recv(1) for one in held] == [b""] * 4, "each is closed"
        comes_to_be(lambda: answers(port))
        for one in held:
            one.close()


@pytest.mark.slow
def test_who_does_not_read_is_let_go_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "ANSWERED_WITHIN_S", 1.0)
    app = App()
    with serving(app) as port, closing(hold(port, b"GET /much HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")):
        assert app.left.wait(60)


def test_a_websocket_may_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "ASKED_WITHIN_S", 1.0)
    monkeypatch.setattr(serve, "ANSWERED_WITHIN_S", 1.0)
    with serving(App()) as port, connect(f"ws://127.0.0.1:{port}/", proxy=None) as viewer:
        with closing(hold(port)) as later:
            assert later.recv(1) == b"", "the time of all that came before it is over, too"
        viewer.send("still there")
        assert viewer.recv(timeout=60) == "still there"
