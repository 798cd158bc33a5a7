"""`strefer profile`: measure what this machine does with a source, and compare two such measurements."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

import click

from engines.errors import UserError
from engines.finite import Finite
from stream.cli_profile import Profile, profile_options

if TYPE_CHECKING:
    from stream.profiling.results import Roofline

_EPILOG = """\b
Examples:
  strefer profile clip.mp4 --out profiles/today
  strefer profile clip.mp4 --profile sam2 --feeds 8 --objects 4 --seconds 30 --out profiles/h200
  strefer profile synthetic:two-people --seconds 10 --out here    (no clip at hand)
  strefer profile compare profiles/before profiles/after
"""
RECORDED_S = 30.0
FILES = ("profile.json", "profile.html", "stages.trace.json.gz", "gpu.trace.json")


class _Profiling(click.Group):
    """`strefer profile SOURCE` is `strefer profile run SOURCE`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, "-h", "--help"):
            args = ["run", *args]
        return super().parse_args(ctx, args)


@contextmanager
def _stopped_by_sigterm() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does: what it opened is closed, and its temporary folders go."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@click.group(cls=_Profiling, epilog=_EPILOG)
def profile() -> None:
    """Measure what this machine does with a source: stages, throughput, latency, memory, GPU.

    `strefer profile SOURCE` stands for `strefer profile run SOURCE`.
    """


@profile.command(epilog=_EPILOG)
@click.argument("source")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True,
              help="Folder for profile.json, profile.html and the traces.")  # fmt: skip
@click.option("--feeds", type=click.IntRange(1, 256), metavar="N",
              help="Feeds side by side, and the most that are offered.  [default: 1, on a GPU 8; offered: as many as "
              "are held]")  # fmt: skip
@click.option("--objects", type=click.IntRange(0, 64), default=0, metavar="M",
              help="Of profile sam2: objects of each feed besides those it shows.")  # fmt: skip
@click.option("--seconds", type=Finite(2, 3600), default=20.0, show_default=True, metavar="S",
              help="Length of each measurement, after its warm-up.")  # fmt: skip
@click.option("--warm-up", "warm_s", type=Finite(0, 600), default=3.0, show_default=True, metavar="S",
              help="Before each measurement: caches fill, graphs are recorded.")  # fmt: skip
@click.option("--nvtx", is_flag=True, help="Name the stages for Nsight Systems (nsys profile strefer profile …).")
@profile_options
@_stopped_by_sigterm()
def run(
    source: str, out: Path, feeds: int | None, objects: int, seconds: float, warm_s: float, nvtx: bool, profile: Profile
) -> None:
    """Measure with SOURCE: a file, a camera (recorded for 30 s), or a synthetic scene, played as any number of feeds.

    First all feeds with all they can, then as many as cameras would send, until they are too many.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    from engines.together import BatchCounts
    from stream.profiling.objects import Crowded
    from stream.profiling.run import Asked, summary
    from stream.profiling.run import profile as measure
    from stream.profiling.tape import record
    from stream.profiling.taps import Taps
    from stream.runtime import settle

    if objects and profile.name != "sam2":
        raise UserError("--objects goes with --profile sam2: lite follows what it finds")
    if nvtx and not _cuda():
        raise UserError("--nvtx wants PyTorch with CUDA, and a GPU")
    try:
        out.mkdir(parents=True, exist_ok=True)
        others = sorted(path.name for path in out.iterdir() if path.name not in FILES or not path.is_file())
        if others:
            raise UserError(f"{out} holds {others[0]}, which is no profile's: choose another --out")
        with TemporaryFile(dir=out):
            pass
    except OSError as e:
        raise UserError(f"cannot write to {out}: {e.strerror}; choose another --out") from None
    settle()
    counts, taps = BatchCounts(), Taps()
    tape = record(source, most_s=RECORDED_S)
    segmenter = profile.segmenter(max_batch_wait_s=0.005, counts=counts)
    networks = profile.networks(segmenter, counts, taps)
    for line in networks.missing:
        click.echo(f"note: {line}", err=True)
    if segmenter is not None and objects:
        segmenter = Crowded(segmenter, objects)
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        tasks: dict[str, TaskID] = {}

        def tell(what: str, done_s: float, total_s: float) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total_s)
            bar.update(tasks[what], completed=done_s)

        asked = Asked(profile.told, feeds or 0, objects, seconds, warm_s, nvtx)
        found = measure(tape, asked, networks, segmenter, counts, taps, out, tell)
    for line in summary(found):
        click.echo(line)
    if found.roofline is not None:
        _show(found.roofline)
    click.echo(f"{out}/profile.html")


@profile.command()
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("second", type=click.Path(path_type=Path))
def compare(first: Path, second: Path) -> None:
    """Say what got slower from FIRST to SECOND (folders of two runs), and what is noise.

    \b
    Example:
      strefer profile compare profiles/before profiles/after
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from stream.profiling import compare as comparing
    from stream.profiling.results import read

    before, after = read(first), read(second)
    for line in comparing.differences(before, after):
        click.echo(f"differs: {line}")
    table = Table("stage", "first us", "second us", "ratio", "99 % of noise", "", box=None)
    for change in comparing.compare(before, after):
        bounds = f"{change.low:.2f} to {change.high:.2f}"
        table.add_row(
            Text(change.name), f"{change.first:,.0f}", f"{change.second:,.0f}", f"{change.ratio:.2f}", bounds,
            "" if change.verdict == "same" else change.verdict,
        )  # fmt: skip
    Console(width=100).print(table)
    times = after.frames_s / before.frames_s if before.frames_s else 0.0
    click.echo(f"{before.frames_s:.1f} frames/s, then {after.frames_s:.1f} ({times:.2f} times)")
    click.echo(f"{before.most_feeds} feed(s) held, then {after.most_feeds}")


def _cuda() -> bool:
    try:
        import torch
    except ImportError:
        return False
    return bool(torch.cuda.is_available())


def _show(found: Roofline) -> None:
    from engines import tables
    from stream.profiling import roofline

    for roof in found.roofs:
        click.echo(f"roof of {roofline.told(roof)}")
    table = tables.table(*roofline.HEADS)
    for point in found.points:
        table.add_row(*roofline.cells(point))
    tables.show(table)
