"""What an expression says, as the parsers give it and the referrer reads it: plain frozen data."""

from __future__ import annotations

import msgspec


class Attribute(msgspec.Struct, frozen=True):
    """One thing said of an entity, or denied of it.

    | kind | value |
    |---|---|
    | colour | one of the twelve of colours.NAMES; `part`: whose |
    | place | left, right, middle, top, bottom, near, far: in the picture |
    | size | large, small: against its kind |
    | motion | moving, still, turning; `word` tells run from walk |
    | direction | left, right, up, down, away, towards (the camera), forward, backward, around, back-and-forth, … |
    | facing | the same: where it looks |
    | pose | standing, sitting, lying, crouching, kneeling, bending, leaning, arm-raised |
    | action | a verb: eat, fight, wave, enter, leave … |
    | clothing, hair, body | what is worn or had where no colour is said: hat; long; long tail |
    | pattern, material, build, length, width | striped; wood; thin; long; wide |
    | age, gender | old, middle, young, adult; male, female |
    | speed, time | fast, slow; start, end |
    """

    kind: str
    value: str
    part: str = "whole"
    """whole; of a person top, bottom, head, neck, hands, waist, feet; else the name of a part of the body (tail)."""
    negated: bool = False
    """The entity is said not to be so."""
    word: str = ""
    """The word it rests on, in the form of the dictionary: `run` of motion moving, `skirt` of colour blue (bottom)."""


class Order(msgspec.Struct, frozen=True):
    """Which of several: the n-th by a measure, counted from 1; -1 is the last.

    by: left, right, top, bottom (counted from that side), large, small, tall, short, near, far (from the camera), fast,
    slow, old, young, middle; enter, leave, appear (counted in time); empty where it is not said (the second dog).
    """

    n: int
    by: str = ""


class Relation(msgspec.Struct, frozen=True):
    """How the entity stands to another one.

    kind: next-to, behind, in-front-of, left-of, right-of, above, below, on, in, between (once for each end; one plural
    target may stand for both), around, through, across, along, touching, towards, away-from, nearest-to, larger-than,
    smaller-than (and other comparisons, `<value>-than`), with, of; holding, riding, wearing, following, facing,
    pushing, pulling, leading, acting-on (the attribute of kind action says how), or the other way about: held-by,
    ridden-by, worn-by, followed-by, pushed-by, pulled-by, led-by, touched-by, acted-on-by; after.
    """

    kind: str
    target: Expression
    negated: bool = False


class Expression(msgspec.Struct, frozen=True):
    """A parsed expression, or the target of a relation of one.

    noun: as it was said, in the singular; `object` where none is. category: the generalised noun. It is COCO's name
    where COCO has one (girl -> person), else the noun itself (panda), and `object`, which stands for anything,
    where the noun is not known (zebu) or says nothing (one, thing).
    """

    text: str
    """The whole text; of a target its noun."""
    noun: str
    category: str
    attributes: tuple[Attribute, ...] = ()
    telling: bool = False
    """The noun says more than the category: girl, driver, which no network of `lite` can tell; cyclist."""
    plural: bool = False
    unknown: tuple[str, ...] = ()
    """Words that are not understood, in their order, those about targets included."""
    relations: tuple[Relation, ...] = ()
    count: int = 0
    """How many are meant where a number is said (two, both, a pair of), else 0."""
    all: bool = False
    """Everyone is meant: all, every, each, both."""
    other: bool = False
    """Another than one spoken of: the other dog, another sheep."""
    order: Order | None = None
