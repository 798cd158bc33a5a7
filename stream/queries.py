"""Queries of the log: what users ask of feeds while they run, and how it comes into a feed's state.

A message of `video.queries` has the key `feed/id` (feed `*` for every feed) and a `QueryRequest` as its value; an empty
value takes it back. A feed's own query goes before one of `*` with the same id.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache

import msgspec

from stream import refer
from stream.events import Body, Error
from stream.expression import Expression
from stream.parse import check_text, parse
from stream.region import Polygon, check_region
from stream.state import FeedState

EVERY_FEED = "*"
MAX_QUERIES = 64
"""Queries of one feed, those of every feed and masks included. What is asked beyond them is told as an error."""


class QueryRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is asked: an expression, in a region where one is given; a region alone is the feed's mask."""

    text: str = ""
    roi: Polygon = ()


class Posted(msgspec.Struct, frozen=True):
    """A query as it lies in the log."""

    feed: str
    id: str
    value: bytes

    @property
    def key(self) -> str:
        return f"{self.feed}/{self.id}"


Read = Callable[[str], tuple[Expression | None, list[Body]]]
"""Reads an expression: what it says, None for what `parse` says, and what is to be told of it. Raises UserError."""


def encode_request(request: QueryRequest, *, understood: bool = True) -> bytes:
    """The message's value. Raises UserError where the request asks for nothing that is understood; with `understood`
    false words nobody here knows pass, since a worker may know more."""
    _check(request)
    if understood and request.text:
        parse(request.text)
    return msgspec.json.encode(request)


@lru_cache(maxsize=1024)  # the same values are read at every chunk
def decode_request(value: bytes) -> QueryRequest:
    """Raises ValueError where it is no request, or can be none whoever reads it."""
    try:
        request = msgspec.json.decode(value, type=QueryRequest)
    except msgspec.MsgspecError as e:
        raise ValueError(f"not a query: {e}") from None
    _check(request)
    return request


def _check(request: QueryRequest) -> None:
    if request.text or not request.roi:
        check_text(request.text)
    if request.roi:
        check_region(request.roi)


def by_default(text: str) -> tuple[Expression | None, list[Body]]:
    """Read by the default parser alone."""
    parse(text)
    return None, []


def posted(table: Mapping[str, bytes]) -> Iterator[Posted]:
    """The queries of the whole log, by feed and id. Keys that are none are left out."""
    for key in sorted(table):
        feed, slash, query = key.partition("/")
        if slash and feed and query:
            yield Posted(feed, query, table[key])


def update(state: FeedState, table: Mapping[str, bytes], read: Read = by_default) -> list[Body]:
    """Bring a feed's state up to what `video.queries` says now. One that does not read is an error, told once.

    A text is read when it is new; how it was read then is kept in the state.
    """
    mine: dict[str, Posted] = {}
    for p in sorted(posted(table), key=lambda p: (p.feed != EVERY_FEED, p.id)):  # its own go before those of every feed
        if p.feed in (state.feed, EVERY_FEED):
            mine[p.id] = p
    known = {q.id: (q.text, q.roi) for q in state.refer.queries}
    readings: dict[str, Expression | None] = {}
    wanted: dict[str, QueryRequest] = {}
    unread: dict[str, int] = {}
    events: list[Body] = []
    for p in sorted(mine.values(), key=lambda p: (p.id not in known, p.id)):
        try:
            request = decode_request(p.value)
            if len(wanted) == MAX_QUERIES:
                raise ValueError(f"this feed is asked {MAX_QUERIES} queries already")
            if request.text and known.get(p.id) != (request.text, request.roi):
                readings[p.id], told = read(request.text)
                events += told
            wanted[p.id] = request
        except ValueError as e:
            unread[p.key] = zlib.crc32(p.value)
            if state.unread_queries.get(p.key) != unread[p.key]:
                events.append(Error(stage="query", code="malformed", message=f"query {p.id}: {e}", seq=None))
    state.unread_queries = unread
    asked = {i: r for i, r in sorted(wanted.items()) if r.text}
    for q in [q.id for q in state.refer.queries if q.id not in asked]:
        events += refer.remove(state.refer, q)
    new = [i for i, r in asked.items() if known.get(i) != (r.text, r.roi)]
    for i in new:
        events += refer.remove(state.refer, i, "asked anew")
        refer.add(state.refer, i, asked[i].text, asked[i].roi, readings[i])
    masks = [r.roi for _, r in sorted(wanted.items()) if not r.text]
    if new or masks != state.scan.masks:
        state.scan = msgspec.structs.replace(state.scan, masks=masks, detected_us=-1)  # look at once
    return events
