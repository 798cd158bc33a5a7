"""Where in the picture <region> is at t."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from instruct.clip import Track
from instruct.compose import Composer
from instruct.pair import Claim, Form, Unit
from instruct.plan import Plan, near

FAMILY = "place"
_PLACES = {"left": "on the left", "middle": "in the middle", "right": "on the right"}
_OPEN = ("Where in the picture is {who} at {t}?", "At {t}, in which part of the picture is {who}?")
_ASK = ("Is {who} {place} of the picture at {t}?", "At {t}, is {who} {place}?")
_RIM = 0.05
"""Of the width: who stands nearer to the border of two thirds is not asked about."""


def pairs(c: Composer) -> Iterator[Plan]:
    for t in c.tracks:
        for masked in c.ways(t) * 2:
            for at in c.instants(t.spans, 3):
                place = _place(t, at)
                for form, write in _FORMS.items() if place else ():
                    yield c.plan(FAMILY, form, (t.entity, near(at)), partial(write, c, t, masked, at, place),
                                 masked=masked, timed=True)  # fmt: skip


def _claim(t: Track, at: int, place: str, true: str) -> Claim:
    return Claim(kind="place", holds=place == true, entity=t.entity, text=place, start_us=at, end_us=at)


def _open(c: Composer, t: Track, masked: bool, at: int, place: str) -> Unit:
    ref, when = c.ref(t, masked), c.times().exact(at)
    question = c.pick(_OPEN).format(who=ref.asked, t=when)
    answer = f"{ref.said_first} is {_PLACES[place]} of the picture at {when}."
    return (c.pair(FAMILY, "open", question, answer, [_claim(t, at, place, place)], [ref], timed=True),)


def _choice(c: Composer, t: Track, masked: bool, at: int, place: str) -> Unit:
    ref = c.ref(t, masked)
    question = c.pick(_OPEN).format(who=ref.asked, t=c.times().exact(at))
    options = {p: (text, _claim(t, at, p, place)) for p, text in _PLACES.items()}
    right = options.pop(place)
    return c.choice(FAMILY, question, right, list(options.values()), [ref], timed=True)


def _twins(c: Composer, t: Track, masked: bool, at: int, place: str) -> Unit:
    ref, when, ask = c.ref(t, masked), c.times().exact(at), c.pick(_ASK)
    other = c.pick([p for p in _PLACES if p != place])
    yes, no = (ask.format(who=ref.asked, place=_PLACES[p], t=when) for p in (place, other))
    right, wrong = _claim(t, at, place, place), _claim(t, at, other, place)
    said = f"{ref.said} is {_PLACES[place]} at {when}."
    return (
        c.pair(FAMILY, "yesno", yes, f"Yes, {said}", [right], [ref], timed=True),
        c.pair(FAMILY, "yesno", no, f"No, {said}", [wrong, right], [ref], timed=True),
    )


_FORMS: dict[Form, Callable[[Composer, Track, bool, int, str], Unit]] = {
    "open": _open, "choice": _choice, "yesno": _twins,
}  # fmt: skip


def _place(t: Track, at: int) -> str:
    """The third that the box's middle stays in around a time; empty where it is near a border."""
    xs = t.xs[t.around(at)]
    low, high = min(xs), max(xs)
    if high < 1 / 3 - _RIM:
        return "left"
    if low > 2 / 3 + _RIM:
        return "right"
    return "middle" if low > 1 / 3 + _RIM and high < 2 / 3 - _RIM else ""
