"""What a check says, and how a check that fails says it too."""

from __future__ import annotations

import importlib
from typing import Any, Literal

import msgspec

from engines.versions import installed

State = Literal["ok", "warn", "missing"]


class Row(msgspec.Struct, frozen=True):
    """One line of `strefer doctor`.

    state: "ok"; "warn" where something optional does not work; "missing" where profile `lite` cannot run without.
    mend: what to type or do; empty where nothing is to be done.
    """

    name: str
    state: State
    detail: str
    mend: str = ""


def first_line(e: BaseException) -> str:
    """An exception in one line."""
    lines = [line.strip() for line in str(e).splitlines() if line.strip()]
    return f"{type(e).__name__}: {lines[0]}" if lines else type(e).__name__


def load(module: str, distribution: str) -> tuple[Any, str]:
    """A module and its version, or None and why it cannot be imported (libraries that are missing, too)."""
    try:
        loaded = importlib.import_module(module)
    except Exception as e:  # a native module may raise anything at import
        return None, "not installed" if _absent(e, module) else first_line(e)
    return loaded, installed(distribution) or str(getattr(loaded, "__version__", "unknown version"))


def _absent(e: Exception, module: str) -> bool:
    return isinstance(e, ModuleNotFoundError) and e.name is not None and f"{module}.".startswith(f"{e.name}.")
