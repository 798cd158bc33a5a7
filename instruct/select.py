"""Which of a clip's plans are written and kept: no near-duplicates, no more of a family than its cap, and the groups in
the shares of the mix. Units (twins) stay together, so that yes and no stay even."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import zip_longest
from random import Random

from instruct.pair import GROUPS, Group, Unit
from instruct.plan import Plan

STREFER_MIX: Mapping[Group, float] = {"mask+time": 58_233, "mask": 174_282, "time": 136_953, "plain": 190_575}
"""Pairs of Strefer's final training recipe by group (arXiv 2509.03501)."""


def distinct(plans: Iterable[Plan], rejected: Counter[str]) -> list[Plan]:
    """Plans that are no near-duplicates: of one family, form and group that are about the same, the first is kept."""
    seen: set[object] = set()
    out: list[Plan] = []
    for plan in plans:
        key = (plan.family, plan.form, plan.group, plan.about)
        if key in seen:
            rejected["near-duplicate"] += plan.pairs
            continue
        seen.add(key)
        out.append(plan)
    return out


def sampled(
    plans: list[Plan], rng: Random, rejected: Counter[str], *, cap: int, budget: int, mix: Mapping[Group, float] | None,
    written: Callable[[Plan], Unit],
) -> list[Unit]:  # fmt: skip
    """At most `cap` pairs of a family in a group and `budget` pairs in all, families taking turns within a group.

    mix: shares of the groups, which are then met up to a pair by leaving out of the plentiful; groups that have
    nothing to give, and those of share 0, are left out of the reckoning. None keeps what there is.
    written: the unit of a plan that would be kept; the next in turn takes the place of one that comes to nothing.
    """
    by_group: dict[Group, dict[str, list[Plan]]] = {g: {} for g in GROUPS}
    for plan in plans:
        by_group[plan.group].setdefault(plan.family, []).append(plan)
    ranked = {g: _turns(f, rng, rejected, cap) for g, f in by_group.items()}
    have = {g: sum([p.pairs for p in ranked[g]]) for g in GROUPS}
    shares = {g: (have[g] if mix is None else mix.get(g, 0.0)) if have[g] else 0.0 for g in GROUPS}
    whole = sum(shares.values()) or 1.0
    # How many pairs there can be in all, for what a group has.
    room = {g: have[g] * whole / shares[g] if shares[g] else float("inf") for g in GROUPS}
    n = min(float(budget), *room.values())
    out: dict[Group, list[Unit]] = {}
    for g in sorted(GROUPS, key=room.__getitem__):  # the scarcest first: if it gives less, the others follow
        quota, taken = n * shares[g] / whole, 0
        out[g] = []
        for plan in ranked[g]:
            if taken + plan.pairs > quota + 0.5:
                rejected["not sampled (mix, budget)"] += plan.pairs
            elif unit := written(plan):
                out[g].append(unit)
                taken += len(unit)
        if mix is not None and taken < quota - 1:
            n = taken * whole / shares[g]
    return [unit for g in GROUPS for unit in out[g]]


def _turns(families: dict[str, list[Plan]], rng: Random, rejected: Counter[str], cap: int) -> list[Plan]:
    """Plans of all families in turn, each family's in a drawn order and up to its cap."""
    lanes: list[list[Plan]] = []
    for _, plans in sorted(families.items()):
        rng.shuffle(plans)
        kept, n = [], 0
        for plan in plans:
            if n + plan.pairs <= cap:
                kept.append(plan)
                n += plan.pairs
            else:
                rejected["over the family's cap"] += plan.pairs
        lanes.append(kept)
    return [plan for turn in zip_longest(*lanes) for plan in turn if plan is not None]
