"""Referrer: binds queries to entities by evidence gathered through time, one entity per singular expression.

Per (query, entity) each thing the query says is measured on every look (`evidence`) and kept as a running mean; what is
fleeting (running, sitting) is held on to, so that who once ran goes on being the one who ran. Singular queries that
cannot mean the same one are assigned together (Hungarian), and a query of which the assignment loses little where it
has somebody else is ambiguous, not guessed.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np
from scipy.optimize import linear_sum_assignment

from stream.entity import Traits
from stream.events import Body, QueryAmbiguous, QueryBound, QueryUnbound
from stream.evidence import Present, clauses, fits, kind, together
from stream.expression import Expression
from stream.parse import parse
from stream.region import Polygon, inside

LEAST = 0.45
"""Evidence under which an entity does not answer a query."""
MARGIN = 0.08
"""Lead over the next best that a binding wants; each time a query has changed hands it wants `STAY` more."""
STAY = 0.05
SHARED = 0.25
"""What it costs in evidence that an entity answers a second query that means somebody else."""
RIVALS = 8
"""Other queries at most that a query is assigned with: those that claim its candidates most."""
PATIENCE = 3
"""Looks in a row that must agree before something is said, so that one bad look says nothing."""
MEMORY = 10
"""Looks that a running mean goes over."""
RISE, FALL = 1 / 3, 1 / 60
"""How fast a fleeting thing is believed when it shows, and let go of when it does not: shares of the way, a look."""
CALIBRATION = (-2.66, 6.64)
UNMEASURED = -1.0
_MALE, _FEMALE = frozenset("man boy guy gentleman".split()), frozenset("woman girl lady".split())
_CHILD, _GROWN = frozenset("boy girl child kid baby toddler".split()), frozenset("man woman lady gentleman".split())
_EITHER = ((_MALE, _FEMALE), (_CHILD, _GROWN))
"""Who is the one is not the other; a man may well be a cyclist."""


class Asked(msgspec.Struct, frozen=True):
    """How often it was asked, and the feed's time of the last one."""

    times: int
    at_us: int


class Query(msgspec.Struct):
    """One query of the feed. `said` is what the last event told: entities and whether they were candidates only."""

    id: str
    text: str
    evidence: dict[int, float] = msgspec.field(default_factory=dict)
    """By entity: how well it fits, in [0, 1]; who is of another category is missing."""
    fits: dict[int, list[float]] = msgspec.field(default_factory=dict)
    """By entity: the same of each clause, `UNMEASURED` where nothing could be seen of it yet."""
    looks: dict[int, int] = msgspec.field(default_factory=dict)
    opinions: dict[str, dict[int, float]] = msgspec.field(default_factory=dict)
    """By who has looked at the picture, then entity: the fit of the expression as a whole, in [0, 1]."""
    rebound: int = 0
    """How often it has changed hands."""
    said: list[int] = msgspec.field(default_factory=list)
    said_kind: str = ""
    wish: list[int] = msgspec.field(default_factory=list)
    wish_kind: str = ""
    wish_count: int = 0
    roi: Polygon = ()
    """Only who is in this region answers; () for the whole frame."""
    reading: Expression | None = None
    """The text as a language model read it; None where the default parser reads it."""
    asked: dict[int, Asked] = msgspec.field(default_factory=dict)
    """By entity: when those who look at the picture were asked whether it is meant."""
    looked: bool = False
    """Whether anything was looked at since it was asked."""

    @property
    def expression(self) -> Expression:
        return self.reading or parse(self.text)


class ReferState(msgspec.Struct):
    queries: list[Query] = msgspec.field(default_factory=list)


def add(state: ReferState, query: str, text: str, roi: Polygon = (), reading: Expression | None = None) -> None:
    """A new query, or a new text for one that is known. reading: who else than the default parser has read it. Raises
    UserError where there is none and the text says nothing."""
    new = Query(query, text, roi=roi, reading=reading)
    assert new.expression is not None
    state.queries = [q for q in state.queries if q.id != query] + [new]


