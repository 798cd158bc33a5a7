"""Where an export goes: it appears when it is complete, and nothing that is there is lost unasked."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engines.errors import UserError

MARK = ".strefer-export"
"""Says that a folder is ours and may be replaced."""


@contextmanager
def placed(out: Path, *, folder: bool, fresh: bool) -> Iterator[Path]:
    """A file or folder to write to, which then becomes `out`. Raises UserError where something is there already."""
    _check(out, folder=folder, fresh=fresh)
    place = out.resolve()
    part = place.with_name(place.name + ".part")
    if part.exists() and not _ours(part, folder=folder):
        raise UserError(f"{part} is in the way and not ours: move it, or choose another --out")
    try:
        try:
            part.parent.mkdir(parents=True, exist_ok=True)
            if part.exists():  # of a run that was killed
                _remove(part)
            if folder:
                part.mkdir()
                (part / MARK).touch()
            yield part
            if folder and place.exists():
                _remove(place)
            part.replace(place)
        except OSError as e:
            raise UserError(f"cannot write {out}: {e.strerror}; choose another --out") from None
    except BaseException:
        if part.exists():
            _remove(part)
        raise


def _check(out: Path, *, folder: bool, fresh: bool) -> None:
    if not out.exists() or (folder and out.is_dir() and not any(out.iterdir())):
        return
    if not _ours(out, folder=folder):
        what = "a folder of exports" if folder else "a file"
        raise UserError(f"{out} is there already and not {what}: choose another --out")
    if not fresh:
        raise UserError(f"{out} is there already: --fresh replaces it, or choose another --out")


def _ours(path: Path, *, folder: bool) -> bool:
    return (path / MARK).is_file() if folder else path.is_file()


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
