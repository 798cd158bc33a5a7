"""How well an entity fits what an expression says, look by look: each thing said is measured by itself.

A thing that nothing here can measure (a hat, a cup in the hand, man or woman) is `None`: it speaks neither for nor
against. What is measured of an entity is in its `Traits`; ranks and relations are among all that are in sight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec
import numpy as np

from stream.colours import likeness
from stream.entity import SOLID, Traits, same_kind
from stream.expression import Attribute, Expression, Order, Relation
from stream.lexicon import lexicon

Present = Mapping[int, tuple[str, Traits]]
"""Who is in sight: id -> category and traits."""
_CALLED = 0.25
"""Share of a detector's votes from which an entity may answer to another category's name."""
LEAST_FIT = 0.02
"""No single word rules an entity out for good."""
_FLEETING = frozenset({"motion", "direction", "speed", "pose", "action"})
_PARTS = ("top", "bottom", "head")
_STILL = ("standing", "sitting", "lying")
"""Poses that nobody walks in."""
_SIDES = {"left": ("x", -1), "right": ("x", 1), "top": ("y", -1), "bottom": ("y", 1), "near": ("bottom", 1),
          "far": ("bottom", -1), "large": ("height", 1), "tall": ("height", 1), "small": ("height", -1),
          "short": ("height", -1), "fast": ("speed", 1), "slow": ("speed", -1)}  # fmt: skip
"""Along which trait an order runs, and from which end it counts."""


_OF_THE_SCENE = frozenset("place size speed motion direction time".split())
"""Kinds of attributes that a cut-out of one entity does not show."""
_ANYTHING = frozenset("object thing one".split())
UNSEEN = 0.9
"""What each thing that is said and cannot be measured takes off the evidence of the rest."""
NOT_RIDING = 0.15
"""Fit of a cyclist where no bicycle is in sight: the detector may have missed it."""
_TELLING = frozenset("skirt dress gown shorts".split())
"""Garments that say more than where a colour is."""


def clauses(expression: Expression) -> tuple[tuple[str, bool], ...]:
    """The things an expression says beside its category, as words for an event, and whether each is fleeting: what
    was once seen to be so (running) stays said of who did it. `fits` answers in this order."""
    return tuple((_name(c), _fleeting(c)) for c in _clauses(expression))


def fits(expression: Expression, me: int, present: Present) -> list[float | None] | None:
    """The fit in [0, 1] of each clause for entity `me` now, None for one that cannot be measured; None in all where it
    is of another category."""
    if not kind(expression.category, *present[me]):
        return None
    return [_fit(c, me, present) for c in _clauses(expression)]


def kind(asked: str, category: str, traits: Traits) -> float:
    """How well a category answers to the one asked for, in [0, 1]: by how often detectors called it that. Vehicles are
    called by each other's names all the time."""
    if asked in ("object", category):
        return 1.0
    share = traits.named.get(asked, 0.0)
    if same_kind(asked, category) and category in SOLID:
        return max(0.6, share)
    return share if share >= _CALLED else 0.0


def together(found: list[float | None], opinions: Sequence[float] = ()) -> float:
    """One number in [0, 1] of a clause's fits: their geometric mean. Where nothing could be measured the category alone
    speaks, and less of it where more was said.

    opinions: how well it fits the expression as a whole, by those who look at the picture. Each counts as all the
    clauses that nothing here can measure, and as one at least.
    """
    known = [max(LEAST_FIT, f) for f in found if f is not None]
    missing = len(found) - len(known)
    if opinions:
        weight = [1.0] * len(known) + [max(1.0, missing)] * len(opinions)
        return float(np.exp(np.average(np.log(known + [max(LEAST_FIT, o) for o in opinions]), weights=weight)))
    if known:
        return float(np.exp(np.mean(np.log(known)))) * UNSEEN**missing
    return 0.6 if found else 0.8


def pictured(expression: Expression, measured: Sequence[bool]) -> bool:
    """Whether something is said that a picture of the entity alone may show and that was not measured: what it is, what
    it wears, what it does. measured: of each clause. Denials are not asked for: image-text networks miss them."""
    said = list(_clauses(expression))
    if any(not isinstance(c, Order) and c.negated for c in said):
        return False
    if expression.category == "object" and expression.noun not in _ANYTHING:
        return True
    return any(
        isinstance(c, Attribute) and c.kind not in _OF_THE_SCENE and not known
        for c, known in zip(said, measured, strict=True)
    )


def at_a_glance(expression: Expression, me: int, present: Present) -> float:
    """How well entity `me` fits now, by this one look, in [0, 1]."""
    found = fits(expression, me, present)
    return 0.0 if found is None else kind(expression.category, *present[me]) * together(found)


