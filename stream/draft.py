"""An entity that an expression speaks of, while the expression is read; what phrases say of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from stream.expression import Attribute, Expression, Order, Relation
from stream.lexicon import lexicon
from stream.phrases import Phrase

Need = Literal["person", "animate", "mover"]


@dataclass(slots=True)
class Draft:
    """One entity: what was said of it so far. `via`: the relation by which it came in, empty for the main one."""

    noun: str = ""
    category: str = "object"
    plural: bool = False
    count: int = 0
    all: bool = False
    other: bool = False
    order: Order | None = None
    attributes: list[Attribute] = field(default_factory=list)
    relations: list[tuple[str, Draft, bool]] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    via: str = ""

    @property
    def known(self) -> bool:
        """Whether anything that is said of it is understood."""
        return bool((self.noun and self.noun not in self.unknown) or self.attributes)

    def can(self, need: Need) -> bool:
        """Whether it is one that does such things."""
        known = lexicon()
        return (
            self.category == "person"
            or (need != "person" and self.category in known.animals)
            or (need == "mover" and self.category in known.vehicles)
        )

    def finish(self, text: str = "") -> Expression:
        """As an expression; a target is called by its noun."""
        noun = self.noun or "object"
        return Expression(
            text or noun,
            noun,
            self.category,
            tuple(dict.fromkeys(self.attributes)),
            lexicon().is_telling(noun, self.category),
            self.plural,
            tuple(self.unknown),
            tuple(dict.fromkeys(Relation(k, t.finish(), n) for k, t, n in self.relations)),
            self.count,
            self.all,
            self.other,
            self.order,
        )


def number(draft: Draft, phrase: Phrase) -> None:
    """How many, which and whether all: from the words before the head."""
    for w in phrase.mods:
        if w.cls == "NUM":
            draft.count = int(w.value)
            draft.plural = draft.count > 1
        elif w.cls in ("BOTH", "ALL"):
            draft.all = draft.plural = True
            draft.count = 2 if w.cls == "BOTH" else draft.count
        elif w.cls in ("GROUP", "SOME"):
            draft.plural = True
        elif w.cls == "OTHER":
            draft.other = True
        elif w.cls == "ORD":
            draft.order = Order(int(w.value))
        elif w.cls == "SUP":
            draft.order = Order(draft.order.n if draft.order else 1, w.value)


def adjectives(phrase: Phrase, *, part: str = "whole", negated: bool = False) -> list[Attribute]:
    """What the words before a head say of the entity itself."""
    found = []
    mods = phrase.mods
    for i, w in enumerate(mods):
        if w.cls == "COLOUR":
            found.append(Attribute("colour", w.value, part, negated, w.text))
        elif w.cls == "SHADE" and not any(m.cls == "COLOUR" for m in mods[i + 1 : i + 2]):
            value = {"dark": "black", "light": "white", "pale": "white"}.get(w.text)
            found += [Attribute("colour", value, part, negated, w.text)] if value else []
        elif w.cls in ("ADJ", "COMP"):
            found.append(Attribute(w.kind, w.value, "head" if w.kind == "hair" else part, negated, w.text))
        elif w.cls == "PLACE":
            found.append(Attribute("place", w.value, "whole", negated, w.text))
    for w in phrase.heads[:-1]:  # a baby elephant
        if w.text in ("baby", "adult"):
            found.append(Attribute("age", {"baby": "young", "adult": "adult"}[w.text], word=w.text))
    return found


def worn(phrase: Phrase, *, negated: bool) -> list[Attribute]:
    """What a garment or a part of the body says of who has it: its colours and pattern, else that it is there."""
    head = phrase.head
    assert head is not None
    part, name = head.value, head.text
    if part == "arms":
        return [Attribute(w.kind, w.value, "whole", negated, w.text) for w in phrase.mods if w.kind == "pose"]
    spots = part in ("spotted", "striped")
    on = "whole" if spots else part
    told = [
        Attribute(a.kind, a.value, on, negated, name)
        for a in adjectives(phrase, part=on)
        if a.kind in ("colour", "pattern")
    ]
    if spots:
        told.append(Attribute("pattern", part, "whole", negated, name))
    if told:
        return told
    said = [w.text for w in phrase.mods if w.cls in ("ADJ", "COMP")]
    if name == "hair":
        kinds = [w.value for w in phrase.mods if w.kind in ("length", "hair")] or said or ["hair"]
        return [Attribute("hair", kinds[0], part, negated, name)]
    if name == "beard":
        return [Attribute("hair", "beard", part, negated, name)]
    kind = "clothing" if head.cls == "GARMENT" else "body"
    return [Attribute(kind, " ".join([*said, name]), part, negated, name)]
