"""What a check says, and how a check that fails says it too."""

from __future__ import annotations

import importlib
from typing import Any, Literal

import msgspec

from engines.versions import installed

State = Literal["ok", "off", "warn", "missing"]


ABSENT = "not installed"


class Row(msgspec.Struct, frozen=True):
    """One line of `strefer doctor`.

    state: "ok"; "off" where something optional is not here; "warn" where it is here and does not work, or where
    profile `lite` is less without; "missing" where `lite` cannot run without.
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


def off_or_warn(detail: str) -> State:
    """The state of something optional that `load` gave no module of."""
    return "off" if detail == ABSENT else "warn"


def load(module: str, distribution: str) -> tuple[Any, str]:
    """A module and its version, or None and why it cannot be imported (libraries that are missing, too)."""
    try:
        loaded = importlib.import_module(module)
    except Exception as e:  # a native module may raise anything at import
        return None, ABSENT if _absent(e, module) else first_line(e)
    return loaded, installed(distribution) or str(getattr(loaded, "__version__", "unknown version"))


def _absent(e: Exception, module: str) -> bool:
    return isinstance(e, ModuleNotFoundError) and e.name is not None and f"{module}.".startswith(f"{e.name}.")
