"""`strefer query`: what is asked of feeds, while they run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from engines.errors import UserError
from stream.cli_log import log_options
from stream.cli_table import echo_table
from stream.log import QUERIES, STATE, Log
from stream.log.place import Place

if TYPE_CHECKING:
    from stream.queries import Posted
    from stream.state import FeedState

_EPILOG = """\b
Examples:
  strefer query add --log run --feed door "the man in red"
  strefer query add --log run --all-feeds "the dog"
  strefer query add --log run --feed door "the zorilla" --as-it-is          (for workers with --llm)
  strefer query add --log run --feed door "the person" --roi 0.5,0,1,1      (who is in the right half)
  strefer query add --log run --feed door --roi "0,0.4 1,0.4 1,1 0,1"       (look nowhere else in this feed)
  strefer query list --log run
  strefer query remove --log run --feed door the-man-in-red
"""


@click.group(epilog=_EPILOG)
def query() -> None:
    """Ask feeds for entities while they run: add, list and remove queries.

    A worker reads them at every chunk: a new query is answered within two intervals of the detector (0.33 s) of the
    next one, as query.bound or query.ambiguous on video.annotations. Queries outlive restarts of workers.
    """


@query.command()
@click.argument("text", default="")
@click.option("--feed", metavar="ID", help="The feed that is asked; '*' for every feed.")
@click.option("--all-feeds", is_flag=True, help="The same as --feed '*'.")
@click.option("--id", "name", metavar="ID", help="The query's name in events.  [default: made of TEXT]")
@click.option("--roi", metavar="REGION",
              help="x0,y0,x1,y1 or 'x,y x,y x,y …' in fractions of the frame: with TEXT only who is in it answers; "
              "without TEXT nothing outside of it is detected.")  # fmt: skip
@click.option("--as-it-is", is_flag=True, help="Post TEXT unread: workers with --llm may understand more.")
@log_options
def add(
    place: Place, text: str, feed: str | None, all_feeds: bool, name: str | None, roi: str | None, as_it_is: bool
) -> None:
    """Ask a feed for TEXT, like "the man in red"; with --roi alone, mask the feed. Prints the query's id."""
    from stream.parse import parse
    from stream.posting import post
    from stream.queries import QueryRequest, encode_request
    from stream.region import parse_region

    feed, text = _feed(feed, all_feeds), text.strip()
    if not text and roi is None:
        raise UserError('a query wants an expression, like "the man in red", or a --roi')
    request = QueryRequest(text, parse_region(roi) if roi is not None else ())
    value = encode_request(request, understood=not as_it_is)
    if text and not as_it_is and (unknown := parse(text).unknown):
        click.echo(f"note: not understood, and without effect: {', '.join(unknown)}", err=True)
    log = place.open_existing()
    try:
        done = post(log, feed, request, value, name)
        if done.how == "there":
            click.echo(f"{done.query}: {_whose(feed)} asked that already")
        else:
            click.echo(f"{done.query}: {done.how}, {_whose(feed)} asked from the next chunk on")
    finally:
        log.close()


@query.command("list")
@click.option("--feed", metavar="ID", help="Only this feed's queries (and those of every feed).")
@log_options
def list_queries(place: Place, feed: str | None) -> None:
    """The queries of the log, and what each is bound to now."""
    from stream.queries import EVERY_FEED, decode_request
    from stream.region import region_text

    log = place.open_existing()
    try:
        rows = []
        bound = _Answers(log)
        for p in _posted(log):
            if feed is not None and p.feed not in (feed, EVERY_FEED):
                continue
            try:
                asked = decode_request(p.value)
            except ValueError as e:
                rows.append((p.id, p.feed, f"({e})", "", "never: it does not read"))
                continue
            feeds = [p.feed] if p.feed != EVERY_FEED else [feed] if feed is not None else bound.feeds()
            answers = [a for f in feeds if asked.text and (a := bound.answer(f, p.id, asked.text, len(feeds) > 1))]
            now = "; ".join(answers) or _unanswered(asked.text)
            rows.append((p.id, p.feed, asked.text, region_text(asked.roi), now))
    finally:
        log.close()
    if not rows:
        click.echo(f"{place} holds no query" + (f" for {feed}" if feed else ""))
        return
    echo_table(("id", "feed", "text", "region", "now"), rows)


def _unanswered(text: str) -> str:
    from stream.parse import parse

    if not text:
        return "mask of the feed"
    try:
        parse(text)
    except UserError:
        return "nobody; only workers with --llm may read it"
    return "nobody yet"


@query.command()
@click.argument("name", metavar="ID")
@click.option("--feed", metavar="FEED", help="The feed it was asked of, where several have one of that id.")
@click.option("--all-feeds", is_flag=True, help="The same as --feed '*'.")
@log_options
def remove(place: Place, name: str, feed: str | None, all_feeds: bool) -> None:
    """Take a query back."""
    from stream.posting import drop

    log = place.open_existing()
    try:
        wanted = _feed(feed, all_feeds) if feed or all_feeds else None
        gone = drop(log, name, wanted)
        click.echo(f"{name}: removed, {_whose(gone.feed)} no longer asked")
    finally:
        log.close()


class _Answers:
    """What queries are bound to now, by the feeds' states: one read a feed, however many queries."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._states: dict[str, FeedState | None] = {}

    def feeds(self) -> list[str]:
        """Every feed that a worker has followed."""
        return sorted(key for key in self._log.table(STATE) if "/" not in key)  # the others are producers' and writers'

    def answer(self, feed: str, query: str, text: str, named: bool) -> str:
        """Whom a feed's query is bound to; '' for nobody yet. named: the feed is said too."""
        from stream.events import TOO_LATE

        if feed not in self._states:
            self._states[feed] = self._read(feed)
        state = self._states[feed]
        if state is None:
            return ""
        prefix = f"{feed}: " if named else ""
        found = next((q for q in state.refer.queries if (q.id, q.text) == (query, text)), None)
        if state.started and (found is None or not found.said_kind):
            return ""
        if found is None:
            return f"{prefix}nobody yet: the feed has ended"
        if not found.said_kind:
            return prefix + ("nobody: the feed has ended" if found.looked else TOO_LATE)
        called = {e.id: e.expression for e in (*state.follow.entities, *state.follow.gallery.dormant)}
        said = ", ".join(f"{i} ({called[i]})" if called.get(i) else str(i) for i in found.said)
        kind = "entity" if found.said_kind == "bound" else "ambiguous:"
        return f"{prefix}{kind} {said}"

    def _read(self, feed: str) -> FeedState | None:
        from stream.state import restore

        record = self._log.latest(STATE, feed)
        try:
            return restore(record.value) if record is not None else None
        except ValueError:
            return None  # the worker will say so


def _posted(log: Log) -> list[Posted]:
    from stream.queries import posted

    return list(posted(log.table(QUERIES)))


def _feed(feed: str | None, all_feeds: bool) -> str:
    from stream.log import check_name
    from stream.queries import EVERY_FEED

    if (feed is None) == (not all_feeds):
        raise UserError("a query wants either --feed ID or --all-feeds")
    return EVERY_FEED if feed is None or feed == EVERY_FEED else check_name(feed, "feed")


def _whose(feed: str) -> str:
    return "every feed is" if feed == "*" else f"feed {feed} is"
