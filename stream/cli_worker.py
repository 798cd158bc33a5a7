"""`strefer worker`: follow the feeds of a log until stopped."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import click

from engines.errors import UserError
from stream.cli_log import log_options
from stream.cli_models import model_options
from stream.cli_profile import Profile, profile_options
from stream.log.place import Place, client_name

if TYPE_CHECKING:
    from stream.ask import Models
    from stream.health import Health

_EPILOG = """\b
Examples:
  strefer worker --log run
  strefer worker --log run --drain                 (stop when nothing is left to do)
  strefer worker --kafka broker1:9092,broker2:9092
  strefer worker --log run --profile sam2          (masks by SAM 2.1; docs/sam2.md)
  strefer worker --log run --health 8080           (http://127.0.0.1:8080/readyz)
  strefer worker --log run --vlm http://127.0.0.1:8000/v1 --vlm-model qwen2.5-vl
"""


@click.command(epilog=_EPILOG)
@log_options
@click.option("--group", default="strefer", show_default=True, help="Consumer group: its workers share the feeds.")
@click.option("--keep-gb", type=click.FloatRange(min=0.1), default=20.0, show_default=True, metavar="GB",
              help="Of the embedded log: finished chunks beyond this go, oldest first; events are kept.")  # fmt: skip
@click.option("--session", "session_s", type=click.FloatRange(min=0.5), default=30.0, show_default=True, metavar="S",
              help="A worker not heard of for this long has its feeds given to others, seconds.")  # fmt: skip
@click.option("--drain", is_flag=True, help="Stop when every message is done.")
@click.option("--health", "health_port", type=click.IntRange(0, 65535), metavar="PORT",
              help="Serve /healthz, /readyz and /metrics over HTTP on this port; 0 takes a free one.")  # fmt: skip
@click.option("--health-host", metavar="HOST",
              help="Address --health listens on, 0.0.0.0 for all.  [default: 127.0.0.1]")  # fmt: skip
@click.option("--health-limit", "health_limit_s", type=click.FloatRange(min=1), default=60.0, show_default=True,
              metavar="S", help="Longest a message may take before /healthz says no, seconds.")  # fmt: skip
@profile_options
@model_options
def worker(
    place: Place,
    models: Models,
    profile: Profile,
    group: str,
    keep_gb: float,
    session_s: float,
    drain: bool,
    health_port: int | None,
    health_host: str | None,
    health_limit_s: float,
) -> None:
    """Follow the feeds of a log: chunks in, annotation events out.

    Start as many as the machine holds: each feed is one worker's at a time. A worker may be killed at any moment;
    another, or the same one started again, goes on without losing or doubling an event.
    """
    from producers.cli import stop_on_signals
    from stream.cli_table import plain
    from stream.decode.pyav import PyAVDecoder
    from stream.log import CHUNKS, LogAwayError
    from stream.log.sqlite import Retention
    from stream.pipeline import Pipeline
    from stream.runtime import settle
    from stream.worker import Done, Worker

    if health_host is not None and health_port is None:
        raise UserError("--health-host goes with --health")
    new = not place.exists()
    if drain:
        place.must_exist()
    stop = stop_on_signals()
    health = _health(place, group, stop, port=health_port, host=health_host or "127.0.0.1", limit_s=health_limit_s)
    log = place.open(retain={CHUNKS: Retention(keep_bytes=round(keep_gb * 1e9))})
    if new:
        click.echo(f"{place} is new and holds no feed yet: waiting for one", err=True)
    settle()
    networks, segmenter = profile.networks(), profile.segmenter()
    for line in networks.missing:
        click.echo(f"note: {line}", err=True)
    health.loaded()
    pipeline = Pipeline(networks, models=models, segmenter=segmenter)
    one = Worker(log, pipeline, PyAVDecoder(), group=group, session_s=session_s)

    def finished(done: Done | None) -> bool:
        health.turn(done)
        if done is not None:
            click.echo(
                f"{plain(done.feed)}: {done.at_us / 1e6:.2f} s, {done.events} events"
                + (" (ended)" if done.ended else "")
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
    click.echo(
        "stopped: what was not committed is done by who comes next" if stop.is_set() else "nothing is left to do"
    )


def _health(place: Place, group: str, stop: threading.Event, *, port: int | None, host: str, limit_s: float) -> Health:
    """What the worker tells of itself; served, where there is a port, until the command ends, whichever way it does."""
    from stream.health import Health
    from stream.health_server import serving
    from stream.log import CHUNKS

    health = Health(client_id=client_name(), group=group, stop=stop, limit_s=limit_s)
    if port is not None:
        server = serving(health, host=host, port=port, open_log=place.open, group=group, topics=[CHUNKS])
        port = click.get_current_context().with_resource(server)
        click.echo(f"health: http://{f'[{host}]' if ':' in host else host}:{port}/healthz", err=True)
    return health
