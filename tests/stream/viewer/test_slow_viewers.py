"""A viewer that does not read makes nothing grow, and is told the newest when it does."""

from __future__ import annotations

import asyncio
import time
from contextlib import closing
from pathlib import Path

import msgspec

from stream.log.sqlite import SqliteLog
from stream.viewer.feeds import FeedLine, Feeds, Wall
from stream.viewer.index import FeedView
from stream.viewer.live import Viewer
from tests.stream.viewer.told_log import bodies, headers, send_chunk, send_events


class StuckSocket:
    """Takes a message when it is let to."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.calls = 0
        self.reads = asyncio.Event()
        self.said = ['{"feed": "door"}']

    async def send_text(self, data: str) -> None:
        self.calls += 1
        await self.reads.wait()
        self.sent.append(data)

    async def receive_text(self) -> str:
        if self.said:
            return self.said.pop()
        await asyncio.Event().wait()
        raise AssertionError


def test_a_slow_viewer_is_told_once_what_it_missed(tmp_path: Path) -> None:
    async def look(log: SqliteLog, feeds: Feeds) -> None:
        socket = StuckSocket()
        viewer = asyncio.create_task(Viewer(socket, feeds).serve())
        while socket.calls == 0:
            await asyncio.sleep(0.01)
        for seq in range(1, 60):
            told = list(bodies(headers()[2]))
            send_events(log, "door", seq, told)
        until = time.monotonic() + 10
        while len(feeds.since("door", 0).chunks) < 60 and time.monotonic() < until:
            await asyncio.sleep(0.02)
        assert socket.calls == 1, "one message waits, and nothing behind it"
        socket.reads.set()
        while not any('"type":"feed"' in text for text in socket.sent):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.5)
        views = [msgspec.json.decode(t, type=FeedView) for t in socket.sent if '"type":"feed"' in t]
        assert len(views[0].chunks) == 60
        assert len(socket.sent) <= 6
        viewer.cancel()
        await asyncio.gather(viewer, return_exceptions=True)

    with closing(SqliteLog(tmp_path)) as log:
        send_chunk(log, "door", 0)
        feeds = Feeds(log, every_s=0.01)
        feeds.start()
        try:
            while not feeds.wall().feeds:
                time.sleep(0.01)
            asyncio.run(asyncio.wait_for(look(log, feeds), 60))
        finally:
            feeds.close()
        assert not feeds._listeners, "who has left is forgotten"


def test_a_feed_that_falls_silent_is_seen(tmp_path: Path) -> None:
    later_s = 0.0

    def now_s() -> float:
        return time.time() + later_s

    with closing(SqliteLog(tmp_path)) as log:
        send_chunk(log, "door", 0)
        feeds = Feeds(log, every_s=0.01, wall=now_s)
        feeds.start()
        try:
            while feeds.wall() == Wall([], "") or feeds.wall().feeds[0].seq < 0:
                time.sleep(0.01)
            later_s = 62.0
            end_us = headers()[0].duration_us
            assert feeds.wall().feeds == [FeedLine("door", 0, 0, end_us, 2, "", 60)]
        finally:
            feeds.close()
