"""Referring parser: an expression in plain English -> noun, category and what it says of the entity.

Deterministic and small: a lexicon of nouns, colours, garments, places, sizes and motions. Words it does not know are
kept in `unknown`, not guessed at; a query of unknown words only is refused.
"""

from __future__ import annotations

import re

import msgspec

from engines.errors import UserError
from engines.labels import COCO
from stream.colours import canonical

_CATEGORY_OF = {
    **{c: c for c in COCO},
    **dict.fromkeys(
        "man woman boy girl child kid baby guy lady gentleman toddler adult human pedestrian player dancer runner "
        "walker worker driver rider cyclist biker jogger juggler trainer owner teenager someone somebody".split(),
        "person",
    ),
    **dict.fromkeys("puppy hound".split(), "dog"),
    **dict.fromkeys("kitten kitty".split(), "cat"),
    **dict.fromkeys("pony foal".split(), "horse"),
    **dict.fromkeys("bike".split(), "bicycle"),
    **dict.fromkeys("motorbike scooter".split(), "motorcycle"),
    **dict.fromkeys("automobile sedan taxi suv vehicle".split(), "car"),
    **dict.fromkeys("van lorry pickup".split(), "truck"),
    **dict.fromkeys("plane aeroplane aircraft".split(), "airplane"),
    **dict.fromkeys("ship".split(), "boat"),
    **dict.fromkeys("ball football basketball".split(), "sports ball"),
    **dict.fromkeys("thing object one".split(), "object"),
}
_PLURALS = {
    "people": "person", "men": "man", "women": "woman", "children": "child", "kids": "kid", "sheep": "sheep",
    "puppies": "puppy", "ladies": "lady", "babies": "baby", "buses": "bus",
}  # fmt: skip
_PART = {
    **dict.fromkeys(
        "shirt t-shirt tshirt top jacket vest coat sweater hoodie blouse jersey pullover jumper tank singlet".split(),
        "top",
    ),
    **dict.fromkeys("skirt trousers pants jeans shorts leggings bottoms legs".split(), "bottom"),
    **dict.fromkeys("dress suit clothes outfit uniform clothing".split(), "whole"),
    **dict.fromkeys("hat cap helmet hair beanie".split(), "head"),
}
_PLACES = {"left": "left", "right": "right", "middle": "middle", "centre": "middle", "center": "middle"}
_PLACES |= {"top": "top", "bottom": "bottom", "foreground": "near", "front": "near", "background": "far"}
_SIZES = {"big": "large", "large": "large", "huge": "large", "tall": "large", "taller": "large", "small": "small"}
_SIZES |= {
    "little": "small",
    "tiny": "small",
    "short": "small",
    "smaller": "small",
    "bigger": "large",
    "larger": "large",
}
_MOTIONS = {
    **dict.fromkeys("moving walking running jogging racing riding driving dancing playing jumping".split(), "moving"),
    **dict.fromkeys("standing sitting still parked waiting resting lying".split(), "still"),
}
_SILENT = frozenset(
    "the a an in on at of with who is that which are and wearing dressed to side hand from it this part its".split()
)
_GENDERED = frozenset("man woman boy girl guy lady gentleman".split())


class Attribute(msgspec.Struct, frozen=True):
    """One thing said of an entity. kind: colour, place, size or motion; part: whose colour (`whole`, `top`, …)."""

    kind: str
    value: str
    part: str = "whole"


class Expression(msgspec.Struct, frozen=True):
    """A parsed expression. category: the generalised noun, `object` where none is named. gendered: the noun says more
    than the category (girl, man), which no network of `lite` can tell."""

    text: str
    noun: str
    category: str
    attributes: tuple[Attribute, ...] = ()
    gendered: bool = False
    plural: bool = False
    unknown: tuple[str, ...] = ()


def parse(text: str) -> Expression:
    """Parse one expression. Raises UserError where nothing in it is understood."""
    words = re.findall(r"[a-z][a-z\-]*", text.lower())
    if not words:
        raise UserError(f'the query {text!r} has no words: describe what to follow, like "the dog" or "the man in red"')
    noun, category, plural = "", "", False
    attributes: list[Attribute] = []
    unknown: list[str] = []
    colours: list[str] = []
    for place, word in enumerate(words):
        single = _PLURALS.get(word) or (word[:-1] if word.endswith("s") and word[:-1] in _CATEGORY_OF else word)
        pair = " ".join(words[place : place + 2])
        if not noun and pair in _CATEGORY_OF:
            noun, category = pair, _CATEGORY_OF[pair]
        elif not noun and single in _CATEGORY_OF:
            noun, category, plural = single, _CATEGORY_OF[single], single != word
            attributes += [Attribute("colour", c) for c in colours]
            colours = []
        elif word in _PART and not (word == "top" and words[place - 1 : place] == ["the"]):
            attributes += [Attribute("colour", c, _PART[word]) for c in colours]
            colours = []
        elif (colour := canonical(word)) is not None:
            colours.append(colour)
        elif word in _PLACES:
            attributes.append(Attribute("place", _PLACES[word]))
        elif word in _SIZES:
            attributes.append(Attribute("size", _SIZES[word]))
        elif word in _MOTIONS:
            attributes.append(Attribute("motion", _MOTIONS[word]))
        elif word not in _SILENT and word not in noun.split():
            unknown.append(word)
    attributes += [Attribute("colour", c) for c in colours]
    if not noun and not attributes:
        raise UserError(
            f"nothing in the query {text!r} is understood: name a thing (person, dog, car, …), a colour or a place"
        )
    return Expression(
        text, noun or "object", category or "object", tuple(attributes), noun in _GENDERED, plural, tuple(unknown)
    )
