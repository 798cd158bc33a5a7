"""A pair's text changed so that it says something else, in every way that a model might."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from random import Random

from instruct.pair import Pair

_TIME = re.compile(r"(\d+):(\d\d)(\.\d)?|\b(\d+)(\.\d)? (s|seconds?)\b")
_WORDS = (
    ("left", "right"), ("right", "left"), ("middle", "left"), ("larger", "smaller"), ("smaller", "larger"),
    ("before", "after"), ("earlier", "later"), ("after", "before"), ("first", "second"), ("second", "first"),
    ("not ", ""), ("one", "two"), ("two", "three"), ("no ", "two "), ("three", "one"), ("person", "dog"),
    ("dog", "cat"), ("cat", "person"), ("brown", "black"), ("white", "red"), ("person", "woman"), ("dog", "puppy"),
    ("jump", "sleep"), ("runs", "walks"), ("running", "walking"), ("moving", "falling"), ("moves", "falls"),
    ("staying in place", "sitting down"), ("in sight", "out of sight"), ("out of sight", "in sight"),
    ("visible", "hidden"), ("When", "Where"), ("Where", "When"), ("What", "Why"), ("How many", "How long"),
    ("together", ""), ("next", "last"), ("comes back", "stays away"), ("Segment", "Describe"), ("at ", "before "),
    ("at ", "after "), ("from ", "until "), ("at ", "around "), ("<region>", ""), ("<region>", "it"), ("who", "why"),
    ("<region>", "<region> <region>"), ("<region>", "<REGION>"), ("<region>", "the zebra in <region>"), ("the", "no"),
    ("and then comes back", "and never comes back"), ("exactly ", ""), ("exactly one", "at least one"), (" s", " min"),
)  # fmt: skip
_TAILS = (
    " near the tree", " in a red hat", " quickly", " because it is hungry", " again and again", " for the first time",
    " with a ball", ", and barks", " at 3 s", " from 1 s to 2 s", " for 2 s", " and the zebra", " alone", " only",
    ", and the brown dog jumps", ". The cat is asleep", " after the cat", " while the dog jumps", " on the left",
    " together", " twice", " 7", " perhaps", " not", " never", " and comes back", " out of sight", " somewhere else",
    " before that", " until the end", " most of the time", " \N{SNOWMAN}", " <region>", " of the cat", "'s tail",
)  # fmt: skip
_INSIDE = (
    "not",
    "never",
    "only",
    "almost",
    "hardly",
    "both",
    "no",
    "every",
    "old",
    "happily",
    "two",
    "no longer",
    "maybe",
)


def lies(p: Pair, rng: Random) -> Iterator[tuple[str, str]]:
    """Questions (without options) and answers that say something else than the pair's."""
    head = p.question.partition("\n")[0]
    told = [(head, lambda new: (new, p.answer))]
    told += [] if p.form == "choice" else [(p.answer, lambda new: (head, new))]
    for text, whole in told:
        for new in _changed(text, rng):
            if new != text:
                yield whole(new)
    if p.form == "choice":
        letter = p.answer[1]
        for other in "ABCD".replace(letter, ""):
            yield head, p.answer.replace(f"({letter})", f"({other})")
        yield from ((head, o) for o in p.options)
    swap = {"Yes": "No", "No": "Yes"}
    word, comma, rest = p.answer.partition(",")
    if p.form == "yesno":
        yield from ((head, f"{other}{comma}{rest}") for other in (swap[word], "Maybe", "Yes and no", "") if other)
        yield head, rest.strip()
        yield head[:-1] + ".", p.answer
    yield from (("", p.answer), (head, ""), (" ", " "), (head, p.answer + " so" * 4000), (head * 40, p.answer))


def _changed(text: str, rng: Random) -> Iterator[str]:
    times = list(_TIME.finditer(text))
    for m in times:
        for new in (_later(m), "5.55 s", "soon"):
            yield text[: m.start()] + new + text[m.end() :]
    for a, b in pairwise(times):
        if a.group() != b.group():
            yield text[: a.start()] + b.group() + text[a.end() : b.start()] + a.group() + text[b.end() :]
    for old, new in _WORDS:
        for m in re.finditer(re.escape(old), text):
            yield text[: m.start()] + new + text[m.end() :]
    names = list(re.finditer(r"the (?:person in a white top|brown dog|cat)", text))
    for a, b in pairwise(names):
        if a.group() != b.group():
            yield text[: a.start()] + b.group() + text[a.end() : b.start()] + a.group() + text[b.end() :]
    end = len(text.rstrip(".?"))
    yield from (text[:end] + tail + text[end:] for tail in _TAILS)
    words = text.split(" ")
    for word in _INSIDE:
        at = rng.randrange(1, len(words) + 1)
        yield " ".join((*words[:at], word, *words[at:]))


def _later(m: re.Match[str]) -> str:
    minutes, secs, tenth, alone, part, unit = m.groups()
    if minutes is not None:
        return f"{minutes}:{(int(secs) + 1) % 60:02d}{tenth or ''}"
    return f"{int(alone) + 1}{part or ''} {unit if unit != 'second' else 'seconds'}"
