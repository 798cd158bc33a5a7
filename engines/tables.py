"""Tables on a terminal, as wide as they are: what is cut short cannot be copied, and says nothing."""

from __future__ import annotations

from rich.console import Console
from rich.table import Column, Table


def table(*columns: str) -> Table:
    return Table(*(Column(name, no_wrap=True) for name in columns), box=None)


def show(what: Table) -> None:
    """Prints it where it has rows."""
    if what.row_count:
        Console(width=Console(width=1000).measure(what).maximum).print(what)