def remove(state: ReferState, query: str, reason: str = "removed") -> list[Body]:
    """Forget a query; its binding ends."""
    gone = [q for q in state.queries if q.id == query]
    state.queries = [q for q in state.queries if q.id != query]
    return [QueryUnbound(query=q.id, text=q.text, entities=_held(q), reason=reason) for q in gone]


def opine(query: Query, by: str, fits: Mapping[int, float]) -> None:
    """Take up how well entities fit a query as a whole, in [0, 1], in the opinion of who looks at the picture. It
    stands until the same one says otherwise, and counts from the next look on, or from `reconsider`."""
    query.opinions.setdefault(by, {}).update(fits)


def reconsider(state: ReferState, ids: set[str], everyone: Present) -> list[Body]:
    """Decide what queries mean again after new opinions, without waiting for a look. everyone: all that are known."""
    some = [q for q in state.queries if q.id in ids]
    for q in some:
        for i in q.evidence.keys() & everyone.keys():
            q.evidence[i] = _evidence(q, i, everyone)
    # as if as many looks as it takes had agreed: nothing else changes in between
    return [e for _ in range(PATIENCE) for e in _decide(state, some)]


def doubt(state: ReferState, entities: set[int]) -> None:
    """These were taken for one another: what was thought of them by those who looked may be of the wrong one."""
    for q in state.queries:
        for i in entities:
            _forget(q, i)


def rename(state: ReferState, gone: int, kept: int) -> None:
    """Two entities were one: what answered as `gone` answers as `kept`."""
    for q in state.queries:
        if kept not in q.evidence and gone in q.evidence:
            q.evidence[kept], q.fits[kept], q.looks[kept] = q.evidence[gone], q.fits[gone], q.looks[gone]
            for told in q.opinions.values():
                if gone in told:
                    told[kept] = told[gone]
            if gone in q.asked:
                q.asked[kept] = q.asked[gone]
        _drop(q, gone)
        _forget(q, gone)
        q.said = sorted({kept if i == gone else i for i in q.said})
        q.wish = sorted({kept if i == gone else i for i in q.wish})


def look(state: ReferState, present: Present, known: set[int]) -> list[Body]:
    """One look at the entities in sight. `known`: all that may still come back."""
    for q in state.queries:
        q.looked = True
        for i in present:
            if q.roi and not _within(q.roi, present[i][1]):
                _drop(q, i)
            else:
                _weigh(q, i, present)
        for i in {*q.evidence, *q.asked, *(i for told in q.opinions.values() for i in told)} - known:
            _drop(q, i)
            _forget(q, i)
    return _decide(state, state.queries)


def _weigh(q: Query, i: int, present: Present) -> None:
    """Take what this look says of an entity into the query's evidence."""
    expression = q.expression
    now = fits(expression, i, present)
    if now is None:
        _drop(q, i)
        return
    n = q.looks[i] = q.looks.get(i, 0) + 1
    held = q.fits.setdefault(i, [UNMEASURED] * len(now))
    for k, (fit, (_, fleeting)) in enumerate(zip(now, clauses(expression), strict=True)):
        if fit is None:
            continue
        step = 1 / min(n, MEMORY)
        if fleeting:
            step = RISE if fit > held[k] else FALL
        held[k] = fit if held[k] == UNMEASURED else held[k] + step * (fit - held[k])
    q.evidence[i] = _evidence(q, i, present)


def _evidence(q: Query, i: int, present: Present) -> float:
    """What is held of an entity that was weighed, as one number."""
    opinions = [told[i] for told in q.opinions.values() if i in told]
    measured = [None if f == UNMEASURED else f for f in q.fits[i]]
    return kind(q.expression.category, *present[i]) * together(measured, opinions)


def _drop(q: Query, i: int) -> None:
    """It does not answer now; what was thought of it stands, should it answer again."""
    q.evidence.pop(i, None)
    q.fits.pop(i, None)
    q.looks.pop(i, None)


def _forget(q: Query, i: int) -> None:
    q.asked.pop(i, None)
    for told in q.opinions.values():
        told.pop(i, None)


