"""`strefer worker`: follow the feeds of a log until stopped."""

from __future__ import annotations

import click

from engines.errors import UserError
from stream.cli_log import log_options
from stream.log.place import Place

_EPILOG = """\b
Examples:
  strefer worker --log run
  strefer worker --log run --drain                 (stop when nothing is left to do)
  strefer worker --kafka broker1:9092,broker2:9092
"""


@click.command(epilog=_EPILOG)
@log_options
@click.option("--group", default="strefer", show_default=True, help="Consumer group: its workers share the feeds.")
@click.option("--keep-gb", type=click.FloatRange(min=0.1), default=20.0, show_default=True, metavar="GB",
              help="Of the embedded log: finished chunks beyond this go, oldest first; events are kept.")  # fmt: skip
@click.option("--drain", is_flag=True, help="Stop when every message is done.")
def worker(place: Place, group: str, keep_gb: float, drain: bool) -> None:
    """Follow the feeds of a log: chunks in, annotation events out.

    Start as many as the machine holds: each feed is one worker's at a time. A worker may be killed at any moment;
    another, or the same one started again, goes on without losing or doubling an event.
    """
    from engines import lite
    from engines.store import environment_store
    from producers.cli import stop_on_signals
    from stream.decode.pyav import PyAVDecoder
    from stream.log import CHUNKS, LogAwayError
    from stream.log.sqlite import Retention
    from stream.pipeline import Pipeline
    from stream.runtime import settle
    from stream.worker import Done, Worker

    new = not place.exists()
    if new and drain:
        raise UserError(f"{place} holds no log: `strefer produce SOURCE --feed ID --log {place}` makes one")
    log = place.open(retain={CHUNKS: Retention(keep_bytes=round(keep_gb * 1e9))})
    if new:
        click.echo(f"{place} is new and holds no feed yet: waiting for one", err=True)
    settle()
    networks = lite.load(environment_store())
    for line in networks.missing:
        click.echo(f"note: {line}", err=True)
    stop = stop_on_signals()
    one = Worker(log, Pipeline(networks), PyAVDecoder(), group=group)

    def finished(done: Done | None) -> bool:
        if done is not None:
            click.echo(
                f"{done.feed}: {done.at_us / 1e6:.2f} s, {done.events} events" + (" (ended)" if done.ended else "")
            )
        return stop.is_set() or (drain and done is None and drained())

    def drained() -> bool:
        try:
            return log.lag(group, CHUNKS) == 0
        except LogAwayError:
            return False

    try:
        one.run(until=finished)
    finally:
        one.close()
        log.close()
