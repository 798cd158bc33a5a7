"""Entity recogniser: what to call an entity so that it is told from the others that were seen with it.

The shortest expression that tells it apart, by the incremental algorithm (Dale & Reiter, "Computational
interpretations of the Gricean maxims", Cognitive Science 1995): attributes in a fixed order of preference, each taken
only if it rules somebody out: clothes or colour, what is carried or ridden, who is beside it, size, place, motion.
"""

from __future__ import annotations

from dataclasses import dataclass

from stream.company import MOTION
from stream.entity import Traits
from stream.traits import main_colour

SMALL = 0.7
"""Height against the next of its kind under which somebody is called small."""


_AFTER = ("in ", "on ", "at ", "with ", "next to ", "holding ")
"""How what is said behind the noun begins."""
_SOME = 0.25
"""In what share of looks a rival has been so at least, so that it may be confused."""


@dataclass(frozen=True, slots=True)
class Description:
    expression: str
    noun: str
    attributes: tuple[str, ...]


def describe(entity: int, everyone: dict[int, tuple[str, Traits]]) -> Description:
    """The expression of `entity` among `everyone` (id -> category and traits) it can be confused with."""
    category, traits = everyone[entity]
    rivals = {i: t for i, (c, t) in everyone.items() if i != entity and c == category}
    kind = [traits, *rivals.values()]
    noun = "object" if category == "object" else category
    taken: list[str] = []
    for attribute, value in _values(category, traits, kind).items():
        left = {i: t for i, t in rivals.items() if _may_be_so(attribute, value, _values(category, t, kind), t)}
        if len(left) < len(rivals):
            taken.append(value)
            rivals = left
        if not rivals:
            break
    if not taken:  # alone of its kind: one colour still helps a person to find it
        taken = list(_values(category, traits, kind).values())[:1]
    before = [a for a in taken if not a.startswith(_AFTER)]
    after = [a for a in taken if a.startswith(_AFTER)]
    expression = " ".join(["the", *before, noun, *_joined(after)])
    return Description(expression, noun, tuple(_values(category, traits, kind).values()))


def _values(category: str, traits: Traits, kind: list[Traits]) -> dict[str, str]:
    """What can be said of it, most telling first. kind: all of its kind, itself included."""
    out: dict[str, str] = {}
    if category == "person":
        for part, word in (("top", "top"), ("bottom", "bottoms")):
            colour = main_colour(traits, part)
            if colour is not None:
                out[part] = f"in {_article(colour, word)}"
    elif (colour := main_colour(traits, "whole")) is not None:
        out["colour"] = colour
    for phrase in traits.says:  # what is carried before what is near, as it stays with it
        if phrase not in MOTION and not phrase.startswith("next to "):
            out[phrase] = phrase
    for phrase in traits.says:
        if phrase.startswith("next to "):
            out[phrase] = phrase
    others = [t.height for t in kind if t is not traits]
    if others and traits.height < SMALL * min(others):
        out["size"] = "small"
    elif others and SMALL * traits.height > max(others):
        out["size"] = "tall" if category == "person" else "large"
    out["place"] = "on the left" if traits.x < 0.4 else "on the right" if traits.x > 0.6 else "in the middle"
    motion = next((value for value in MOTION if value in traits.says), None)
    if others and motion is not None:  # moving beside whom?
        out["motion"] = motion
    return out


def _may_be_so(attribute: str, value: str, theirs: dict[str, str], traits: Traits) -> bool:
    """Whether the same may be said of a rival. What holds by many looks is told apart by many looks: a rival of which
    it was so now and then is not ruled out by it."""
    if value in traits.company:
        return traits.company[value] >= _SOME
    return theirs.get(attribute) == value


def _article(colour: str, word: str) -> str:
    if word.endswith("s"):
        return f"{colour} {word}"
    return f"{'an' if colour[0] in 'aeiou' else 'a'} {colour} {word}"


def _joined(phrases: list[str]) -> list[str]:
    """`in a white top` + `in blue bottoms` -> `in a white top and blue bottoms`."""
    clothes = [p for p in phrases if p.startswith("in ") and not p.startswith("in the ")]
    places = [p for p in phrases if p not in clothes]
    head = ["in " + " and ".join(p.removeprefix("in ") for p in clothes)] if clothes else []
    return head + places
