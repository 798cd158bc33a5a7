"""`strefer annotate`: a skin over `stream.annotate`."""

from __future__ import annotations

import re
import threading
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engines.errors import UserError
from stream.cli_models import model_options
from stream.cli_profile import Profile, profile_options

if TYPE_CHECKING:
    from producers.sources import Source
    from stream.annotate import Result
    from stream.ask import Models

_EPILOG = """\b
Examples:
  strefer annotate clip.mp4 --out clip.annotated
  strefer annotate clip.mp4 --out found --query "the girl in the blue skirt" --query "the dog"
  strefer annotate clip.mp4 --out d --query "the girl" --vlm http://127.0.0.1:8000/v1 --vlm-model qwen2.5-vl
  strefer annotate clip.mp4 --out d --instruct             (question-answer pairs too, in d/instruct)
  strefer annotate synthetic:two-people --out demo
  strefer annotate clip.mp4 --out d --profile sam2          (masks by SAM 2.1; docs/sam2.md)
  strefer annotate clips/ --out all                         (a folder of videos: a folder of results each)
  strefer annotate rtsp://camera/stream --out door          (Ctrl-C ends it and writes the results)
"""


@click.command(epilog=_EPILOG)
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the results.")
@click.option(
    "--query", "queries", multiple=True, metavar="TEXT", help="An expression to bind, like 'the dog'. Repeat it."
)
@click.option("--fresh", is_flag=True, help="Start over where the folder holds a run already.")
@click.option("--max-chunk", "max_chunk_s", type=float, default=10.0, show_default=True, metavar="S",
              help="Longest GOP of a file that is kept as it is, seconds.")  # fmt: skip
@click.option("--live-chunk", "live_chunk_s", type=float, default=2.0, show_default=True, metavar="S",
              help="The same for a live source.")  # fmt: skip
@click.option("--instruct", "ask_pairs", is_flag=True,
              help="Make question-answer pairs of it as well: DIR/instruct. Their text is the templates'; "
              "`strefer instruct --llm` rewrites.")  # fmt: skip
@click.option("--quiet", is_flag=True, help="No progress bar and no words, only errors.")
@profile_options
@model_options
def annotate(
    sources: tuple[str, ...], out: Path, queries: tuple[str, ...], profile: Profile, fresh: bool,
    max_chunk_s: float, live_chunk_s: float, ask_pairs: bool, quiet: bool, models: Models,
) -> None:  # fmt: skip
    """Annotate video into a folder a person can open.

    SOURCE is whatever `strefer produce` takes. In the folder: annotations.jsonl (all events), overlay.mp4 (masks and
    names drawn over the video), report.html and summary.json. Several sources each get a folder of their own inside.
    Killed or stopped (Ctrl-C) and run again, it goes on where it was; run again when complete, it says so.
    """
    from producers.cli import stop_on_signals
    from producers.sources import open_each
    from stream.annotate import StoppedError
    from stream.logs import hushed
    from stream.parse import check_text, parse

    for text in queries:
        check_text(text)
        if models.llm is None and (unknown := parse(text).unknown) and models.vlm is None:
            click.echo(f"note: not understood in {text!r}, and without effect: {', '.join(unknown)}", err=True)
    opened, refused = open_each(sources)
    if len(opened) > 1 and any(s.live for s in opened):
        raise UserError("several live sources at once: give each its `strefer produce`, and run `strefer worker`")
    stop = stop_on_signals()
    names: list[str] = []
    for source in opened:
        name = feed_name(source.name)
        names.append(name)
        if names.count(name) > 1:
            name = f"{name}-{names.count(name)}"  # two files of one name in different folders
        folder = out if len(opened) == 1 else out / name
        try:
            with hushed() if quiet else nullcontext():
                result = _one(source, folder, queries, profile, fresh, max_chunk_s, live_chunk_s, quiet, stop, models)
        except StoppedError as e:
            click.echo(f"{source.name}: {e}", err=True)
            raise SystemExit(130) from None
        if not quiet:
            _say(result)
        if ask_pairs:
            try:
                _pairs(result.out, quiet=quiet)
            except UserError as e:  # the other sources still have their turn
                refused.append(f"{source.name}: {e}")
        if stop.is_set():
            break
    if refused:  # what could be annotated is; the rest is told last, where it is seen
        raise UserError("\n".join(f"left out: {line}" for line in refused))


