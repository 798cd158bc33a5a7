"""Posting queries to a log and taking them back: what `strefer query` and the viewer do."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from engines.errors import UserError
from stream.log import QUERIES, Log, Message, check_name
from stream.queries import Posted, QueryRequest, posted


@dataclass(frozen=True, slots=True)
class Outcome:
    query: str
    how: Literal["added", "changed", "there"]


def post(log: Log, feed: str, request: QueryRequest, value: bytes, name: str | None = None) -> Outcome:
    """Post a request, `value` being its message, under a name or one made of its text. What a feed is asked already is
    not posted again. Raises UserError where the name is none."""
    there = {p.id: p for p in posted(log.table(QUERIES)) if p.feed == feed}
    same = [p.id for p in there.values() if p.value == value and name in (None, p.id)]
    if same:
        return Outcome(same[0], "there")
    query = _free(_slug(request.text) or "region", list(there)) if name is None else check_name(name, "query")
    with log.transaction() as tx:
        tx.send(Message(QUERIES, f"{feed}/{query}", value))
    return Outcome(query, "changed" if query in there else "added")


def drop(log: Log, name: str, feed: str | None) -> Posted:
    """Take a query back: a feed's, or that of any where only one has such a name. Raises UserError."""
    everything = list(posted(log.table(QUERIES)))
    found = [p for p in everything if p.id == name and feed in (None, p.feed)]
    if not found:
        known = ", ".join(sorted({p.id for p in everything if feed in (None, p.feed)})) or "none"
        raise UserError(f"there is no query {name!r}" + (f" of {feed}" if feed else "") + f"; known: {known}")
    if len(found) > 1:
        raise UserError(f"{name!r} is asked of {', '.join(p.feed for p in found)}: name one by --feed")
    with log.transaction() as tx:
        tx.send(Message(QUERIES, found[0].key, b""))
    return found[0]


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40].rstrip("-")


def _free(name: str, taken: Sequence[str]) -> str:
    """`name`, or `name-2` and so on where it is taken."""
    return next(n for n in (name, *(f"{name}-{i}" for i in range(2, len(taken) + 3))) if n not in taken)