def _within(roi: Polygon, traits: Traits) -> bool:
    """Whether the entity is in the region: its centre, or where it stands."""
    return inside(roi, traits.x, traits.y) or inside(roi, traits.x, min(1.0, traits.bottom))


def _decide(state: ReferState, some: list[Query]) -> list[Body]:
    """Tell what these of the feed's queries mean now."""
    events: list[Body] = []
    for q in some:
        ranked = sorted(((s, i) for i, s in q.evidence.items() if s >= LEAST), key=lambda t: (-t[0], t[1]))
        expression = q.expression
        if not ranked:
            kind, entities, margin = "", list[int](), 0.0
        elif expression.plural:
            kind, entities, margin = _several(expression, ranked)
        else:
            kind, entities, margin = _one(q, ranked, _others(q, state.queries))
        events += _say(q, kind, entities, ranked, margin)
    return events


def _others(q: Query, queries: list[Query]) -> list[Query]:
    """The singular queries that mean somebody else and claim who fits this one, the strongest claims first."""
    mine = q.expression
    wanted = [i for i, s in q.evidence.items() if s >= LEAST]
    claims = [(max((o.evidence.get(i, 0.0) for i in wanted), default=0.0), o) for o in queries if o is not q]
    found: list[tuple[Query, Expression]] = []
    for _, o in sorted((c for c in claims if c[0] >= LEAST), key=lambda c: -c[0]):
        asked = o.expression
        if not asked.plural and asked.category == mine.category and not _may_be_one(mine, asked):
            found.append((o, asked))
        if len(found) == RIVALS:
            break
    # of two that may mean the same one, that which says more speaks for both
    return [o for o, e in found if not any(_said(e) < _said(f) and _may_be_one(e, f) for _, f in found)]


def _one(q: Query, ranked: list[tuple[float, int]], others: list[Query]) -> tuple[str, list[int], float]:
    """What a singular query answers: (kind, entities, margin)."""
    alone = len(ranked) == 1 and not any(_contests(o, q, ranked[0]) for o in others)
    mine, margin = _assign(q, [] if alone else others)
    # who is gone for good holds nothing back
    moves = q.said_kind == "bound" and q.said != [mine] and q.said[0] in q.evidence
    if mine is not None and margin >= (MARGIN + STAY * min(q.rebound, 4) if moves else MARGIN):
        return "bound", [mine], margin
    if mine is not None and moves and margin >= MARGIN:
        return "bound", q.said, 0.0  # not clear enough to change hands once more
    return "ambiguous", [i for _, i in ranked], margin


def _contests(other: Query, q: Query, candidate: tuple[float, int]) -> bool:
    """Whether another query, of one who cannot be the same by the noun alone, fits the candidate about as well."""
    evidence, i = candidate
    return _either(other.expression, q.expression) and other.evidence.get(i, 0.0) >= evidence - MARGIN


def _assign(q: Query, others: list[Query]) -> tuple[int | None, float]:
    """Whom the best assignment of all these queries gives to `q`, and how much evidence is lost in all if it is not to
    have that one. An entity may answer two queries, at a price; a query may answer nobody."""
    rows = [q, *others]
    ids = sorted({i for r in rows for i, s in r.evidence.items() if s >= LEAST})
    first = np.array([[r.evidence.get(i, -1.0) for i in ids] for r in rows])
    nobody = np.full((len(rows), len(rows)), LEAST - MARGIN)
    gain = np.concatenate([first, *[first - SHARED] * len(others), nobody], axis=1)
    best, whom = _best(gain)
    if whom >= len(rows) * len(ids):
        return None, 0.0
    at = whom % len(ids)
    gain[0, at : len(rows) * len(ids) : len(ids)] = -1.0
    return ids[at], best - _best(gain)[0]


def _best(gain: np.ndarray) -> tuple[float, int]:
    """The greatest sum of one column a row, each column once, and the first row's column."""
    rows, columns = linear_sum_assignment(gain, maximize=True)
    return float(gain[rows, columns].sum()), int(columns[0])


