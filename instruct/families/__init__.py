"""The task families: one file each, a function from a clip's composer to plans of units of pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from instruct.compose import Composer
from instruct.families import (
    count,
    describe,
    doing,
    grounding,
    leaves,
    meanwhile,
    order,
    place,
    scenes,
    visible,
    way,
    when,
    which,
)
from instruct.plan import Plan

FAMILIES: dict[str, Callable[[Composer], Iterator[Plan]]] = {
    m.FAMILY: m.pairs
    for m in (count, describe, doing, grounding, leaves, meanwhile, order, place, scenes, visible, way, when, which)
}
