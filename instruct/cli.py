"""`strefer instruct`: a skin over `instruct.dataset`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
from click.core import ParameterSource

from engines.errors import UserError
from engines.finite import Finite
from instruct.cli_rewrite import Rewriting, rewriting_options
from instruct.formats import NAMES
from instruct.make import Options
from instruct.pair import GROUPS, Group
from stream.cli_log import log_options
from stream.log.place import Place

if TYPE_CHECKING:
    from instruct.dataset import Written
    from instruct.rewrite import Rewriter

_EPILOG = """\b
Examples:
  strefer instruct clip.annotated --out clip.pairs
  strefer instruct day1/annotations.jsonl day2/annotations.jsonl --out pairs --formats jsonl,parquet,llava
  strefer instruct all --out pairs --seed 7 --limit 1000            (a folder of annotated folders)
  strefer instruct clip.annotated --out pairs --mix mask+time=1,mask=2,time=1,plain=0
  strefer instruct --log run                              (as they come, into the log's video.instructions)
  strefer instruct --log run --out pairs --add            (the log's annotations so far; run it every day)
  strefer instruct clip.annotated --out pairs --llm http://127.0.0.1:8000/v1 --llm-model qwen3     (reworded)
"""


@click.command(epilog=_EPILOG)
@click.argument("sources", metavar="[ANNOTATIONS...]", nargs=-1, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the dataset.")
@click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same annotations: same bytes.")
@click.option("--mix", default="strefer", show_default=True, metavar="MIX",
              help="Shares of the groups: strefer, all (keep what there is), or like mask+time=1,mask=2.")  # fmt: skip
@click.option(
    "--limit",
    type=click.IntRange(min=2),
    metavar="N",
    help="At most N pairs in all, drawn from all clips; with --add, more.",
)
@click.option("--per-minute", type=click.IntRange(min=1), default=600, show_default=True, metavar="N",
              help="At most N pairs a minute of video.")  # fmt: skip
@click.option("--clip", "clip_s", type=Finite(min=1), default=30.0, show_default=True, metavar="S",
              help="Segments are joined into clips of at least this length; a pair is about one clip.")  # fmt: skip
@click.option(
    "--formats",
    default="jsonl",
    show_default=True,
    metavar="LIST",
    help=f"Some of {', '.join(NAMES)} (-32: frames by sample; -tokens: times by token).",
)
@click.option("--fresh", is_flag=True, help="Replace a dataset that the folder holds.")
@click.option("--add", is_flag=True,
              help="Add what is new to the dataset in the folder, in shards of its own; feeds may go on.")  # fmt: skip
@click.option("--drain", is_flag=True, help="Of a log, without --out: stop when nothing is left to do.")
@click.option("--group", default="strefer-instruct", show_default=True, metavar="NAME",
              help="Of a log, without --out: consumer group; its members share the feeds.")  # fmt: skip
@log_options
@click.option("--quiet", is_flag=True, help="No progress bar and no words, only errors.")
@rewriting_options
def instruct(
    sources: tuple[Path, ...], out: Path | None, seed: int, mix: str, limit: int | None, per_minute: int, clip_s: float,
    formats: str, fresh: bool, add: bool, drain: bool, group: str, quiet: bool, place: Place, rewriting: Rewriting,
) -> None:  # fmt: skip
    """Turn annotations into question-answer pairs that refer to regions and times.

    ANNOTATIONS are annotations.jsonl files of `strefer annotate`, its folders, or folders of them. Every pair names the
    events it rests on, and an independent checker has recomputed its answer from them. README.md in the folder counts
    what was made and what was left out. --add goes on with a dataset: of each feed what it does not hold yet.

    Without ANNOTATIONS the annotations of a log (--log or --kafka) are read: with --out as far as they are now, into a
    dataset; without it as they come, into the log's video.instructions, until stopped. Each clip's pairs are committed
    together, and a process that is killed goes on where it was.

    With --llm a language model words the pairs anew. Times, regions, names, actions and answers stay, or the rewrite is
    refused and the template's text kept. Where the budget ends or the endpoint fails, the rest stays as it is.
    """
    names = _formats(formats)
    options = Options(seed=seed, mix=read_mix(mix), per_minute=per_minute)
    least_us = round(clip_s * 1e6)
    if not sources and not _names_log(place):
        raise UserError("nothing to read: give annotations (files or folders), or a log with --log or --kafka")
    if sources and _names_log(place) and not place.servers:
        raise UserError("annotations and --log are two sources: give one of them")
    if out is None:
        if sources:
            raise UserError("--out is missing: the folder for the dataset")
        _only_with_out(("limit", "formats", "fresh", "add", "llm_url"))
        from instruct.cli_stream import follow

        follow(place, options, least_clip_us=least_us, group=group, drain=drain, quiet=quiet)
        return
    if fresh and add:
        raise UserError("--fresh replaces a dataset and --add goes on with it: give one of them")
    done, rewrite = _write(sources, place, out, options, names, limit, least_us, rewriting,
                           fresh=fresh, add=add, quiet=quiet)  # fmt: skip
    if not quiet:
        say(done)
    if rewrite is not None:
        if not quiet:
            click.echo(rewrite.words())
        if note := rewrite.note():
            click.echo(f"note: {note}", err=True)


def _write(
    sources: Sequence[Path], place: Place, out: Path, options: Options, names: Sequence[str], limit: int | None,
    least_us: int, rewriting: Rewriting, *, fresh: bool, add: bool, quiet: bool,
) -> tuple[Written, Rewriter | None]:  # fmt: skip
    """The dataset of files, or of a log as it is now."""
    from instruct import dataset
    from instruct.read import check, check_log, find

    with ExitStack() as stack:
        paths = find(sources) if sources else []
        bar = stack.enter_context(_progress(2 * sum(p.stat().st_size for p in paths), quiet=quiet))
        rewrite = stack.enter_context(rewriting.open(bar.answered))
        if paths:
            files = check(paths, bar.read, growing=add)
        else:
            place.must_exist()
            files = check_log(stack.enter_context(closing(place.open())), place)
        done = dataset.write(
            files, out, options, names=names, limit=limit, least_clip_us=least_us, fresh=fresh, add=add,
            tell=bar.read, rewrite=rewrite,
        )  # fmt: skip
    return done, rewrite


def _names_log(place: Place) -> bool:
    """Whether the command line or the environment names a log."""
    source = click.get_current_context().get_parameter_source
    return bool(place.servers) or source("folder") is ParameterSource.COMMANDLINE


def _only_with_out(names: Sequence[str]) -> None:
    source = click.get_current_context().get_parameter_source
    given = [n for n in names if source(n) is ParameterSource.COMMANDLINE]
    if given:
        raise UserError(f"--{given[0].removesuffix('_url')} goes with --out: a log's instructions are a stream")


def say(done: Written) -> None:
    """What was made, in words."""
    tally = done.tally
    shares = []
    for group in GROUPS:
        n = sum(k for (g, _, _), k in tally.kept.items() if g == group)
        shares.append(f"{group} {n}")
    if done.added != tally.pairs:
        click.echo(f"{done.added} pairs added")
    click.echo(f"{tally.pairs} pairs of {tally.video_us / 60e6:.1f} minutes of video: {', '.join(shares)}")
    click.echo(f"yes {tally.said['Yes']}, no {tally.said['No']}; look at {done.out / 'README.md'}")


def read_mix(text: str) -> dict[Group, float] | None:
    """Shares by group; None for `all`. Raises UserError where the text is none."""
    from instruct.select import STREFER_MIX

    if text == "strefer":
        return dict(STREFER_MIX)
    if text == "all":
        return None
    out: dict[Group, float] = {}
    for part in text.split(","):
        name, _, value = part.partition("=")
        group = next((g for g in GROUPS if g == name.strip()), None)
        try:
            share = float(value)
        except ValueError:
            share = -1.0
        if group is None or not 0 <= share < float("inf"):
            raise UserError(
                f"--mix {text!r} does not read at {part!r}: wanted strefer, all, or like mask=2,plain=1; "
                f"groups are {', '.join(GROUPS)}"
            )
        out[group] = share
    if not any(out.values()):
        raise UserError("--mix gives every group a share of 0: give one of them more")
    return out


def _formats(text: str) -> list[str]:
    names = list(dict.fromkeys(part.strip() for part in text.split(",")))
    wrong = [n for n in names if n not in NAMES]
    if wrong:
        raise UserError(f"--formats {wrong[0]!r} is unknown: wanted some of {', '.join(NAMES)}")
    return names


class _Bar(NamedTuple):
    """What moves the bars: bytes read, pairs that a language model answered."""

    read: Callable[[int], None]
    answered: Callable[[int], None]


@contextmanager
def _progress(total_bytes: int, *, quiet: bool) -> Iterator[_Bar]:
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task("instruct", total=total_bytes)
        rewriting = bar.add_task("rewriting", total=None, visible=False)
        done = 0

        def answered(n: int) -> None:
            nonlocal done
            done += n
            bar.update(rewriting, completed=done, description=f"rewriting: {done} pairs", visible=True)

        yield _Bar(lambda n: bar.advance(task, n), answered)
