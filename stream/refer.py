"""Referrer: binds queries to entities by evidence gathered through time, one entity per singular expression.

Per (query, entity) each word that can be measured gives evidence in [0, 1] on every look; its running mean counts. An
assignment (Hungarian) over all queries keeps one entity from answering two singular queries of a category, and a
query whose best is not clearly better than the next is ambiguous, not guessed.
"""

from __future__ import annotations

import msgspec
import numpy as np
from scipy.optimize import linear_sum_assignment

from stream.colours import likeness
from stream.entity import Traits, same_kind
from stream.events import Body, QueryAmbiguous, QueryBound, QueryUnbound
from stream.parse import Attribute, Expression, parse
from stream.region import Polygon, inside

LEAST = 0.45
"""Evidence under which an entity does not answer a query."""
MARGIN = 0.08
PATIENCE = 3
"""Looks in a row that must agree before something is said, so that one bad look says nothing."""


_STILL = ("standing", "sitting", "lying")
"""Poses that nobody walks in."""


class Query(msgspec.Struct):
    """One query of the feed. `said` is what the last event told: entities and whether they were candidates only."""

    id: str
    text: str
    evidence: dict[int, float] = msgspec.field(default_factory=dict)
    looks: dict[int, int] = msgspec.field(default_factory=dict)
    said: list[int] = msgspec.field(default_factory=list)
    said_kind: str = ""
    wish: list[int] = msgspec.field(default_factory=list)
    wish_kind: str = ""
    wish_count: int = 0
    roi: Polygon = ()
    """Only who is in this region answers; () for the whole frame."""


class ReferState(msgspec.Struct):
    queries: list[Query] = msgspec.field(default_factory=list)


def add(state: ReferState, query: str, text: str, roi: Polygon = ()) -> None:
    """A new query, or a new text for one that is known. Raises UserError where the text says nothing."""
    parse(text)
    state.queries = [q for q in state.queries if q.id != query] + [Query(query, text, roi=roi)]


def remove(state: ReferState, query: str, reason: str = "removed") -> list[Body]:
    """Forget a query; its binding ends."""
    gone = [q for q in state.queries if q.id == query]
    state.queries = [q for q in state.queries if q.id != query]
    return [QueryUnbound(query=q.id, text=q.text, entities=_held(q), reason=reason) for q in gone]


def look(state: ReferState, present: dict[int, tuple[str, Traits]], known: set[int]) -> list[Body]:
    """One look at the entities in sight (id -> category and traits). `known`: all that may still come back."""
    for q in state.queries:
        expression = parse(q.text)
        for i, (category, traits) in present.items():
            if q.roi and not _within(q.roi, traits):
                q.evidence.pop(i, None)
                q.looks.pop(i, None)
                continue
            now = evidence(expression, category, traits, [t for c, t in present.values() if same_kind(c, category)])
            n = q.looks.get(i, 0) + 1
            q.looks[i] = n
            old = q.evidence.get(i, now)
            q.evidence[i] = old + (now - old) / min(n, 10)
        for i in [i for i in q.evidence if i not in known]:
            del q.evidence[i], q.looks[i]
    return _decide(state)


def _within(roi: Polygon, traits: Traits) -> bool:
    """Whether the entity is in the region: its centre, or where it stands."""
    return inside(roi, traits.x, traits.y) or inside(roi, traits.x, min(1.0, traits.bottom))


def evidence(expression: Expression, category: str, traits: Traits, peers: list[Traits]) -> float:
    """How well an entity fits an expression now, in [0, 1]; 0 for another category. peers: its kind in sight."""
    if expression.category != "object" and not same_kind(expression.category, category):
        return 0.0
    fits = [fit for a in expression.attributes if (fit := _fit(a, traits, peers)) is not None]
    if not fits:
        return 0.6 if expression.gendered else 0.8
    return float(np.prod(fits) ** (1 / len(fits)))


def _fit(a: Attribute, traits: Traits, peers: list[Traits]) -> float | None:
    """How well it fits, in [0, 1]; None of what is not measured, which neither helps nor harms."""
    fit = _measured(a, traits, peers)
    return 1 - fit if fit is not None and a.negated else fit


def _measured(a: Attribute, traits: Traits, peers: list[Traits]) -> float | None:
    if a.part not in ("whole", "top", "bottom", "head"):
        return None
    if a.kind == "colour":
        shares = traits.colours.get(a.part, traits.colours.get("whole"))
        return likeness(shares, a.value) if shares is not None else 0.3
    if a.kind == "place":
        return _place(a.value, traits, peers)
    if a.kind == "size" and a.part == "whole":
        rank = _rank(traits.height, [p.height for p in peers])
        return rank if a.value == "large" else 1 - rank
    moving = min(1.0, traits.speed / 0.35)
    if (a.kind, a.value) == ("motion", "moving"):
        return max(0.05, moving)
    if (a.kind, a.value) == ("motion", "still") or (a.kind == "pose" and a.value in _STILL):
        return max(0.05, 1 - moving)
    return None


