"""`strefer deadletter`: what became of messages no worker could use."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from engines.errors import UserError
from stream.cli_log import log_options
from stream.cli_table import echo_table
from stream.log import DEADLETTER, Log
from stream.log.place import Place

if TYPE_CHECKING:
    from stream.deadletter import DeadLetter

_EPILOG = """\b
Examples:
  strefer deadletter list --log run --feed door
  strefer deadletter show 3 --log run
  strefer deadletter replay 3 --log run
  strefer deadletter replay --all --feed door --log run
"""


@click.group(epilog=_EPILOG)
def deadletter() -> None:
    """List, show and replay messages no worker could use.

    Each lies in video.deadletter as it came, with its reason. A dead letter is named by its offset there.
    """


@deadletter.command("list")
@click.option("--feed", metavar="ID", help="Only this feed's.")
@log_options
def list_letters(place: Place, feed: str | None) -> None:
    """All dead letters, oldest first."""
    log = place.open_existing()
    try:
        rows = [
            (
                str(d.record.offset), d.feed, "-" if d.seq is None else str(d.seq),
                f"{d.topic}/{d.partition}/{d.offset}", _when(d),
                f"{len(d.record.value)} B" if d.whole else "left out", d.reason,
            )
            for d in _letters(log, feed)
        ]  # fmt: skip
    finally:
        log.close()
    if not rows:
        click.echo(f"{place} holds no dead letter" + (f" of {feed}" if feed else ""))
        return
    echo_table(("offset", "feed", "seq", "was at", "when", "size", "reason"), rows)


@deadletter.command()
@click.argument("offset", type=int)
@log_options
def show(place: Place, offset: int) -> None:
    """All headers of one dead letter, as JSON."""
    log = place.open_existing()
    try:
        dead = _one(log, offset)
    finally:
        log.close()
    shown = {"offset": offset, "key": dead.feed, "when": _when(dead), "bytes": len(dead.record.value)}
    click.echo(json.dumps({**shown, "headers": dict(dead.record.headers)}, indent=2, ensure_ascii=False))


@deadletter.command()
@click.argument("offset", type=int, required=False)
@click.option("--all", "every", is_flag=True, help="All dead letters, oldest first.")
@click.option("--feed", metavar="ID", help="With --all: only this feed's.")
@log_options
def replay(place: Place, offset: int | None, every: bool, feed: str | None) -> None:
    """Send dead letters back to their topic, for example after an update of the workers.

    A message goes back behind all that is there, with its own key, headers and value and the header
    strefer_replayed. Its feed takes it where it still waits for it: a chunk whose seq the feed has done, or passed over
    with a feed.gap, becomes a dead letter again ("seq 3 was done already") and changes nothing. A log deletes nothing:
    the old dead letter stays, and replayed twice it is sent twice.
    """
    from stream.deadletter import revive

    if (offset is None) == (not every) or (feed is not None and not every):
        raise UserError("replay wants the OFFSET of a dead letter, or --all and perhaps --feed ID")
    log = place.open_existing()
    try:
        found = False
        for dead in _letters(log, feed) if offset is None else [_one(log, offset)]:
            found = True
            message = revive(log, dead)
            with log.transaction() as tx:
                tx.send(message)
            click.echo(f"{dead.record.offset}: {dead.feed} sent to {place.prefix}{dead.topic} again")
        if not found:
            click.echo("there is nothing to replay")
    finally:
        log.close()


def _letters(log: Log, feed: str | None) -> Iterator[DeadLetter]:
    """One at a time: each may carry a whole chunk."""
    from stream.deadletter import read_letter

    for record in log.read(DEADLETTER, key=feed):
        try:
            yield read_letter(record)
        except ValueError as e:
            click.echo(f"note: {e}", err=True)


def _one(log: Log, offset: int) -> DeadLetter:
    for dead in _letters(log, None):
        if dead.record.offset == offset:
            return dead
    raise UserError(f"there is no dead letter {offset}: `strefer deadletter list` names them")


def _when(dead: DeadLetter) -> str:
    return datetime.fromtimestamp(dead.record.appended_wall_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S")
