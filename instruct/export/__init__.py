"""Annotations in the formats of evaluators and annotation tools, a feed at a time: memory holds one feed's masks."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from instruct.export.masks import Masks

NAMES = ("ytvis", "mots", "sav", "cvat", "fiftyone")
EVERY = 4
"""SA-V annotates every fourth frame, and what reads it expects that."""


class Exporter(Protocol):
    """Takes feeds as they come and writes them to a file, or into a folder, that is there already."""

    def add(self, masks: Masks) -> None: ...

    def close(self) -> None: ...


class FilePerFeed:
    """A file a feed in a folder, of lines that are made as they are written."""

    def __init__(self, folder: Path, ending: str, lines: Callable[[Masks], Iterable[bytes]]) -> None:
        self._folder, self._ending, self._lines = folder, ending, lines

    def add(self, masks: Masks) -> None:
        with (self._folder / f"{file_name(masks.feed)}{self._ending}").open("wb") as f:
            f.writelines(line + b"\n" for line in self._lines(masks))

    def close(self) -> None:
        pass


def exporter(name: str, out: Path, *, every: int = EVERY) -> Exporter:
    """The exporter of a format of NAMES. out: a file of ytvis, a folder of the others. every: of sav."""
    if name == "ytvis":
        from instruct.export.ytvis import YtvisExporter

        return YtvisExporter(out)
    if name == "mots":
        from instruct.export.mots import mots

        return FilePerFeed(out, ".txt", lambda masks: (line.encode() for line in mots(masks)))
    if name == "sav":
        from instruct.export.sav import sav

        return FilePerFeed(out, "_manual.json", lambda masks: sav(masks, file_name(masks.feed), every))
    if name == "cvat":
        from instruct.export.cvat import cvat

        return FilePerFeed(out, ".xml", cvat)
    if name == "fiftyone":
        from instruct.export.fiftyone import FiftyOneExporter

        return FiftyOneExporter(out)
    raise ValueError(f"format is {name!r}, wanted one of {NAMES}")


def file_name(feed: str) -> str:
    """A feed's name as a file's: what no name may hold becomes a dash, and then a checksum keeps names apart."""
    plain = re.sub(r"[^\w.-]+", "-", feed).lstrip("-.")[:100]
    if plain and plain == feed:
        return plain
    return f"{plain}-{hashlib.sha256(feed.encode()).hexdigest()[:8]}".lstrip("-")
