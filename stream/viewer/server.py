"""The viewer's app: the page, chunks as JPEGs, masks, queries, and a WebSocket that tells what is new."""

from __future__ import annotations

import asyncio
import mimetypes
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib import resources
from typing import Annotated

import msgspec
from fastapi import Body, FastAPI, Path, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse, StreamingResponse

from engines.errors import UserError
from stream.decode import CorruptChunkError
from stream.log import LogAwayError
from stream.parse import LONGEST, parse
from stream.viewer.chunks import LostChunkError
from stream.viewer.feeds import AbsentError, EntityMasks, Feeds
from stream.viewer.frames import SIDES, BusyError, FrameStore, Shown, Wanted
from stream.viewer.gate import Door, Gate, Receive, Scope, Send
from stream.viewer.live import Viewer
from stream.viewer.reading import Readings, begun, parts

MAX_VIEWERS = 32
Seq = Annotated[int, Path(ge=0, lt=2**53)]


class QueryAdded(msgspec.Struct, frozen=True):
    """unknown: words of the text that are not understood, and without effect."""

    query: str
    unknown: list[str]


class ChunkMasks(msgspec.Struct, frozen=True):
    seq: int
    masks: list[EntityMasks]


def make_app(feeds: Feeds, door: Door, *, read_only: bool = False) -> Gate:
    """The app behind its gate. It closes `feeds` when it shuts down, but not their log."""
    store = FrameStore(feeds.find)

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        feeds.start()
        yield
        await asyncio.to_thread(store.close)
        await asyncio.to_thread(feeds.close)

    app = FastAPI(openapi_url=None, lifespan=life)
    _add_page(app)
    _add_reading(app, feeds, store)
    _add_asking(app, feeds, read_only=read_only)
    _add_socket(app, feeds)
    _add_errors(app)
    return Gate(app, door)


def _add_page(app: FastAPI) -> None:
    """The page's files are read once, by their names: no path of a request ever reaches the file system."""
    folder = resources.files("stream.viewer").joinpath("static")
    files = {f.name: f.read_bytes() for f in folder.iterdir() if f.is_file()}

    @app.get("/")
    async def page() -> Response:
        return Response(files["index.html"], media_type="text/html")

    @app.get("/static/{name}")
    async def static(name: str) -> Response:
        if name not in files:
            return _line(404, "there is no such file")
        return Response(files[name], media_type=mimetypes.guess_type(name)[0] or "application/octet-stream")


def _add_reading(app: FastAPI, feeds: Feeds, store: FrameStore) -> None:
    readings = Readings()

    @app.get("/api/feeds/{feed}/chunks/{seq}/frames")
    async def frames(feed: str, seq: Seq, side: int = 640, first: bool = False) -> Response:
        if side not in SIDES:
            return _line(400, f"side is {side}, wanted one of {', '.join(map(str, SIDES))}")
        feeds.has(feed, seq)
        shown = store.shown(Wanted(feed, seq, side, first))
        await begun(shown)
        if shown.trouble and not shown.parts:
            return _line(404, shown.trouble)
        return _Paced(shown, readings)

    @app.get("/api/feeds/{feed}/chunks/{seq}/masks")
    def masks(feed: str, seq: Seq) -> Response:
        return _json(ChunkMasks(seq, feeds.masks(feed, seq)))

    @app.get("/api/feeds/{feed}/entities/{entity}/picture")
    def picture(feed: str, entity: Seq) -> Response:
        return Response(store.picture(feed, *feeds.best(feed, entity)), media_type="image/png")


class _Paced(StreamingResponse):
    """A chunk at the reader's pace; cut short where that is too slow."""

    def __init__(self, shown: Shown, readings: Readings) -> None:
        super().__init__(parts(shown), media_type="application/octet-stream")
        self._readings = readings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with suppress(TimeoutError):
            async with self._readings.one():
                await super().__call__(scope, receive, send)


def _add_asking(app: FastAPI, feeds: Feeds, *, read_only: bool) -> None:
    no = "this viewer only shows (--read-only): ask with strefer query add"

    @app.post("/api/feeds/{feed}/queries")
    def ask(feed: str, text: Annotated[str, Body(embed=True, min_length=1, max_length=LONGEST)]) -> Response:
        if read_only:
            return _line(403, no)
        return _json(QueryAdded(feeds.ask(feed, text.strip()), list(parse(text.strip()).unknown)))

    @app.delete("/api/feeds/{feed}/queries/{query}")
    def take_back(feed: str, query: str) -> Response:
        if read_only:
            return _line(403, no)
        feeds.take_back(feed, query)
        return Response(status_code=204)


def _add_socket(app: FastAPI, feeds: Feeds) -> None:
    viewers: set[WebSocket] = set()

    @app.websocket("/ws")
    async def live(socket: WebSocket) -> None:
        full = len(viewers) >= MAX_VIEWERS
        viewers.add(socket)
        try:
            await socket.accept("strefer" if "strefer" in socket.scope.get("subprotocols", ()) else None)
            if full:
                await socket.close(1013, f"{MAX_VIEWERS} viewers look already")
            else:
                await Viewer(socket, feeds).serve()
        except ValueError as e:
            with suppress(RuntimeError):
                await socket.close(1007, str(e)[:120])
        except (WebSocketDisconnect, RuntimeError):  # it has left
            pass
        finally:
            viewers.discard(socket)


def _add_errors(app: FastAPI) -> None:
    """Whatever a request can cause is one line of text."""

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, e: RequestValidationError) -> Response:
        first = e.errors()[0]
        return _line(400, f"{first['loc'][-1]}: {first['msg']}")

    @app.exception_handler(UserError)
    async def mistaken(request: Request, e: UserError) -> Response:
        return _line(400, str(e))

    @app.exception_handler(AbsentError)
    async def absent(request: Request, e: AbsentError) -> Response:
        return _line(404, str(e))

    @app.exception_handler(CorruptChunkError)
    @app.exception_handler(LostChunkError)
    async def lost(request: Request, e: ValueError) -> Response:
        return _line(404, str(e))

    @app.exception_handler(BusyError)
    async def busy(request: Request, e: BusyError) -> Response:
        return PlainTextResponse(f"{e}: ask again\n", 503, {"retry-after": "1"})

    @app.exception_handler(LogAwayError)
    async def away(request: Request, e: LogAwayError) -> Response:
        return PlainTextResponse(f"{e}\n", 503, {"retry-after": "5"})


def _line(status: int, text: str) -> Response:
    return PlainTextResponse(" ".join(text.split()) + "\n", status)


def _json(body: msgspec.Struct) -> Response:
    return Response(msgspec.json.encode(body), media_type="application/json")
