"""A command or an option without documentation fails the build."""

from __future__ import annotations

import click
import pytest

from stream.cli import cli
from tools import cli_doc


def every_command() -> list[tuple[str, click.Command]]:
    with cli_doc.top() as context:
        return [(name, command) for name, _, command in cli_doc.commands(cli, context)]


def test_the_page_is_up_to_date() -> None:
    assert cli_doc.PAGE.read_text("utf-8") == cli_doc.page(), "run `make docs`"


@pytest.mark.parametrize(
    ("name", "command"), every_command(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_command_and_option_says_what_it_does(name: str, command: click.Command) -> None:
    assert command.help, f"{name} has no docstring"
    silent = [p.name for p in command.params if isinstance(p, click.Option) and not p.help]
    assert not silent, f"options of {name} without help"


def test_the_group_lists_each_command_with_its_line() -> None:
    with cli_doc.top() as context:
        text = cli.get_help(context)
        for name in cli.list_commands(context):
            assert f"\n  {name} " in text