def _one(
    source: Source, out: Path, queries: tuple[str, ...], profile: Profile, fresh: bool, max_chunk_s: float,
    live_chunk_s: float, quiet: bool, stop: threading.Event, models: Models,
) -> Result:  # fmt: skip
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from stream.annotate import annotate as run

    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[done]}"))
    with Progress(*columns, TimeElapsedColumn(), console=console, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task("annotate", total=None, done="")

        def tell(what: str, done_s: float, total_s: float | None) -> None:
            of = f" / {total_s:.1f}" if total_s else ""
            bar.update(task, description=what, total=total_s, completed=done_s, done=f"{done_s:.1f}{of} s of video")

        return run(
            [source], out, feed=feed_name(source.name), networks=profile.networks,
            segmenter=profile.segmenter, profile=profile.told, queries=queries, models=models,
            max_chunk_s=max_chunk_s, live_chunk_s=live_chunk_s, fresh=fresh, tell=tell, stop=stop,
        )  # fmt: skip


def _pairs(folder: Path, *, quiet: bool) -> None:
    """What `strefer instruct` would write of the folder, in it."""
    from instruct.cli import say
    from instruct.dataset import write
    from instruct.make import Options
    from instruct.read import check, find

    done = write(check(find([folder])), folder / "instruct", Options(), fresh=True)
    if not quiet:
        say(done)


def feed_name(source: str) -> str:
    """A feed's name from a source's: the file's stem, or the address without what no name may hold."""
    stem = Path(source).stem if "://" not in source and ":" not in source else source.split("?")[0]
    return re.sub(r"[^\w.-]+", "-", stem).strip("-.") or "feed"


def _coming_and_going(exits: int, reentries: int) -> str:
    """exits 2, reentries 1: "left twice, came back once"."""
    if not reentries:
        return "then gone"
    return f"left {_times(exits)}, came back {_times(reentries)}"


def _times(n: int) -> str:
    return {1: "once", 2: "twice"}.get(n, f"{n} times")


def _unbound(text: str, engines: list[str]) -> str:
    """Why a query found nobody: nobody fits, or no network here could have found such a thing."""
    from engines.person import PersonDetector
    from stream.parse import parse

    try:
        read = parse(text)
    except UserError:  # a language model has read it
        return "fits nobody"
    blind = not engines or engines[0] == PersonDetector.name
    if blind and read.category not in ("person", "object"):
        return f"cannot be found: no network here knows {read.noun or 'it'} (yolox-nano does: strefer models pull)"
    return "fits nobody"


def _say(result: Result) -> None:
    """What was found, in words, and where to look."""
    from stream.story import clock

    s = result.summary
    if not result.fresh:
        click.echo(f"{result.out} is complete already (--fresh starts over)")
    for line in s.missing:
        click.echo(f"note: {line}")
    count = len(s.entities)
    click.echo(
        f"{s.feed}: {clock(s.duration_us)} of video, {s.frames} frames, {len(s.segments)} "
        f"segment{'s' * (len(s.segments) != 1)}, {count} {'entity' if count == 1 else 'entities'}"
    )
    for e in s.entities:
        gone = f", {_coming_and_going(e.exits, e.reentries)}" if e.exits else ""
        seen = f"{clock(e.first_us)} to {clock(e.last_us)}"
        click.echo(
            f"  {e.entity}: {e.expression or 'the ' + e.category} ({e.category}), {seen}, {e.frames} masks{gone}"
        )
    for q in s.queries:
        who = (" and " if q.outcome == "bound" else " or ").join(str(i) for i in q.entities)
        verb = "are" if len(q.entities) > 1 else "is"
        said = {"bound": f"{verb} {who}", "ambiguous": f"could be {who}"}.get(q.outcome) or _unbound(q.text, s.engines)
        click.echo(f'  "{q.text}" {said}')
    if s.errors or s.gaps:
        click.echo(f"  {s.errors} errors, {s.gaps} gaps: see the report")
    if s.reason == "error":
        click.echo("  the source broke off before its end: what came before is annotated")
    click.echo(f"look at {result.out / 'report.html'} and {result.out / 'overlay.mp4'}")
