"""The options by which every command names its log: `--log DIR`, or `--kafka HOST:PORT` and what goes with it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import click

from engines.errors import UserError
from engines.store import environment_kafka
from stream.log.place import Place

F = TypeVar("F", bound=Callable[..., object])


def log_options(command: F) -> F:
    """Adds the options to a command, which gets them as one keyword argument `place: Place`.

    Without --log and --kafka the environment's STREFER_KAFKA counts, and without that the folder strefer-log.
    """

    @click.option("--log", "folder", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
                  help="Folder of the embedded log.  [default: strefer-log]")  # fmt: skip
    @click.option("--kafka", "servers", metavar="HOST:PORT[,…]",
                  help="Kafka's bootstrap servers, instead of --log.  [default: $STREFER_KAFKA]")  # fmt: skip
    @click.option("--kafka-config", "config", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
                  help="Lines of key=value for Kafka's clients: security_protocol, ssl_cafile, …")  # fmt: skip
    @click.option("--topic-prefix", "prefix", default="", metavar="TEXT",
                  help="Put before the names of Kafka's topics and groups.")  # fmt: skip
    @click.option("--claims", default="", metavar="URL",
                  help="Where messages too large for Kafka are kept: file:///mnt/share, s3://bucket/path.")  # fmt: skip
    @functools.wraps(command)
    def with_place(
        *args: object, folder: Path | None, servers: str | None, config: Path | None, prefix: str, claims: str,
        **kwargs: object,
    ) -> object:  # fmt: skip
        return command(*args, place=place_of(folder, servers, config, prefix, claims), **kwargs)

    return with_place  # type: ignore[return-value]


traces_option = click.option(
    "--traces", metavar="URL",
    help="Send OpenTelemetry traces to this collector (OTLP over HTTP), such as http://127.0.0.1:4318.",
)  # fmt: skip


def place_of(
    folder: Path | None, servers: str | None, config: Path | None, prefix: str = "", claims: str = ""
) -> Place:
    """The place that these options name. Raises UserError where they contradict one another."""
    if folder is not None and servers:
        raise UserError("--log and --kafka name two logs: give one of them")
    servers = servers or (environment_kafka() if folder is None else "")
    if servers:
        hosts = tuple(h.strip() for h in servers.split(",") if h.strip())
        if not hosts or any(not h.rpartition(":")[2].isdigit() or not h.rpartition(":")[0] for h in hosts):
            raise UserError(f"--kafka wants HOST:PORT[,HOST:PORT…], got {servers!r}")
        return Place(servers=hosts, prefix=prefix, claims=claims, options=read_config(config) if config else {})
    for option, given in (("--kafka-config", config), ("--topic-prefix", prefix), ("--claims", claims)):
        if given:
            raise UserError(f"{option} goes with --kafka")
    return Place(folder if folder is not None else Path("strefer-log"))


def read_config(path: Path) -> dict[str, object]:
    """Options of kafka-python from lines `key = value`; Java's spelling with dots is understood. Raises UserError."""
    try:
        lines: Sequence[str] = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as e:
        raise UserError(f"{path} cannot be read: {e}") from None
    options: dict[str, object] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        key, equals, value = line.partition("=")
        if not equals or not key.strip():
            raise UserError(f"{path}, line {number}: wanted key = value")
        name = key.strip().replace(".", "_")
        options[name] = _typed(name, value.strip())
    return options


def _typed(name: str, text: str) -> object:
    """The value as kafka-python wants it: a password of digits is a text all the same."""
    if name in ("ssl_check_hostname", "check_crcs"):
        return text.lower() == "true"
    if not name.endswith(("_ms", "_bytes", "_size")):
        return text
    if not text.isdigit():
        raise UserError(f"{name} is {text!r} in --kafka-config, wanted a whole number")
    return int(text)
