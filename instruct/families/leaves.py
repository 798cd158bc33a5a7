"""Does <region> go out of sight and come back, and when."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import pairwise

from instruct.clip import Track
from instruct.compose import Composer
from instruct.pair import Claim, Spans, Unit
from instruct.plan import Plan

FAMILY = "leaves"
_WHEN = ("When does {who} go out of sight and come back?", "During which times is {who} gone?")
_ASK = ("Does {who} go out of sight and come back?", "Does {who} disappear and appear again?")


def pairs(c: Composer) -> Iterator[Plan]:
    away = [t for t in c.tracks if _returned(t)]
    stayed = [t for t in c.tracks if len(t.spans) == 1]
    for t in away:
        gaps = [(a[1], b[0]) for a, b in pairwise(t.spans)]
        for masked in c.ways(t):
            if len(gaps) <= 3:
                write = partial(_open, c, t, masked, gaps)
                yield c.plan(FAMILY, "open", (t.entity,), write, masked=masked, timed=False)
            others = [o for o in stayed if masked in c.ways(o)]
            if others:
                write = partial(_twins, c, t, others, masked, gaps)
                yield c.plan(FAMILY, "yesno", (t.entity,), write, masked=masked, timed=False)


def _claims(t: Track, *, returns: bool) -> list[Claim]:
    stays = Claim(kind="stays", entity=t.entity, spans=list(t.spans))
    return [Claim(kind="returns", holds=returns, entity=t.entity), stays]


def _open(c: Composer, t: Track, masked: bool, gaps: Spans) -> Unit:
    ref, question = c.ref(t, masked), c.pick(_WHEN)
    answer = f"{ref.said_first} is out of sight {c.times().spans(gaps)}, and then comes back."
    claims = _claims(t, returns=True)
    return (c.pair(FAMILY, "open", question.format(who=ref.asked), answer, claims, [ref], timed=False),)


def _twins(c: Composer, t: Track, others: list[Track], masked: bool, gaps: Spans) -> Unit:
    other = c.pick(others)
    ref, twin, ask = c.ref(t, masked), c.ref(other, masked), c.pick(_ASK)
    why = f"is out of sight {c.times().spans(gaps)}" if len(gaps) <= 3 else "comes back"
    return (
        c.pair(FAMILY, "yesno", ask.format(who=ref.asked), f"Yes, {ref.said} {why}.", _claims(t, returns=True), [ref],
               timed=False),
        c.pair(FAMILY, "yesno", ask.format(who=twin.asked), f"No, {twin.said} is in sight in one stretch.",
               _claims(other, returns=False), [twin], timed=False),
    )  # fmt: skip


def _returned(t: Track) -> bool:
    """Gone for a second at least each time, and the events say so."""
    gaps = [(a[1], b[0]) for a, b in pairwise(t.spans)]
    told = [any(g[0] - 500_000 <= at <= g[1] for at, _ in t.exits) for g in gaps]
    return bool(gaps) and all(told) and min(b - a for a, b in gaps) >= 1_000_000
