"""`strefer instruct --log DIR` or `--kafka`: pairs of a log's annotations into its instructions, as they come."""

from __future__ import annotations

import time
from contextlib import suppress

import click

from instruct.make import Options
from instruct.stream import Instructor, Made
from stream.log import LogAwayError
from stream.log.place import Place

QUIET_S = 3.0
"""After so long without an event nothing is left: a broker takes its time for the first one."""


def follow(place: Place, options: Options, *, least_clip_us: int, group: str, drain: bool, quiet: bool) -> None:
    """Run until stopped by a signal, or with `drain` until nothing is left."""
    from producers.cli import stop_on_signals

    if drain:
        place.must_exist()
    stop = stop_on_signals()
    log = place.open()
    one = Instructor(log, options, least_clip_us=least_clip_us, group=group)
    busy_s = time.monotonic()

    def finished(made: list[Made]) -> bool:
        nonlocal busy_s
        busy_s = busy_s if one.idle else time.monotonic()
        for m in made:
            if not quiet:
                click.echo(f"{m.feed}: {m.start_us / 1e6:.2f} to {m.end_us / 1e6:.2f} s, {m.pairs} pairs")
        return stop.is_set() or (drain and time.monotonic() - busy_s > QUIET_S)

    try:
        one.run(until=finished)
    finally:
        one.close()
        with suppress(LogAwayError):
            log.close()
    if not quiet:
        click.echo("stopped: who comes next goes on from here" if stop.is_set() else "nothing is left to do")
