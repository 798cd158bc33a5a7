"""`strefer worker`: follow the feeds of a log until stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import structlog

from engines.errors import UserError
from engines.finite import Finite
from stream.cli_log import log_options, traces_option
from stream.cli_models import model_options
from stream.cli_profile import Profile, profile_options
from stream.log.place import Place, client_name

if TYPE_CHECKING:
    from engines.together import BatchCounts
    from stream.ask import Models
    from stream.health import Health
    from stream.metrics import WorkerMetrics

_EPILOG = """\b
Examples:
  strefer worker --log run
  strefer worker --log run --drain                 (stop when nothing is left to do)
  strefer worker --kafka broker1:9092,broker2:9092
  strefer worker --log run --profile sam2          (masks by SAM 2.1; docs/sam2.md)
  strefer worker --log run --profile sam2 --parallel 16 --max-batch-wait 10
  strefer worker --log run --health 8080           (http://127.0.0.1:8080/readyz)
  strefer worker --log run --vlm http://127.0.0.1:8000/v1 --vlm-model qwen2.5-vl
"""


@click.command(epilog=_EPILOG)
@log_options
@click.option("--group", default="strefer", show_default=True, help="Consumer group: its workers share the feeds.")
@click.option("--keep-gb", type=Finite(min=0.1), default=20.0, show_default=True, metavar="GB",
              help="Of the embedded log: finished chunks beyond this go, oldest first; events are kept.")  # fmt: skip
@click.option("--session", "session_s", type=Finite(min=0.5), default=30.0, show_default=True, metavar="S",
              help="A worker not heard of for this long has its feeds given to others, seconds.")  # fmt: skip
@click.option("--drain", is_flag=True, help="Stop when every message is done.")
@click.option("--health", "health_port", type=click.IntRange(0, 65535), metavar="PORT",
              help="Serve /healthz, /readyz and /metrics over HTTP on this port; 0 takes a free one.")  # fmt: skip
@click.option("--health-host", metavar="HOST",
              help="Address --health listens on, 0.0.0.0 for all.  [default: 127.0.0.1]")  # fmt: skip
@click.option("--health-limit", "health_limit_s", type=Finite(min=1), default=60.0, show_default=True,
              metavar="S", help="Longest a message may take before /healthz says no, seconds.")  # fmt: skip
@click.option("--parallel", "lanes", type=click.IntRange(1, 64), metavar="N",
              help="Feeds followed side by side; each takes memory for its frames. Those that share a partition are "
              "finished in turn.  [default: 8 with SAM 2.1 on a GPU, else 1]")  # fmt: skip
@click.option("--max-batch-wait", "max_batch_wait_ms", type=Finite(min=0, max=1000), default=5.0,
              show_default=True, metavar="MS",
              help="Of profile sam2: how long a feed's frame waits for others', to be run in one batch.")  # fmt: skip
@traces_option
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
    lanes: int | None,
    max_batch_wait_ms: float,
    traces: str | None,
) -> None:
    """Follow the feeds of a log: chunks in, annotation events out.

    Start as many as the machine holds: each feed is one worker's at a time. A worker may be killed at any moment;
    another, or the same one started again, goes on without losing or doubling an event.
    """
    from engines.together import BatchCounts
    from producers.cli import stop_on_signals
    from stream.cli_table import plain
    from stream.decode.pyav import PyAVDecoder
    from stream.health import Health
    from stream.log import CHUNKS, LogAwayError
    from stream.log.sqlite import Retention
    from stream.pipeline import Pipeline
    from stream.runtime import settle
    from stream.tracing import spans as open_spans
    from stream.worker import Done, Worker

    if health_host is not None and health_port is None:
        raise UserError("--health-host goes with --health")
    new = not place.exists()
    if drain:
        place.must_exist()
    stop, spans = stop_on_signals(), open_spans(traces, service="strefer-worker")
    counts = BatchCounts()
    health = Health(client_id=client_name(), group=group, stop=stop, limit_s=health_limit_s)
    metrics = _serve(health, counts, place, group, port=health_port, host=health_host or "127.0.0.1")
    log = place.open(retain={CHUNKS: Retention(keep_bytes=round(keep_gb * 1e9))})
    if new:
        click.echo(f"{place} is new and holds no feed yet: waiting for one", err=True)
    settle()
    segmenter = profile.segmenter(max_batch_wait_s=max_batch_wait_ms / 1000, counts=counts)
    networks = profile.networks(segmenter, counts)
    for line in networks.missing:
        click.echo(f"note: {line}", err=True)
    health.loaded()
    pipeline = Pipeline(networks, models=models, segmenter=segmenter)
    lanes = lanes or (8 if segmenter is not None and segmenter.quick else 1)
    one = Worker(log, pipeline, PyAVDecoder(), group=group, session_s=session_s, lanes=lanes, spans=spans)
    json = click.get_current_context().find_root().params["log_format"] == "json"
    say = structlog.get_logger("strefer.worker")

    def finished(done: Done | None) -> bool:
        health.turn(done)
        if done is not None:
            metrics.observe(done, in_hand=one.in_hand)
            if json:
                latency_us = done.chunk.latency_us if done.chunk is not None else None
                say.info(
                    "message done", feed=done.feed, seq=done.seq, at_us=done.at_us, events=done.events,
                    ended=done.ended, outcome=done.outcome, latency_us=latency_us,
                )  # fmt: skip
            else:
                click.echo(
                    f"{plain(done.feed)}: {done.at_us / 1e6:.2f} s, {done.events} events"
                    + (" (ended)" if done.ended else " (skipped)" if done.outcome == "skipped" else "")
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
        spans.close()
    click.echo(
        "stopped: what was not committed is done by who comes next" if stop.is_set() else "nothing is left to do",
        err=json,
    )


def _serve(
    health: Health, counts: BatchCounts, place: Place, group: str, *, port: int | None, host: str
) -> WorkerMetrics:
    """The worker's figures; served with its health, where there is a port, until the command ends, whichever way it
    does."""
    from prometheus_client import CollectorRegistry

    from stream.gpu_metrics import GpuMetrics, nvml
    from stream.health_server import serving
    from stream.log import CHUNKS
    from stream.metrics import WorkerMetrics

    registry = CollectorRegistry()
    metrics = WorkerMetrics(registry, batches=counts.read)
    if port is not None:
        if (library := nvml()) is not None:
            registry.register(GpuMetrics(library))
        server = serving(
            health, host=host, port=port, open_log=place.open, group=group, topics=[CHUNKS], registry=registry
        )
        port = click.get_current_context().with_resource(server)
        click.echo(f"health: http://{f'[{host}]' if ':' in host else host}:{port}/healthz", err=True)
    return metrics
