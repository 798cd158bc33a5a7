"""Checks of the networks' files: where each lies, or how to get it."""

from __future__ import annotations

from engines.catalogue import MODELS, Item
from engines.errors import UserError
from engines.lite import NETWORKS
from engines.store import Store, environment_store
from stream.doctor.rows import Row

DETECTOR = NETWORKS[0]
"""The detector `lite` wants; the catalogue's others stand in for it."""


def networks() -> list[Row]:
    """One row for each network of the catalogue. None is "missing": `lite` does without any of them. A folder that is
    none is: nothing runs with that."""
    try:
        store = environment_store()
    except UserError as e:
        return [Row("models", "missing", str(e), "name the folder of the networks' files, or unset the variable")]
    detector = store.locate(next(item for item in MODELS if item.name == DETECTOR))
    return [_row(item, store, needed=item.name in NETWORKS or detector is None) for item in MODELS]


def _row(item: Item, store: Store, *, needed: bool) -> Row:
    path = store.locate(item)
    if path is not None:
        return Row(item.name, "ok", f"{item.about}: {path}")
    if not needed:
        return Row(item.name, "ok", f"not here and not needed while {DETECTOR} is")
    placed = store.placed(item)
    detail = f"damaged ({placed} has another sha256)" if placed else "not here"
    return Row(item.name, "warn", f"{detail}: {item.about}", f"strefer models pull {item.name}")
