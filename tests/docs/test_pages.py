"""Links lead somewhere, commands shown can be typed, pictures are small."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from stream.cli import cli
from tools import cli_doc

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
LARGEST_PICTURE_BYTES = 400_000


def options() -> dict[str, set[str]]:
    """Command -> its options, as they are typed."""
    with cli_doc.top() as context:
        return {
            name: {o for p in command.params if isinstance(p, click.Option) for o in p.opts}
            for name, _, command in cli_doc.commands(cli, context)
        }


def shown_commands(page: Path) -> list[str]:
    """Lines `strefer …` of a page's shell blocks, and inline code that is one."""
    text = page.read_text("utf-8")
    blocks = re.findall(r"```(?:sh)?\n(.*?)```", text, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("strefer ")]
    return lines + re.findall(r"`(strefer [^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)", page.read_text("utf-8"))
    assert not [t for t in targets if "://" not in t and not (page.parent / t).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_commands_shown_exist(page: Path) -> None:
    known = options()
    known["strefer profile"] |= known["strefer profile run"]  # which it stands for
    for line in shown_commands(page):
        words = shlex.split(line.partition("  #")[0].partition(" &")[0])
        if len(words) < 2 or words[1].startswith("-"):
            continue
        name = " ".join(words[:3]) if " ".join(words[:3]) in known else " ".join(words[:2])
        assert name in known, line
        used = {word for word in words if word.startswith("--")}
        assert used <= known[name], line


def test_make_targets_shown_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    shown = {t for page in PAGES for t in re.findall(r"(?:`|^)make ([a-z]+)", page.read_text("utf-8"), re.MULTILINE)}
    assert {"run", "test"} <= shown <= targets


def test_pictures_are_small() -> None:
    pictures = list((ROOT / "docs/images").iterdir())
    assert pictures
    assert not [p.name for p in pictures if p.stat().st_size > LARGEST_PICTURE_BYTES]
