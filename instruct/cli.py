"""`strefer instruct`: a skin over `instruct.dataset`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from engines.errors import UserError
from instruct.cli_rewrite import Rewriting, rewriting_options
from instruct.formats import NAMES
from instruct.pair import GROUPS, Group

if TYPE_CHECKING:
    from instruct.dataset import Written

_EPILOG = """\b
Examples:
  strefer instruct clip.annotated --out clip.pairs
  strefer instruct day1/annotations.jsonl day2/annotations.jsonl --out pairs --formats jsonl,parquet,llava
  strefer instruct all --out pairs --seed 7 --limit 1000            (a folder of annotated folders)
  strefer instruct clip.annotated --out pairs --mix mask+time=1,mask=2,time=1,plain=0
  strefer instruct clip.annotated --out pairs --llm http://127.0.0.1:8000/v1 --llm-model qwen3     (reworded)
"""


@click.command(epilog=_EPILOG)
@click.argument("sources", metavar="ANNOTATIONS...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the dataset.")
@click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same annotations: same bytes.")
@click.option("--mix", default="strefer", show_default=True, metavar="MIX",
              help="Shares of the groups: strefer, all (keep what there is), or like mask+time=1,mask=2.")  # fmt: skip
@click.option("--limit", type=click.IntRange(min=2), metavar="N", help="At most N pairs in all.")
@click.option("--per-minute", type=click.IntRange(min=1), default=600, show_default=True, metavar="N",
              help="At most N pairs a minute of video.")  # fmt: skip
@click.option("--clip", "clip_s", type=click.FloatRange(min=1), default=30.0, show_default=True, metavar="S",
              help="Segments are joined into clips of at least this length; a pair is about one clip.")  # fmt: skip
@click.option("--formats", default="jsonl", show_default=True, metavar="LIST", help=f"Some of {','.join(NAMES)}.")
@click.option("--fresh", is_flag=True, help="Replace a dataset that the folder holds.")
@click.option("--quiet", is_flag=True, help="No progress bar and no words, only errors.")
@rewriting_options
def instruct(
    sources: tuple[Path, ...], out: Path, seed: int, mix: str, limit: int | None, per_minute: int, clip_s: float,
    formats: str, fresh: bool, quiet: bool, rewriting: Rewriting,
) -> None:  # fmt: skip
    """Turn annotations into question-answer pairs that refer to regions and times.

    ANNOTATIONS are annotations.jsonl files of `strefer annotate`, its folders, or folders of them. Every pair names the
    events it rests on, and an independent checker has recomputed its answer from them. README.md in the folder counts
    what was made and what was left out.

    With --llm a language model words the pairs anew. Times, regions, names, actions and answers stay, or the rewrite is
    refused and the template's text kept. Where the budget ends or the endpoint fails, the rest stays as it is.
    """
    from instruct import dataset
    from instruct.make import Options
    from instruct.read import check, find

    names = _formats(formats)
    options = Options(seed=seed, mix=read_mix(mix), per_minute=per_minute)
    paths = find(sources)
    with (
        _progress(2 * sum(p.stat().st_size for p in paths), quiet=quiet) as bar,
        rewriting.open(bar.answered) as rewrite,
    ):
        done = dataset.write(
            check(paths, bar.read), out, options, names=names, limit=limit, least_clip_us=round(clip_s * 1e6),
            fresh=fresh, tell=bar.read, rewrite=rewrite,
        )  # fmt: skip
    if not quiet:
        say(done)
    if rewrite is not None:
        if not quiet:
            click.echo(rewrite.words())
        if note := rewrite.note():
            click.echo(f"note: {note}", err=True)


def say(done: Written) -> None:
    """What was made, in words."""
    tally = done.tally
    shares = []
    for group in GROUPS:
        n = sum(k for (g, _, _), k in tally.kept.items() if g == group)
        shares.append(f"{group} {n}")
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
