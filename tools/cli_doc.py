"""Write docs/cli.md from the commands' own `--help`.

Run as `python -m tools.cli_doc`. tests/docs/test_cli_doc.py holds the file to the commands.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from stream.cli import cli

PAGE = Path(__file__).parents[1] / "docs" / "cli.md"
WIDTH = 100

_INTRO = """\
# Commands

Generated from the commands' `--help` by `make docs`. Do not edit.

Exit codes: 0 done; 1 something profile `lite` needs is missing (`strefer doctor`), or an engine's errors are over the
bound (`strefer engines verify`); 2 a mistake in what was asked, said
in one line; 130 stopped by Ctrl-C before there was anything to finish.
"""


def commands(group: click.Group, parent: click.Context) -> Iterator[tuple[str, str, click.Command]]:
    """Every command under a group: its full name, its help page, itself."""
    for name in group.list_commands(parent):
        command = group.get_command(parent, name)
        assert command is not None
        context = click.Context(command, info_name=name, parent=parent, terminal_width=WIDTH)
        yield context.command_path, command.get_help(context), command
        if isinstance(command, click.Group):
            yield from commands(command, context)


def top() -> click.Context:
    return click.Context(cli, info_name="strefer", terminal_width=WIDTH, **cli.context_settings)


def page() -> str:
    """docs/cli.md."""
    with top() as context:
        parts = [_INTRO, f"## strefer\n\n```\n{cli.get_help(context)}\n```\n"]
        for name, text, _ in commands(cli, context):
            parts.append(f"## {name}\n\n```\n{text}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
    print(PAGE, file=sys.stderr)