Clause = Attribute | Relation | Order
"""What the noun says beyond the category (girl, cyclist) is an attribute of kind `noun`."""


def _clauses(expression: Expression) -> Iterator[Clause]:
    for a in expression.attributes:
        yield a
        if a.kind == "colour" and a.word in _TELLING:
            yield Attribute("garment", a.word, a.part)
    if expression.order is not None:
        yield expression.order
    yield from expression.relations
    if expression.telling:
        yield Attribute("noun", expression.noun)


def _name(clause: Clause) -> str:
    if isinstance(clause, Order):
        return f"order {clause.n} {clause.by}".rstrip()
    no = "not " if clause.negated else ""
    if isinstance(clause, Relation):
        return f"{no}{clause.kind} {clause.target.noun}"
    return f"{no}{clause.kind} {clause.value}" + (f" ({clause.part})" if clause.part != "whole" else "")


def _fleeting(clause: Clause) -> bool:
    return isinstance(clause, Attribute) and clause.kind in _FLEETING and not clause.negated and clause.value != "still"


def _fit(clause: Clause, me: int, present: Present) -> float | None:
    if isinstance(clause, Order):
        return _order(clause, me, present)
    found = _relation(clause, me, present) if isinstance(clause, Relation) else _attribute(clause, me, present)
    return 1 - found if found is not None and clause.negated else found


def _peers(me: int, present: Present) -> list[Traits]:
    category = present[me][0]
    return [t for c, t in present.values() if same_kind(c, category)]


def _attribute(a: Attribute, me: int, present: Present) -> float | None:
    traits = present[me][1]
    if a.part not in ("whole", *_PARTS):
        return None
    if a.kind == "noun":
        return _noun(a.value, me, present)
    if a.kind == "colour":
        shares = traits.colours.get(a.part, traits.colours.get("whole"))
        return likeness(shares, a.value) if shares is not None else None
    if a.kind == "place":
        return _place(a.value, traits, _peers(me, present))
    if a.kind in ("size", "speed") and len(_peers(me, present)) < 2:
        return None  # tall beside whom?
    if a.kind == "size" and a.part == "whole":
        rank = _rank(traits.height, [p.height for p in _peers(me, present)])
        return rank if a.value == "large" else 1 - rank
    if a.kind == "motion":
        return motion(a.value, traits)
    if a.kind == "direction":
        return _direction(a.value, traits)
    if a.kind == "speed":
        rank = _rank(traits.speed, [p.speed for p in _peers(me, present)])
        return rank if a.value == "fast" else 1 - rank
    if a.kind == "pose":
        return traits.postures.get(a.value, motion("still", traits) if a.value in _STILL else None)
    return None


def _noun(noun: str, me: int, present: Present) -> float | None:
    """Who is called by what they ride sits on one; none in sight speaks against it. Other nouns cannot be told."""
    ridden = lexicon().riders.get(noun)
    if ridden is None:
        return None
    found = _relation(Relation("riding", Expression(ridden, ridden, ridden)), me, present)
    return NOT_RIDING if found is None else found


def motion(value: str, traits: Traits) -> float | None:
    """How well it fits now that something is `moving` or `still`; None for other words."""
    moving = min(1.0, traits.speed / 0.35)
    if value in ("moving", "still"):
        return max(0.05, moving if value == "moving" else 1 - moving)
    return None


def _direction(value: str, traits: Traits) -> float | None:
    """Way gone against the camera, in body heights a second; nearness by growth."""
    along = {"left": -traits.vx, "right": traits.vx, "up": -traits.vy, "down": traits.vy,
             "towards": 1.2 * traits.growth, "away": -1.2 * traits.growth}.get(value)  # fmt: skip
    return None if along is None else float(np.clip(along / 0.25, 0.05, 1))


def _place(value: str, traits: Traits, peers: list[Traits]) -> float | None:
    if value in ("left", "right"):
        from_edge = 0.7 - traits.x if value == "left" else traits.x - 0.3
        rank = _rank(traits.x, [p.x for p in peers])
        return 0.5 * float(np.clip(from_edge / 0.4, 0.02, 1)) + 0.5 * (rank if value == "right" else 1 - rank)
    if value == "middle":
        return float(np.clip(1 - abs(traits.x - 0.5) / 0.35, 0.02, 1))
    if value in ("near", "bottom"):
        return max(0.05, _rank(traits.bottom, [p.bottom for p in peers]))
    if value in ("far", "top"):
        return max(0.05, 1 - _rank(traits.bottom, [p.bottom for p in peers]))
    return None


