"""A cache of what took long to build: a file and, beside it, a JSON note that says what it is.

The note is written last, so that a build that was broken off leaves nothing that counts. Every file is held to the
size and sha256 of its note, and a damaged one is built anew. Two processes that want the same build one after the
other: the second finds what the first made (a lock file a key).
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from engines.digest import sha256
from engines.errors import UserError

FORMAT = 1
"""Counts up when the same facts lead to another file: old ones are then not found."""


@dataclass(frozen=True, slots=True)
class Key:
    """What a cached file depends on. facts: name and value, e.g. weights, shapes, versions, GPU, precision."""

    name: str
    suffix: str
    facts: tuple[tuple[str, str], ...]

    @property
    def digest(self) -> str:
        """64 hexadecimal digits of all of it."""
        text = json.dumps([FORMAT, self.name, self.suffix, sorted(self.facts)])
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def filename(self) -> str:
        return f"{self.name}-{self.digest[:16]}{self.suffix}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of the cache, as its note tells."""

    path: Path
    facts: tuple[tuple[str, str], ...]
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Cache:
    """Built files in `folder`. say: gets one line where a damaged file is built anew."""

    folder: Path
    say: Callable[[str], None] = lambda line: None

    def get(self, key: Key) -> Path | None:
        """The whole file of this key, or None; a damaged one is told and removed."""
        path = self.folder / key.filename
        entry = _read(path)
        if entry is None:
            return None
        if path.is_file() and path.stat().st_size == entry.size_bytes and sha256(path) == entry.sha256:
            return path
        self.say(f"{path} is damaged: it is built anew")
        with self._writing():
            _note(path).unlink(missing_ok=True)
        return None

    def build(self, key: Key, make: Callable[[Path], None]) -> Path:
        """The file of this key, made by `make(path)` (which writes the file) where it is not here. One builder at a
        time; what raises leaves nothing behind. Raises UserError where the folder cannot be written."""
        found = self.get(key)
        if found is not None:
            return found
        path = self.folder / key.filename
        with self.locked(key.filename):
            found = self.get(key)
            if found is not None:
                return found
            with self._writing(), tempfile.TemporaryDirectory(prefix=".building-", dir=self.folder) as scratch:
                part = Path(scratch) / path.name
                make(part)
                note = {
                    "facts": dict(key.facts), "size_bytes": part.stat().st_size, "sha256": sha256(part)
                }  # fmt: skip
                part.replace(path)
                written = Path(scratch) / "note"
                written.write_text(json.dumps(note, indent=1), "utf-8")
                written.replace(_note(path))
        return path

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """What cannot be written there (full, read-only, a folder in the way) is one line."""
        try:
            yield
        except OSError as e:
            what = f"{e.filename}: " if e.filename else ""
            raise UserError(
                f"cannot write the engine cache {self.folder}: {what}{e.strerror}; make room, or set STREFER_CACHE"
            ) from None

    @contextlib.contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """Holds what bears this name against other processes; waits for them. Raises UserError where the folder
        cannot be written."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / f".{name}.lock").open("a")
        except OSError as e:
            raise UserError(f"cannot write the engine cache {self.folder}: {e.strerror}; set STREFER_CACHE") from None
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def entries(self) -> list[Entry]:
        """All noted files, by name; their content is not looked at."""
        notes = sorted(self.folder.glob("*.json")) if self.folder.is_dir() else []
        return [e for e in (_read(n.with_suffix("")) for n in notes) if e is not None]

    def write(self, name: str, data: bytes) -> Path:
        """A small file beside the others (a timing cache), replaced at once; hold `locked(name)`."""
        handle, part = tempfile.mkstemp(prefix=".building-", dir=self.folder)
        with os.fdopen(handle, "wb") as f:
            f.write(data)
        path = self.folder / name
        Path(part).replace(path)
        return path


def _note(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _read(path: Path) -> Entry | None:
    try:
        note = json.loads(_note(path).read_text("utf-8"))
        facts: Mapping[str, str] = note["facts"]
        return Entry(path, tuple(facts.items()), int(note["size_bytes"]), str(note["sha256"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return None
