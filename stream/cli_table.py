"""Rows for a terminal, as wide as they are: what is cut short cannot be copied."""

from __future__ import annotations

from collections.abc import Sequence

import click

WIDEST = 100


def plain(text: str) -> str:
    """A text of strangers as one line that does a terminal no harm."""
    line = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    return line if len(line) <= WIDEST else line[: WIDEST - 1] + "…"


def echo_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under their heads, in columns two spaces apart."""
    rows = [[plain(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    for row in (head, *rows):
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