def _place(value: str, traits: Traits, peers: list[Traits]) -> float:
    if value in ("left", "right"):
        absolute = (
            float(np.clip((0.7 - traits.x) / 0.4, 0.02, 1))
            if value == "left"
            else float(np.clip((traits.x - 0.3) / 0.4, 0.02, 1))
        )
        rank = _rank(traits.x, [p.x for p in peers])
        return 0.5 * absolute + 0.5 * (rank if value == "right" else 1 - rank)
    if value == "middle":
        return float(np.clip(1 - abs(traits.x - 0.5) / 0.35, 0.02, 1))
    if value in ("near", "bottom"):
        return max(0.05, _rank(traits.bottom, [p.bottom for p in peers]))
    return max(0.05, 1 - _rank(traits.bottom, [p.bottom for p in peers]))


def _rank(value: float, values: list[float]) -> float:
    """0 for the least of its kind, 1 for the greatest, 0.5 alone."""
    low, high = min(values), max(values)
    return 0.5 if high - low < 1e-6 else (value - low) / (high - low)


def _decide(state: ReferState) -> list[Body]:
    events: list[Body] = []
    ids = sorted({i for q in state.queries for i in q.evidence})
    single = [q for q in state.queries if not parse(q.text).plural]
    taken: dict[str, int] = {}
    if ids and single:
        cost = np.array([[1 - q.evidence.get(i, 0.0) for i in ids] for q in single])
        for r, c in zip(*linear_sum_assignment(cost), strict=True):
            taken[single[r].id] = ids[c]
    firm = {q.id: q.evidence.get(taken[q.id], 0.0) for q in single if q.id in taken}
    for q in state.queries:
        fits = sorted(((s, i) for i, s in q.evidence.items() if s >= LEAST), key=lambda t: (-t[0], t[1]))
        kind, entities, margin = "", [i for _, i in fits], 1.0
        if fits and parse(q.text).plural:
            kind = "bound"
        elif fits:
            mine = taken.get(q.id, fits[0][1])
            score = q.evidence.get(mine, 0.0)
            # Against those another query does not hold more firmly.
            held = {
                i
                for other, i in taken.items()
                if other != q.id and firm.get(other, 0.0) >= q.evidence.get(i, 0.0) + MARGIN
            }
            rest = [s for s, i in fits if i != mine and i not in held]
            margin = score - max(rest, default=0.0) if rest else score
            kind = "bound" if score >= LEAST and (not rest or margin >= MARGIN) else "ambiguous"
            entities = [mine] if kind == "bound" else entities
        events += _say(q, kind, entities, fits, margin)
    return events


def _say(q: Query, kind: str, entities: list[int], fits: list[tuple[float, int]], margin: float) -> list[Body]:
    """The event that tells a change, once it has held for a few looks."""
    wish = sorted(entities)
    q.wish_count = q.wish_count + 1 if (wish, kind) == (q.wish, q.wish_kind) else 1
    q.wish, q.wish_kind = wish, kind
    if q.wish_count < PATIENCE or (wish == q.said and kind == q.said_kind):
        return []
    if not kind:
        return _left(q)
    events: list[Body] = []
    if q.said_kind == "bound" and not set(q.said) <= set(wish):
        events.append(QueryUnbound(query=q.id, text=q.text, entities=q.said, reason="another fits better"))
    q.said, q.said_kind = wish, kind
    score = round(max((s for s, i in fits if i in wish), default=0.0), 3)
    cues = _cues(q.text)
    if kind == "bound":
        events.append(
            QueryBound(query=q.id, text=q.text, entities=wish, score=score, margin=round(margin, 3), cues=cues)
        )
    else:
        order = [i for _, i in fits]
        events.append(
            QueryAmbiguous(query=q.id, text=q.text, entities=order, score=score, margin=round(margin, 3), cues=cues)
        )
    return events


def _left(q: Query) -> list[Body]:
    """Nobody answers any more. Without a region the last answer stands: who was found may be found again."""
    if not q.roi:
        return []
    gone = QueryUnbound(query=q.id, text=q.text, entities=_held(q), reason="nobody in the region")
    q.said, q.said_kind = [], ""
    return [gone]


def _held(q: Query) -> list[int]:
    """Whom the query is bound to; candidates are not."""
    return q.said if q.said_kind == "bound" else []


def _cues(text: str) -> list[str]:
    """What the decision rests on."""
    e = parse(text)
    return [
        f"category {e.category}",
        *(_cue(a) for a in e.attributes),
    ]


def _cue(a: Attribute) -> str:
    return ("not " if a.negated else "") + f"{a.kind} {a.value}" + (f" ({a.part})" if a.part != "whole" else "")
