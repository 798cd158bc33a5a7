"""Entity recogniser: what to call an entity so that it is told from the others that were seen with it.

The shortest expression that tells it apart, by the incremental algorithm (Dale & Reiter, "Computational
interpretations of the Gricean maxims", Cognitive Science 1995): attributes in a fixed order of preference, each taken
only if it rules somebody out.
"""

from __future__ import annotations

from dataclasses import dataclass

from stream.entity import Traits
from stream.traits import main_colour

SMALL = 0.7
"""Height against the next of its kind under which somebody is called small."""


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
        left = {i: t for i, t in rivals.items() if _values(category, t, kind).get(attribute) == value}
        if len(left) < len(rivals):
            taken.append(value)
            rivals = left
        if not rivals:
            break
    if not taken:  # alone of its kind: one colour still helps a person to find it
        taken = list(_values(category, traits, kind).values())[:1]
    before = [a for a in taken if not a.startswith(("in ", "on ", "at "))]
    after = [a for a in taken if a.startswith(("in ", "on ", "at "))]
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
    others = [t.height for t in kind if t is not traits]
    if others and traits.height < SMALL * min(others):
        out["size"] = "small"
    elif others and SMALL * traits.height > max(others):
        out["size"] = "tall" if category == "person" else "large"
    out["place"] = "on the left" if traits.x < 0.4 else "on the right" if traits.x > 0.6 else "in the middle"
    return out


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
