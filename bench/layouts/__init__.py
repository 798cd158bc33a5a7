"""Folders of datasets as the field lays them out, read into cases and written from them: one file a layout.

`read(folder)` tells the layout by what lies in it; a layout can be named too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

from bench.cases import Case
from bench.layouts import mevis, refytvos, sav, ytvis
from engines.errors import UserError

FPS = Fraction(30)
"""Frame numbers count at this rate where a layout does not tell another."""
LAYOUTS: dict[str, tuple[Callable[[Path], bool], Callable[[Path, Fraction], list[Case]]]] = {
    "mevis": (mevis.is_one, mevis.read),
    "refytvos": (refytvos.is_one, refytvos.read),
    "ytvis": (ytvis.is_one, ytvis.read),
    "sav": (sav.is_one, sav.read),
}


def read(folder: Path, layout: str | None = None, fps: Fraction = FPS) -> list[Case]:
    """The cases of a dataset folder. Raises UserError where it is none of the layouts, or lacks what it needs."""
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder")
    names: Sequence[str] = [layout] if layout else [n for n, (fits, _) in LAYOUTS.items() if fits(folder)]
    if not names:
        raise UserError(
            f"{folder} is in none of the layouts {', '.join(LAYOUTS)}: mevis has meta_expressions.json and "
            "mask_dict.json, refytvos meta_expressions.json and Annotations/, ytvis instances.json, "
            "sav *_manual.json beside *.mp4"
        )
    try:
        cases = LAYOUTS[names[0]][1](folder, fps)
    except (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, OSError) as e:
        raise UserError(f"{folder} cannot be read as {names[0]}: {e!r}") from e
    missing = [path for case in cases for path in case.files if not path.is_file()]
    if not cases or missing:
        raise UserError(f"{folder}: {f'{missing[0]} is missing' if missing else f'no video of layout {names[0]}'}")
    return cases
