"""Does <region> go out of sight and come back, and when."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from instruct.clip import Track
from instruct.compose import Composer, Ref
from instruct.pair import Claim, Unit

FAMILY = "leaves"
_ASK = ("Does {who} go out of sight and come back?", "Does {who} disappear and appear again?")


def pairs(c: Composer) -> Iterator[Unit]:
    away = [t for t in c.tracks if _returned(t)]
    stayed = [t for t in c.tracks if len(t.spans) == 1]
    for t in away:
        for ref in c.refs(t):
            gaps = [(a[1], b[0]) for a, b in pairwise(t.spans)]
            times = c.times()
            stays = Claim(kind="stays", entity=t.entity, spans=list(t.spans))
            claim = Claim(kind="returns", entity=t.entity)
            if len(gaps) <= 3:
                ask = c.rng.choice(
                    ("When does {who} go out of sight and come back?", "During which times is {who} gone?")
                )
                answer = f"{ref.said_first} is out of sight {times.spans(gaps)}, and then comes back."
                yield (c.pair(FAMILY, "open", ask.format(who=ref.asked), answer, [claim, stays], [ref], timed=False),)
            for other in stayed:
                twin = c.masked(other) if ref.region is not None else c.named(other)
                if twin is not None:
                    away_when = f"is out of sight {times.spans(gaps)}" if len(gaps) <= 3 else "comes back"
                    yield _twins(c, ref, twin, f"{ref.said} {away_when}")


def _twins(c: Composer, ref: Ref, twin: Ref, why: str) -> Unit:
    ask = c.rng.choice(_ASK)
    mine, theirs = (Claim(kind="returns", holds=r is ref, entity=r.track.entity) for r in (ref, twin))
    stays = [Claim(kind="stays", entity=r.track.entity, spans=list(r.track.spans)) for r in (ref, twin)]
    return (
        c.pair(FAMILY, "yesno", ask.format(who=ref.asked), f"Yes, {why}.", [mine, stays[0]], [ref], timed=False),
        c.pair(FAMILY, "yesno", ask.format(who=twin.asked), f"No, {twin.said} is in sight in one stretch.",
               [theirs, stays[1]], [twin], timed=False),
    )  # fmt: skip


def _returned(t: Track) -> bool:
    """Gone for a second at least each time, and the events say so."""
    gaps = [(a[1], b[0]) for a, b in pairwise(t.spans)]
    told = [any(g[0] - 500_000 <= at <= g[1] for at, _ in t.exits) for g in gaps]
    return bool(gaps) and all(told) and min(b - a for a, b in gaps) >= 1_000_000
