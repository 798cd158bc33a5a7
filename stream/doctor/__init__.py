"""`strefer doctor`: what works here, what does not, and the mend, a line each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import click
import msgspec

from engines.lite import DETECTORS, NETWORKS
from stream.doctor import compute, extras, media, networks, system
from stream.doctor.rows import Row, first_line

__all__ = ["Row", "checks", "doctor", "examine"]

Check = Callable[[], list[Row]]
_COLOURS = {"ok": "green", "off": "dim", "warn": "yellow", "missing": "red"}


def checks(log_folder: Path) -> list[tuple[str, Check]]:
    """All checks by name, in the order shown."""
    return [
        ("Python", system.python),
        ("log folder", partial(system.log_folder, log_folder)),
        ("PyAV", media.pyav),
        ("DALI", media.dali),
        ("ONNX Runtime", compute.onnxruntime),
        ("LiteRT", compute.litert),
        ("models", networks.networks),
        ("torch", compute.torch),
        ("sam2", compute.sam2),
        ("TensorRT", compute.tensorrt),
        ("GPU", compute.gpu),
        ("extras", extras.extras),
        ("Java", system.java),
    ]


def examine(todo: Sequence[tuple[str, Check]]) -> list[Row]:
    """The rows of all checks. A check that fails in a way nobody foresaw is a row as well."""
    rows: list[Row] = []
    for name, check in todo:
        try:
            rows += check()
        except Exception as e:
            rows.append(Row(name, "warn", f"the check failed: {first_line(e)}", "report this"))
    return rows


@click.command()
@click.option(
    "--log", "log_folder", type=click.Path(path_type=Path), default=Path("strefer-log"), help="Folder of the log."
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array instead of lines.")
def doctor(log_folder: Path, as_json: bool) -> None:
    """Say what works on this machine and how to mend what does not.

    Exit code 1 where something profile `lite` needs is missing.
    """
    rows = examine(checks(log_folder))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(rows), indent=2))
    else:
        _show(rows)
        click.echo(verdict(rows))
    if any(row.state == "missing" for row in rows):
        raise SystemExit(1)


def verdict(rows: Sequence[Row]) -> str:
    """One line on what all of it means for profile `lite`."""
    broken = [row.name for row in rows if row.state == "missing"]
    if broken:
        return f"profile lite cannot run: see {', '.join(broken)}"
    lost = [row.name for row in rows if row.state == "warn" and row.name in NETWORKS]
    if lost:
        without = f"profile lite runs without {', '.join(lost)}"
        if all(row.state != "ok" for row in rows if row.name in DETECTORS):
            without += " or any other detector, so that it follows only what moves"
        return (
            f"{without}: see above for what each is for; `strefer models pull` fetches what is not here, or "
            "STREFER_MODELS names a folder that has it"
        )
    if any(row.state == "warn" for row in rows):
        return "profile lite is ready; the warnings concern what it does without"
    return "profile lite is ready; what is off it does without"


def _show(rows: Sequence[Row]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    width = max(len(row.name) for row in rows)
    for row in rows:
        line = Text.assemble((f"{row.state:7} ", _COLOURS[row.state]), (f"{row.name:{width}} ", "bold"), row.detail)
        if row.mend:
            line.append(f"  -> {row.mend}", style="cyan")
        console.print(line, soft_wrap=True)  # one line each, however narrow the terminal: it can be copied and searched
