"""Command lines in manifests, read by strefer's own commands: an option renamed there breaks the test here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from stream.cli import cli


def parsed(arguments: Sequence[str], config: Path) -> dict[str, object]:
    """The parameters a command would be called with. Raises click.ClickException. `config` stands in for the files that
    are there in a pod only."""
    words = [config.as_posix() if word.startswith("/etc/") else word for word in arguments]
    words = [f"{w.partition('=')[0]}={config}" if "=/etc/" in w else w for w in words]
    command: click.Command = cli
    context = click.Context(cli, info_name="strefer")
    while isinstance(command, click.Group):
        name, inner, words = command.resolve_command(context, list(words))
        assert inner is not None
        context = click.Context(inner, info_name=name, parent=context)
        command = inner
        if isinstance(command, click.Group):
            words = list(words)
    with context:
        command.parse_args(context, list(words))
    return context.params


def default(arguments: Sequence[str], option: str) -> float:
    """The default of a command's option, by its parameter's name."""
    command: click.Command | None = cli
    context = click.Context(cli)
    for word in arguments:
        assert isinstance(command, click.Group)
        command = command.get_command(context, word)
    assert command is not None
    (found,) = [p for p in command.params if p.name == option]
    value = found.get_default(context)
    assert isinstance(value, int | float)
    return value
