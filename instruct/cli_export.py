"""`strefer export`: annotations in the formats of evaluators."""

from __future__ import annotations

from pathlib import Path

import click

from engines.errors import UserError

_EPILOG = """\b
Examples:
  strefer export clip.annotated --format ytvis --out instances.json
  strefer export all --format mots --out mots          (a text file a feed)
"""


@click.command(epilog=_EPILOG)
@click.argument("sources", metavar="ANNOTATIONS...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(["ytvis", "mots"]), required=True,
              help="YouTube-VIS json, or MOTS text (people and cars only).")  # fmt: skip
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The json file, or the folder for MOTS.")
@click.option("--fresh", is_flag=True, help="Write over what is there.")
def export(sources: tuple[Path, ...], form: str, out: Path, fresh: bool) -> None:
    """Write the masks of annotations in another format, each exactly as the events hold it.

    ANNOTATIONS are annotations.jsonl files of `strefer annotate`, its folders, or folders of them.
    """
    import msgspec

    from instruct.export.masks import masks_of
    from instruct.export.mots import left_out, mots
    from instruct.export.ytvis import ytvis
    from instruct.read import check, find

    if out.exists() and not fresh:
        raise UserError(f"{out} is there already: --fresh writes over it, or choose another --out")
    files = check(find(sources))
    feeds = [masks_of(feed, (e for e in file.events() if e.feed == feed)) for file in files for feed in file.hindsight]
    if form == "ytvis":
        _write(out, msgspec.json.encode(ytvis(feeds)))
        click.echo(f"{sum(len(m.masks) for m in feeds)} tracks of {_feeds(len(feeds))}; look at {out}")
        return
    lines = {m.feed: list(mots(m)) for m in feeds}
    for feed, text in lines.items():
        _write(out / f"{feed}.txt", "".join(f"{line}\n" for line in text).encode())
    for m in feeds:
        if missing := left_out(m):
            click.echo(f"note: {m.feed}: MOTS has no class for {', '.join(missing)}; left out", err=True)
    click.echo(f"{sum(map(len, lines.values()))} masks of {_feeds(len(feeds))}; look at {out}")


def _feeds(n: int) -> str:
    return f"{n} feed{'s' * (n != 1)}"


def _write(path: Path, content: bytes) -> None:
    """A file that appears only when it is complete."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        part.write_bytes(content)
        part.replace(path)
    except OSError as e:
        raise UserError(f"cannot write {path}: {e.strerror}; choose another --out") from None