def _rank(value: float, values: list[float]) -> float:
    """0 for the least of its kind, 1 for the greatest, 0.5 alone."""
    low, high = min(values), max(values)
    return 0.5 if high - low < 1e-6 else (value - low) / (high - low)


def _order(order: Order, me: int, present: Present) -> float | None:
    """Whether it is the n-th of its kind in sight, from that side."""
    if order.by not in _SIDES:
        return None
    trait, sign = _SIDES[order.by]
    mine = sign * float(getattr(present[me][1], trait))
    values = sorted((sign * float(getattr(t, trait)) for t in _peers(me, present)), reverse=True)
    n = order.n if order.n > 0 else len(values) + 1 + order.n
    return 1.0 if values.index(mine) + 1 == n else 0.05


def _relation(r: Relation, me: int, present: Present) -> float | None:
    """The best of those it may be related to; None where nothing in sight is of the target's category, or the relation
    is none that boxes show."""
    shows = _SHOWN.get(r.kind)
    if shows is None:
        return None
    a = present[me][1]
    best: float | None = None
    for other, (_, b) in present.items():
        if other == me:
            continue
        answers = at_a_glance(_plain(r.target), other, present)
        if not answers:
            continue
        fit = answers * shows(a, b)
        best = fit if best is None else max(best, fit)
    return best


def shown(relation: str, a: Traits, b: Traits) -> float:
    """How well the boxes of two show that `a` stands in this relation to `b`, in [0, 1]. Raises KeyError for one that
    boxes do not show."""
    return _SHOWN[relation](a, b)


def _plain(target: Expression) -> Expression:
    """A target without relations of its own: one step is enough, and ends."""
    return msgspec.structs.replace(target, relations=()) if target.relations else target


def _gap(a: Traits, b: Traits) -> float:
    """Between two boxes along x, in heights of the taller; below 0 where they overlap."""
    return a.frame * (abs(a.x - b.x) - (a.width + b.width) / 2) / _tall(a, b)


def _tall(a: Traits, b: Traits) -> float:
    return max(a.height, b.height, 1e-3)


def _beside(a: Traits, b: Traits) -> float:
    return float(np.clip(1 - _gap(a, b) / 0.8, 0.05, 1))


def _touching(a: Traits, b: Traits) -> float:
    apart = max(_gap(a, b), (abs(a.y - b.y) - (a.height + b.height) / 2) / _tall(a, b))
    return float(np.clip(1 - apart / 0.25, 0.05, 1))


def _left(a: Traits, b: Traits) -> float:
    return float(np.clip(0.5 + a.frame * (b.x - a.x) / _tall(a, b) * 1.5, 0.05, 1))


def _nearer(a: Traits, b: Traits) -> float:
    """Whether `a` stands nearer than `b`, and in its way."""
    lower = float(np.clip(0.5 + (a.bottom - b.bottom) / _tall(a, b) * 4, 0.05, 1))
    return lower * float(np.clip(1 - _gap(a, b) / 0.8, 0.3, 1))


def _over(a: Traits, b: Traits) -> float:
    return float(np.clip(0.5 + (b.bottom - a.bottom) / _tall(a, b) * 2, 0.05, 1))


def _follows(a: Traits, b: Traits) -> float:
    """The same way, and behind."""
    same = a.vx * b.vx
    if same <= 0:
        return 0.1
    return float(np.clip(0.5 + a.frame * (b.x - a.x) * np.sign(a.vx) / _tall(a, b), 0.05, 1))


_SHOWN: dict[str, Callable[[Traits, Traits], float]] = {
    "next-to": _beside, "nearest-to": _beside, "touching": _touching, "with": _touching, "holding": _touching,
    "led-by": _beside, "left-of": _left, "right-of": lambda a, b: _left(b, a), "in-front-of": _nearer,
    "behind": lambda a, b: _nearer(b, a), "riding": lambda a, b: _touching(a, b) * _over(a, b),
    "on": lambda a, b: _touching(a, b) * _over(a, b), "ridden-by": lambda a, b: _touching(a, b) * _over(b, a),
    "above": _over, "below": lambda a, b: _over(b, a), "following": _follows,
    "followed-by": lambda a, b: _follows(b, a),
    "larger-than": lambda a, b: float(np.clip(0.5 + (a.height - b.height) / max(b.height, 1e-3), 0.05, 1)),
    "smaller-than": lambda a, b: float(np.clip(0.5 + (b.height - a.height) / max(b.height, 1e-3), 0.05, 1)),
}  # fmt: skip
