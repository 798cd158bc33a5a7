"""What the people of referring scenes wear, and the words that are true of one of them only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from producers.scenes.person import Look
from producers.scenes.scripts import HAIR, SKIN
from producers.scenes.shapes import Colour, checks, plain, stripes

TOPS: dict[str, Colour] = {
    "red": (190, 36, 40),
    "green": (52, 128, 66),
    "blue": (46, 84, 184),
    "yellow": (232, 200, 60),
    "white": (240, 240, 238),
    "black": (30, 30, 33),
    "orange": (234, 122, 34),
    "purple": (120, 62, 160),
    "pink": (240, 140, 178),
}
BOTTOMS: dict[str, Colour] = {
    "blue": (52, 72, 132),
    "black": (34, 34, 38),
    "grey": (122, 124, 128),
    "beige": (204, 184, 146),
    "brown": (108, 72, 46),
}
CARS: dict[str, Colour] = {
    "red": (176, 32, 36),
    "blue": (40, 84, 170),
    "orange": (214, 112, 38),
    "silver": (178, 184, 190),
    "green": (44, 118, 70),
    "yellow": (226, 190, 52),
}
GARMENTS = ("shirt", "sweater", "jacket", "top")
_PLAIN_ONLY = ("white", "black", "yellow")
"""A darker stripe would make another colour of these."""


@dataclass(frozen=True, slots=True)
class Dressed:
    """A person's look, stature (1 is an adult's) and expressions, each true of this one of the scene only."""

    look: Look
    stature: float
    expressions: tuple[str, ...]


def dress(
    rng: np.random.Generator, n: int, ways: Sequence[tuple[tuple[float, float], ...]] | None
) -> tuple[Dressed, ...]:
    """`n` people told apart by what they wear. ways: their (time, x) knots where the camera rests, for words of place.

    Tops differ, but that from four people on two may wear the same one with different bottoms.
    """
    tops = [str(c) for c in rng.permutation(list(TOPS))[:n]]
    bottoms = [str(c) for c in rng.choice(list(BOTTOMS), n)]
    if n >= 4 and rng.random() < 0.5:
        tops[1] = tops[0]
        while bottoms[1] == bottoms[0]:
            bottoms[1] = str(rng.choice(list(BOTTOMS)))
    child = int(rng.integers(n)) if n >= 3 and rng.random() < 0.3 else -1
    side = _sides(ways) if ways is not None else {}
    people = []
    for i, (top, bottom) in enumerate(zip(tops, bottoms, strict=True)):
        garment = str(rng.choice(GARMENTS))
        pattern = plain if top in _PLAIN_ONLY else (plain, stripes(9, 0.3), checks(12, 0.25))[int(rng.integers(3))]
        look = Look(
            TOPS[top],
            BOTTOMS[bottom],
            SKIN[int(rng.integers(4))],
            HAIR[int(rng.integers(4))],
            pattern=pattern,
            long_hair=bool(rng.integers(2)),
            seed=int(rng.integers(1 << 16)),
        )
        lower = str(rng.choice(["trousers", "pants"]))
        words = f"the person in the {top} {garment}"
        if Counter(tops)[top] > 1:
            words += f" and {bottom} {lower}"
        more = []
        if Counter(bottoms)[bottom] == 1 and Counter(tops)[top] == 1 and rng.random() < 0.3:
            more.append(f"the person in {bottom} {lower}")
        if i in side:
            more.append(f"the person on the {side[i]}")
        if i == child:
            more.append("the small person")
        people.append(Dressed(look, 0.62 if i == child else 1.0, (words, *more[:1])))
    return tuple(people)


def car_colours(rng: np.random.Generator, n: int) -> list[tuple[str, Colour]]:
    """`n` cars' colours, all different."""
    return [(str(c), CARS[str(c)]) for c in rng.permutation(list(CARS))[:n]]


def _sides(ways: Sequence[tuple[tuple[float, float], ...]]) -> dict[int, str]:
    """Who is the leftmost, or the rightmost, from beginning to end and well away from all others."""
    t = np.linspace(0, 1, 101)
    x = np.array([np.interp(t, *np.array(way).T) for way in ways])
    found = {}
    for i in range(len(ways)):
        others = np.delete(x, i, axis=0)
        if not len(others) or x[i].min() < 0.02 or x[i].max() > 0.98:
            continue
        if (others - x[i] > 0.15).all() and x[i].max() < 0.4:
            found[i] = "left"
        elif (x[i] - others > 0.15).all() and x[i].min() > 0.6:
            found[i] = "right"
    return found
