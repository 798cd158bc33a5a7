"""How tests ask a viewer."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from starlette.testclient import TestClient, WebSocketTestSession

from stream.log import Log
from stream.viewer.feeds import Feeds
from stream.viewer.gate import Door
from stream.viewer.server import make_app

HERE = "http://127.0.0.1:8008"
ORIGIN = {"origin": HERE, "host": "127.0.0.1:8008"}


def client_of(log: Log, door: Door | None = None, *, read_only: bool = False) -> TestClient:
    app = make_app(Feeds(log, every_s=0.02), door or Door(), read_only=read_only)
    return TestClient(app, base_url=HERE)


def ready(client: TestClient, within_s: float = 60.0, **kwargs: Any) -> None:
    """Wait until the log has been read."""
    comes_to_be(lambda: client.get("/api/feeds/gate/chunks/1/masks", **kwargs).status_code == 200, within_s)


def comes_to_be(ask: Callable[[], bool], within_s: float = 60.0) -> None:
    until = time.monotonic() + within_s
    while not ask():
        assert time.monotonic() < until
        time.sleep(0.02)


def parts(body: bytes) -> list[tuple[int, np.ndarray]]:
    """(pts_us, picture) of each frame of an answer."""
    found = []
    at = 0
    while at < len(body):
        length, pts_us = struct.unpack_from("<Iq", body, at)
        picture = cv2.imdecode(np.frombuffer(body[at + 12 : at + 12 + length], np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None
        found.append((pts_us, np.asarray(picture)))
        at += 12 + length
    return found


def heard(socket: WebSocketTestSession, kind: str, fits: Callable[[Any], bool] = lambda _: True) -> Any:
    """The next message of a kind that fits."""
    for _ in range(100):
        message = socket.receive_json()
        if message["type"] == kind and fits(message):
            return message
    raise AssertionError(f"no {kind}")
