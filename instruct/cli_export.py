"""`strefer export`: annotations in the formats of evaluators and annotation tools."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from engines.errors import UserError
from instruct.export import EVERY, NAMES

if TYPE_CHECKING:
    from instruct.export.masks import Masks

_EPILOG = """\b
Examples:
  strefer export clip.annotated --format ytvis --out instances.json
  strefer export all --format mots --out mots                      (a text file a feed)
  strefer export clip.annotated --format sav --out sav --every 1   (all frames, not every fourth)
"""


@click.command(epilog=_EPILOG)
@click.argument("sources", metavar="ANNOTATIONS...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(NAMES), required=True,
              help="YouTube-VIS json; MOTS text (people and cars only); SA-V json; CVAT for images 1.1; "
              "FiftyOneVideoLabelsDataset.")  # fmt: skip
@click.option("--out", required=True, type=click.Path(path_type=Path),
              help="The json file of ytvis; a folder of the others.")  # fmt: skip
@click.option("--every", type=click.IntRange(min=1), metavar="N",
              help=f"sav: masks of every N-th frame.  [default: {EVERY}, on which its readers count]")  # fmt: skip
@click.option("--fresh", is_flag=True, help="Replace a former export.")
def export(sources: tuple[Path, ...], form: str, out: Path, every: int | None, fresh: bool) -> None:
    """Write the masks of annotations in another format, each exactly as the events hold it.

    ANNOTATIONS are annotations.jsonl files of `strefer annotate`, its folders, or folders of them.
    """
    from instruct.export import exporter
    from instruct.export.masks import masks_of
    from instruct.export.place import placed
    from instruct.read import check, find

    if every is not None and form != "sav":
        raise UserError(f"--every is for --format sav, not {form}: leave it out")
    tracks: list[int] = []
    notes: list[str] = []
    with placed(out, folder=form != "ytvis", fresh=fresh) as part:
        files = check(find(sources))
        writer = exporter(form, part, every=every or EVERY)

        def take(masks: Masks) -> None:
            writer.add(masks)
            tracks.append(_tracks(masks, form))
            notes.extend(_notes(masks, form))

        for file in files:
            for feed in file.hindsight:
                take(
                    masks_of(feed, (e for e in file.events() if e.feed == feed))
                )  # one feed's masks are held at a time
        writer.close()
    for note in notes:
        click.echo(f"note: {note}", err=True)
    said = [f"{n} {what}{'s' * (n != 1)}" for n, what in ((sum(tracks), "track"), (len(tracks), "feed"))]
    click.echo(f"{' of '.join(said)}; look at {out}")


def _tracks(masks: Masks, form: str) -> int:
    from instruct.export.mots import CLASSES

    return sum(form != "mots" or masks.categories[entity] in CLASSES for entity in masks.masks)


def _notes(masks: Masks, form: str) -> list[str]:
    from instruct.export.mots import left_out

    out = []
    if form == "mots" and (missing := left_out(masks)):
        out.append(f"{masks.feed}: MOTS has no class for {', '.join(missing)}; left out")
    if not masks.on_rate and masks.times_us:
        out.append(f"{masks.feed}: its rate varies or is unknown: frames are those with masks, not the video's numbers")
    return out
