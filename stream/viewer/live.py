"""One viewer's WebSocket: it says which feed it watches, and is told what has changed since it was last told.

Nothing is queued for a viewer: while it does not read, the sending waits, and what has changed in the meantime is told
in one message then.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Protocol

import msgspec

from stream.viewer.feeds import Asked, Feeds, UnknownFeedError, Wall

AT_MOST_EVERY_S = 0.1


class Socket(Protocol):
    async def send_text(self, data: str) -> None: ...

    async def receive_text(self) -> str: ...


class Watch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A viewer's message: tell me of a feed ("" for the wall alone) what I have not seen, which is after `version`."""

    feed: str
    version: int = 0


class Asking(msgspec.Struct, frozen=True, tag="asked"):
    """The queries asked of the feed that is watched."""

    feed: str
    asked: list[Asked]


class Unknown(msgspec.Struct, frozen=True, tag="unknown"):
    """There is no such feed (yet)."""

    feed: str


class Viewer:
    """What one viewer watches and has been told."""

    def __init__(self, socket: Socket, feeds: Feeds) -> None:
        self._socket, self._feeds = socket, feeds
        self._news = asyncio.Event()
        self._watch = Watch("")
        self._wall: Wall | None = None
        self._asking: Asking | None = None
        self._unknown = ""

    async def serve(self) -> None:
        """Until the viewer leaves, which raises what the socket raises. Raises ValueError where it says what it may
        not."""
        loop = asyncio.get_running_loop()

        def known() -> None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._news.set)

        deaf = self._feeds.listen(known)
        tasks = [asyncio.create_task(self._hear()), asyncio.create_task(self._tell())]
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            deaf()
            for task in tasks:
                task.cancel()
                task.add_done_callback(_heard_out)
        for task in ended:
            task.result()

    async def _hear(self) -> None:
        while True:
            try:
                self._watch = msgspec.json.decode(await self._socket.receive_text(), type=Watch)
            except KeyError:  # Starlette's, for a message of bytes
                raise ValueError("not a viewer's message: wanted text") from None
            except msgspec.MsgspecError as e:
                raise ValueError(f"not a viewer's message: {e}") from None
            self._asking, self._unknown = None, ""
            self._news.set()

    async def _tell(self) -> None:
        while True:
            self._news.clear()
            wall = self._feeds.wall()
            if wall != self._wall:
                self._wall = wall
                await self._send(wall)
            if self._watch.feed:
                await self._tell_feed(self._watch)
            await self._news.wait()
            await asyncio.sleep(AT_MOST_EVERY_S)

    async def _tell_feed(self, watch: Watch) -> None:
        try:
            view = self._feeds.since(watch.feed, watch.version)
        except UnknownFeedError:
            if self._unknown != watch.feed:
                self._unknown = watch.feed
                await self._send(Unknown(watch.feed))
            return
        if view.full or view.version > watch.version:
            if self._watch is watch:
                self._watch = Watch(watch.feed, view.version)
            await self._send(view)
        asking = Asking(watch.feed, self._feeds.asked(watch.feed))
        if asking != self._asking:
            self._asking = asking
            await self._send(asking)

    async def _send(self, message: msgspec.Struct) -> None:
        await self._socket.send_text(msgspec.json.encode(message).decode())


def _heard_out(task: asyncio.Task[None]) -> None:
    """Both may fail when a viewer leaves; one failure is told, and the other is no news."""
    if not task.cancelled():
        task.exception()
