"""Which of a clip's confirmed pairs are kept: no near-duplicates, no more of a family than its cap, and the groups in
the shares of the mix. Units (twins) stay together, so that yes and no stay even."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from random import Random

from instruct.pair import GROUPS, Group, Pair, Unit

STREFER_MIX: Mapping[Group, float] = {"mask+time": 58_233, "mask": 174_282, "time": 136_953, "plain": 190_575}
"""Pairs of Strefer's final training recipe by group (arXiv 2509.03501)."""
_NEAR_US = 500_000


def distinct(units: Iterable[Unit], rejected: Counter[str]) -> list[Unit]:
    """Units that are no near-duplicates: of one family and form, with the same claims within half a second and the same
    entities referred to in the same way, the first is kept."""
    seen: set[object] = set()
    out: list[Unit] = []
    for unit in units:
        keys = [_key(p) for p in unit]
        if any(k in seen for k in keys):
            rejected["near-duplicate"] += len(unit)
            continue
        seen.update(keys)
        out.append(unit)
    return out


def _key(p: Pair) -> object:
    claims = frozenset(
        (c.kind, c.holds, c.entity, c.other, c.text, c.n, c.start_us // _NEAR_US, c.end_us // _NEAR_US, len(c.spans))
        for c in p.claims
    )
    return p.family, p.form, p.group, claims


def sampled(
    units: list[Unit], rng: Random, rejected: Counter[str], *, cap: int, budget: int, mix: Mapping[Group, float] | None,
    confirmed: Callable[[Unit], bool],
) -> list[Unit]:  # fmt: skip
    """At most `cap` pairs of a family in a group and `budget` pairs in all, families taking turns within a group.

    mix: shares of the groups, which are then met up to a pair by leaving out of the plentiful; groups that have
    nothing to give, and those of share 0, are left out of the reckoning. None keeps what there is.
    confirmed: asked of every unit that would be kept; the next in turn takes the place of one that is refused.
    """
    by_group: dict[Group, dict[str, list[Unit]]] = {g: {} for g in GROUPS}
    for unit in units:
        by_group[unit[0].group].setdefault(unit[0].family, []).append(unit)
    ranked = {g: _turns(f, rng, rejected, cap) for g, f in by_group.items()}
    have = {g: sum(len(u) for u in ranked[g]) for g in GROUPS}
    if mix is None:
        total = sum(have.values())
        quota = {g: have[g] * min(1.0, budget / max(1, total)) for g in GROUPS}
    else:
        part = {g: mix.get(g, 0.0) for g in GROUPS if have[g]}
        whole = sum(part.values())
        n = min([budget, *(have[g] * whole / p for g, p in part.items() if p > 0)]) if whole else 0
        quota = {g: n * part.get(g, 0.0) / whole if whole else 0.0 for g in GROUPS}
    out: list[Unit] = []
    for g in GROUPS:
        taken = 0
        for unit in ranked[g]:
            if taken + len(unit) > quota[g] + 0.5:
                rejected["not sampled (mix, budget)"] += len(unit)
            elif confirmed(unit):
                out.append(unit)
                taken += len(unit)
    return out


def _turns(families: dict[str, list[Unit]], rng: Random, rejected: Counter[str], cap: int) -> list[Unit]:
    """Units of all families in turn, each family's in a drawn order and up to its cap."""
    lanes: list[list[Unit]] = []
    for _, units in sorted(families.items()):
        rng.shuffle(units)
        kept, n = [], 0
        for unit in units:
            if n + len(unit) <= cap:
                kept.append(unit)
                n += len(unit)
            else:
                rejected["over the family's cap"] += len(unit)
        lanes.append(kept)
    out: list[Unit] = []
    for i in range(max(map(len, lanes), default=0)):
        out += [lane[i] for lane in lanes if i < len(lane)]
    return out
