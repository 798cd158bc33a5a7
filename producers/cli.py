"""`strefer produce`: a skin over `producers.produce`."""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from engines.finite import Finite
from engines.store import environment_cache
from stream.chunk import Policy
from stream.cli_log import log_options, traces_option
from stream.log import Log
from stream.log.place import Place
from stream.tracing import spans as open_spans

if TYPE_CHECKING:
    from producers.spool import Spooling

CLOSE_S = 2.0

EPILOG = """\b
Examples:
  strefer produce holiday.mp4 --feed holiday
  strefer produce clips/ 'more/*.mkv' --feed archive
  strefer produce rtsp://camera.local/stream1 --feed door
  strefer produce /dev/video0 --feed desk --kafka broker:9092
  strefer produce synthetic:two-people?seconds=20 --feed test --ground-truth truth.jsonl --realtime --loop
"""


@click.command(epilog=EPILOG)
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@click.option("--feed", required=True, help="Name of the feed the chunks belong to.")
@log_options
@click.option("--realtime", is_flag=True, help="Write each chunk when its time has come, as a camera would.")
@click.option("--loop", is_flag=True, help="Begin again at the end, for ever; the feed's time goes on.")
@click.option(
    "--max-chunk",
    "max_chunk_s",
    type=float,
    default=10.0,
    show_default=True,
    metavar="S",
    help="Longest GOP of a file that is kept as it is, seconds; longer ones are re-encoded.",
)
@click.option(
    "--live-chunk",
    "live_chunk_s",
    type=float,
    default=2.0,
    show_default=True,
    metavar="S",
    help="The same for a live source.",
)
@click.option(
    "--policy",
    type=click.Choice(["block", "latest", "degrade"]),
    help="What a worker does when chunks wait: block never drops, latest skips to the newest, degrade works less, then "
    "skips.  [default: latest for live sources, block for the rest]",
)
@click.option(
    "--spool",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder in which the feed's chunks wait on disk while the log is away, to follow in order.  [default for live "
    "sources on Kafka: spool in the cache folder; else none]",
)
@click.option(
    "--spool-gb",
    type=Finite(min=0),
    default=10.0,
    show_default=True,
    metavar="GB",
    help="How large the spool may get; a live source's newest chunks are dropped when it is full, a file waits. 0: no "
    "spool.",
)
@click.option(
    "--ground-truth",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write a synthetic scene's true masks and identities, as JSON lines.",
)
@traces_option
def produce(
    sources: tuple[str, ...],
    feed: str,
    place: Place,
    realtime: bool,
    loop: bool,
    max_chunk_s: float,
    live_chunk_s: float,
    policy: Policy | None,
    spool: Path | None,
    spool_gb: float,
    ground_truth: Path | None,
    traces: str | None,
) -> None:
    """Cut video into chunks and write them to a feed of the log.

    SOURCE is a file, a folder, a glob, an address (RTSP, HLS, HTTP...), a V4L2 device or a synthetic scene
    (two-people, exit-reentry, late-entry, cut, crossing-objects, behind-pillar). Several sources follow one another
    on one time line. Started again on the same sources, it goes on where it was.

    While the log is away files wait, and what cameras show waits in a spool on disk.
    """
    # imported late: `strefer --help` must not load FFmpeg
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from producers import produce as producing
    from producers.sources import SceneSource, open_sources
    from stream.log import check_name

    check_name(feed, "feed")
    opened = open_sources(sources)
    if ground_truth is not None:
        _write_truth([s for s in opened if isinstance(s, SceneSource)], len(opened), ground_truth)
    stop = stop_on_signals()
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[done]}"))
    with Progress(*columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"produce {feed}", total=None, done="")

        def progress(done_s: float, total_s: float | None) -> None:
            of = f" / {total_s:.1f}" if total_s else ""
            bar.update(task, total=total_s, completed=done_s, done=f"{done_s:.1f}{of} s")

        spans = open_spans(traces, service="strefer-produce")
        log = place.open()
        try:
            done = producing.produce(
                opened,
                feed,
                log,
                realtime=realtime,
                loop=loop,
                max_chunk_s=max_chunk_s,
                live_chunk_s=live_chunk_s,
                policy=policy,
                progress=progress,
                spans=spans,
                stop=stop,
                spooling=_spooling(spool, spool_gb, wanted=place.folder is None and any(s.live for s in opened)),
            )
        finally:
            _close(log)
            spans.close()
    if done.complete:
        click.echo(f"feed {feed} is complete: these sources are in {place}, nothing was appended")
    else:
        click.echo(f"feed {feed}: {done.chunks} chunks written to {place} ({done.reason})")


def _close(log: Log) -> None:
    """Close it, unless it still waits for a broker that is away: the process ends without that answer."""
    closing = threading.Thread(target=log.close, daemon=True)
    closing.start()
    closing.join(CLOSE_S)


def _spooling(folder: Path | None, size_gb: float, *, wanted: bool) -> Spooling | None:
    """`wanted`: whether there is a spool where the user named none."""
    from producers.spool import Spooling

    if size_gb == 0 or (folder is None and not wanted):
        return None
    return Spooling(folder or environment_cache() / "spool", round(size_gb * 1e9))


def _write_truth(scenes: Sequence[object], sources: int, path: Path) -> None:
    from engines.errors import UserError
    from producers.sources import SceneSource
    from producers.truth import write_truth

    if len(scenes) != 1 or sources != 1 or not isinstance(scenes[0], SceneSource):
        raise UserError("--ground-truth wants exactly one source, a synthetic scene")
    try:
        write_truth(scenes[0].scene, path)
    except OSError as e:
        raise UserError(f"{path} cannot be written: {e.strerror}") from None


def stop_on_signals() -> threading.Event:
    """An event that Ctrl-C and SIGTERM set, so that the chunk in work is finished; a second signal ends at once."""
    stop = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        stop.set()
        signal.signal(number, signal.SIG_DFL)

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, handle)
        signal.signal(signal.SIGTERM, handle)
    return stop
