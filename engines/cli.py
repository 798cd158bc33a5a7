"""`strefer models`: a skin over `engines.catalogue` and `engines.store`."""

from __future__ import annotations

import click

from engines import catalogue
from engines.errors import UserError
from engines.store import environment_store

_EPILOG = """\b
Examples:
  strefer models list
  strefer models pull                 what profile lite wants
  strefer models pull yolox-nano
  strefer models pull sam2.1-tiny rf-detr-medium    for profile sam2
  strefer models path blazepose-full
"""


@click.group(epilog=_EPILOG)
def models() -> None:
    """List, fetch and find the networks' files.

    They are looked for in STREFER_MODELS (a folder), then in the cache (STREFER_CACHE, or ~/.cache/strefer), and
    fetched from the catalogue's sources on `pull`. Every file is checked by its sha256.
    """


@models.command("list")
def list_models() -> None:
    """All files of the catalogue, and which are here."""
    from engines import tables

    def size(item: catalogue.Item) -> str:
        return "?" if item.size_bytes is None else f"{item.size_bytes / 1e6:.1f} MB"

    def here(item: catalogue.Item) -> str:
        if path := store.locate(item):
            return str(path)
        placed = store.placed(item)
        return f"damaged: {placed}" if placed else "-"

    store = environment_store()
    table = tables.table("name", "for", "licence", "size", "here")
    for item in catalogue.known().values():
        table.add_row(item.name, item.about, item.licence, size(item), here(item))
    tables.show(table)


@models.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--optional", is_flag=True, help="A source out of reach is a warning, not an error.")
def pull(names: tuple[str, ...], optional: bool) -> None:
    """Fetch files into the cache (without NAME: what profile lite wants, or what can stand in for it)."""
    store = environment_store()
    failed: list[str] = []
    for item in catalogue.whole([_item(n) for n in names]) if names else catalogue.MODELS:
        try:
            click.echo(f"{item.name}: {store.pull(item, progress=True)}")
        except UserError as e:
            if names and not optional:
                failed.append(str(e))
            else:
                click.echo(f"{e}; lite does without it", err=True)
    for line in failed[:-1]:
        click.echo(f"strefer: {line}", err=True)
    if failed:
        raise UserError(failed[-1])


@models.command()
@click.argument("name")
def path(name: str) -> None:
    """Print where a file lies."""
    item = _item(name)
    found = environment_store().locate(item)
    if found is None:
        raise UserError(environment_store().lack(item))
    click.echo(str(found))


def _item(name: str) -> catalogue.Item:
    try:
        return catalogue.find(name)
    except ValueError as e:
        raise UserError(str(e)) from None
