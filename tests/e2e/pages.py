"""The viewer's page as tests open it and look at it."""

from __future__ import annotations

import base64
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import cv2
import numpy as np
from playwright.sync_api import Browser, Page, expect

from stream.chunk import Chunk, ChunkHeader, decode_header
from stream.decode.pyav import PyAVDecoder
from stream.log import CHUNKS
from stream.log.sqlite import SqliteLog
from tests.e2e.programs import start


@contextmanager
def opened(browser: Browser, address: str, *, width: int = 1440, height: int = 900) -> Iterator[Page]:
    """A page that must log no error: a violation of its content security policy is one."""
    troubles: list[str] = []
    page = browser.new_page(viewport={"width": width, "height": height})
    page.set_default_timeout(60_000)
    expect.set_options(timeout=60_000)
    page.on("pageerror", lambda e: troubles.append(str(e)))
    page.on("console", lambda m: troubles.append(m.text) if m.type in ("error", "warning") else None)
    try:
        page.goto(address)
        yield page
    finally:
        page.close()
    lost = ("ERR_CONNECTION_REFUSED", "WebSocket connection")  # while the server is away
    assert not [t for t in troubles if not any(word in t for word in lost)]


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        return int(taken.getsockname()[1])


@contextmanager
def viewing(folder: Path, port: int, *options: str) -> Iterator[str]:
    viewer = start("view", "--log", str(folder), "--port", str(port), *options)
    try:
        until = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert time.monotonic() < until
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/"
    finally:
        viewer.terminate()
        viewer.wait(30)


def canvas_of(page: Page, which: str = "#stage") -> np.ndarray:
    """What is on a canvas, [H, W, 3] int."""
    data = page.locator(which).evaluate("canvas => canvas.toDataURL('image/png')")
    png = np.frombuffer(base64.b64decode(data.partition(",")[2]), np.uint8)
    return np.asarray(cv2.imdecode(png, cv2.IMREAD_COLOR)).astype(int)


def drawn(page: Page) -> tuple[int, np.ndarray, np.ndarray]:
    """What a paused page shows: the frame's time, the picture with its masks, and without them."""
    page.wait_for_timeout(150)
    with_masks, pts_us = canvas_of(page), int(page.locator("#stage").get_attribute("data-pts-us") or -1)
    hides = page.locator("button.hide")
    for i in range(hides.count()):
        hides.nth(i).click()
    page.wait_for_timeout(150)
    plain = canvas_of(page)
    for i in range(hides.count()):
        hides.nth(i).click()
    assert int(page.locator("#stage").get_attribute("data-pts-us") or -1) == pts_us
    return pts_us, with_masks, plain


def pictures(folder: Path) -> dict[int, np.ndarray]:
    """All frames of bedroom by time, [H, W, 3] BGR."""
    found: dict[int, np.ndarray] = {}
    with closing(SqliteLog(folder)) as log:
        for record in log.read(CHUNKS, key="bedroom"):
            header = decode_header(dict(record.headers))
            if isinstance(header, ChunkHeader):
                for frames in PyAVDecoder().decode(Chunk(header, record.value)):
                    for rgb, pts_us in zip(frames.host(), frames.pts_us.tolist(), strict=True):
                        found[pts_us] = rgb[:, :, ::-1].astype(int)
    return found
