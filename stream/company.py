"""What an entity has on it and who is beside it, as words that hold: measured at every look by what measures queries,
and said only when it has been so for a while.

Each thing is kept as a running mean that begins at 0; it is said from `ON` and until it falls under `OFF`, so that one
bad look neither says nor unsays it. Motion is held the same way.
"""

from __future__ import annotations

from stream.entity import LIVING, Traits
from stream.evidence import Present, motion, shown

STEP = 1 / 8
"""Share of the way that a look takes: eight good looks in a row, more than a second, before a thing is said."""
ON, OFF = 0.65, 0.35
MOST = 8
"""Things kept of one entity at most."""
CARRIED = frozenset("backpack umbrella handbag suitcase".split())
RIDDEN = frozenset("bicycle motorcycle horse skateboard surfboard snowboard".split())
HELD = frozenset(
    {"frisbee", "sports ball", "kite", "baseball bat", "tennis racket", "bottle", "cup", "cell phone", "book",
     "remote", "teddy bear", "toothbrush", "scissors", "banana", "apple", "sandwich"}
)  # fmt: skip
_FITS = 0.75
"""What counts as so at one look."""
MOTION = ("moving", "still")


def notice(everyone: Present) -> None:
    """Take one look at who is in sight: id -> category and traits."""
    for me, (category, traits) in everyone.items():
        seen = {value: motion(value, traits) or 0.0 for value in MOTION}
        for other, (what, theirs) in everyone.items():
            word = None if other == me else _word(category, traits, what, theirs)
            if word is not None:
                fit = shown(word[0], traits, theirs)
                phrase = " the ".join(word[1:])
                seen[phrase] = max(seen.get(phrase, 0.0), fit)
        _hold(traits, seen)


def _word(category: str, mine: Traits, what: str, theirs: Traits) -> tuple[str, str, str] | None:
    """The relation that this one may have to a thing of category `what`, how it is said, and of what."""
    if what == category or what == "object":
        return None
    if category == "person" and what in CARRIED and theirs.height < mine.height:
        return "with", "with", what
    if category == "person" and what in RIDDEN:
        return "riding", "on", what
    if category == "person" and what in HELD and theirs.height < mine.height:
        return "holding", "holding", what
    if what in LIVING:
        return "next-to", "next to", what
    return None


def _hold(traits: Traits, seen: dict[str, float]) -> None:
    held = traits.company
    for phrase in sorted({*held, *seen}):
        so = 1.0 if seen.get(phrase, 0.0) >= _FITS else 0.0
        mean = held.get(phrase, 0.0)
        held[phrase] = mean + STEP * (so - mean)
        if held[phrase] >= ON and phrase not in traits.says:
            traits.says = sorted({*traits.says, phrase})
        elif held[phrase] < OFF and phrase in traits.says:
            traits.says = [p for p in traits.says if p != phrase]
    kept = sorted((p for p in held if held[p] >= 0.02), key=lambda p: (-held[p], p))[:MOST]
    traits.company = {p: held[p] for p in sorted(kept)}
    traits.says = [p for p in traits.says if p in traits.company]