def _may_be_one(a: Expression, b: Expression) -> bool:
    """Whether both may well be said of the same one: not a girl and a boy, not one in red and one in blue; but `the
    girl` and `the girl in the blue skirt`, and one in a vest and one on the right."""
    if _either(a, b):
        return False
    if a.order is not None and b.order is not None and a.order.by == b.order.by and a.order.n != b.order.n:
        return False
    said = [_values(e) for e in (a, b)]
    return all(said[0][what] & said[1][what] for what in said[0].keys() & said[1].keys())


def _either(a: Expression, b: Expression) -> bool:
    """Whether the nouns alone rule out that it is the same one."""
    return any((a.noun in x and b.noun in y) or (b.noun in x and a.noun in y) for x, y in _EITHER)


def _values(e: Expression) -> dict[tuple[str, str], set[str]]:
    """What is said of each kind and part, denials apart."""
    found: dict[tuple[str, str], set[str]] = {}
    for a in e.attributes:
        if not a.negated:
            found.setdefault((a.kind, a.part), set()).add(a.value)
    return found


def _said(e: Expression) -> set[object]:
    return {*e.attributes, *e.relations, *([e.order] if e.order is not None else [])}


def _several(expression: Expression, ranked: list[tuple[float, int]]) -> tuple[str, list[int], float]:
    """What a plural answers: all that fit, or as many as it says; ambiguous where more fit about as well."""
    n = expression.count
    if len(ranked) < n:  # the others were not seen yet
        return "ambiguous", [i for _, i in ranked], 0.0
    if not n or len(ranked) == n:
        return "bound", [i for _, i in ranked], ranked[-1][0]
    margin = ranked[n - 1][0] - ranked[n][0]
    return ("bound", [i for _, i in ranked[:n]], margin) if margin >= MARGIN else (
        "ambiguous", [i for _, i in ranked], margin,
    )  # fmt: skip


def confidence(evidence: float) -> float:
    """How often a binding of this evidence is right, in [0, 1].

    A logistic curve (Platt, 1999) over the 193 bindings of 55 scenes of `bench.referring`; docs/benchmarks.md has how
    well it holds on others.
    """
    return float(1 / (1 + np.exp(-(CALIBRATION[0] + CALIBRATION[1] * evidence))))


def _say(q: Query, kind: str, entities: list[int], ranked: list[tuple[float, int]], margin: float) -> list[Body]:
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
        q.rebound += 1
        events.append(QueryUnbound(query=q.id, text=q.text, entities=q.said, reason="another fits better"))
    q.said, q.said_kind = wish, kind
    score = round(confidence(max((s for s, i in ranked if i in wish), default=0.0)), 3)
    cues = _cues(q, wish[0])
    if kind == "bound":
        cues += _beside_words(q, wish)
        events.append(
            QueryBound(query=q.id, text=q.text, entities=wish, score=score, margin=round(margin, 3), cues=cues)
        )
    else:
        order = [i for _, i in ranked]
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


def _beside_words(q: Query, bound: list[int]) -> list[str]:
    """What decided where no word did: that others are meant by other queries, or that there is nobody else."""
    if len(bound) != 1:
        return []
    rest = [s for i, s in q.evidence.items() if i not in bound]
    if any(s > q.evidence.get(bound[0], 0.0) - MARGIN for s in rest):
        return ["by exclusion: who fits as well is meant by another query"]
    fits = q.fits.get(bound[0], [])
    unmeasured = bool(fits) and all(f == UNMEASURED for f in fits)
    if not rest and unmeasured and not any(bound[0] in told for told in q.opinions.values()):
        return [f"alone: no other {q.expression.category} so far"]
    return []


def _cues(q: Query, entity: int) -> list[str]:
    """What the decision rests on: each thing said, with how well the (first) entity fits it."""
    expression = q.expression
    told = [f"category {expression.category}"]
    for (name, _), fit in zip(clauses(expression), q.fits.get(entity, []), strict=False):
        told.append(f"{name}: not measured" if fit == UNMEASURED else f"{name}: {fit:.2f}")
    return told + [f"{by}: {fits[entity]:.2f}" for by, fits in sorted(q.opinions.items()) if entity in fits]
