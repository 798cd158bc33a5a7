"""How many of a category are in sight at t."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from instruct.compose import Composer
from instruct.pair import Claim, Form, Unit
from instruct.plan import Plan, near
from instruct.say import number, plural

FAMILY = "count"
_OPEN = (
    "How many {things} are in sight at {t}?",
    "At {t}, how many {things} can be seen?",
    "Count the {things} at {t}.",
)


def pairs(c: Composer) -> Iterator[Plan]:
    w = c.clip.window
    for category in sorted({t.category for t in c.clip.tracks} - {"object"}):
        kind = [t for t in c.clip.tracks if t.category == category]
        for at in c.instants([(w.start_us, w.end_us)], 8):
            low, high = at - 500_000, at + 500_000
            there = [t for t in kind if t.visible(low, high)]
            if any(t not in there and any(s < high and low < e for s, e in t.spans) for t in kind):
                continue
            if any(t.frames[t.at(at)].score < c.gates.least_score for t in there):
                continue
            for form, write in _FORMS.items():
                yield c.plan(FAMILY, form, (category, near(at)), partial(write, c, category, at, len(there)),
                             masked=False, timed=True)  # fmt: skip


def _claim(category: str, at: int, k: int, n: int) -> Claim:
    return Claim(kind="count", holds=k == n, text=category, n=k, start_us=at, end_us=at)


def _open(c: Composer, category: str, at: int, n: int) -> Unit:
    when = c.times().exact(at)
    question = c.pick(_OPEN).format(things=plural(category), t=when)
    answer = f"There {_are(n, category)} in sight at {when}."
    return (c.pair(FAMILY, "open", question, answer, [_claim(category, at, n, n)], timed=True),)


def _choice(c: Composer, category: str, at: int, n: int) -> Unit:
    question = c.pick(_OPEN).format(things=plural(category), t=c.times().exact(at))
    wrong = [(_option(k), _claim(category, at, k, n)) for k in _others(n)]
    return c.choice(FAMILY, question, (_option(n), _claim(category, at, n, n)), wrong, (), timed=True)


def _twins(c: Composer, category: str, at: int, n: int) -> Unit:
    when = c.times().exact(at)
    k = c.pick([k for k in _others(n) if k > 0])
    are, right = _are(n, category), _claim(category, at, n, n)
    return (
        c.pair(FAMILY, "yesno", _ask(n, category, when), f"Yes, there {are}.", [right], timed=True),
        c.pair(FAMILY, "yesno", _ask(k, category, when), f"No, there {are}.", [_claim(category, at, k, n), right],
               timed=True),
    )  # fmt: skip


_FORMS: dict[Form, Callable[[Composer, str, int, int], Unit]] = {"open": _open, "choice": _choice, "yesno": _twins}


def _others(n: int) -> list[int]:
    return [k for k in range(max(0, n - 2), n + 4) if k != n]


def _are(n: int, category: str) -> str:
    return f"{'is' if n == 1 else 'are'} {number(n)} {category if n == 1 else plural(category)}"


def _option(n: int) -> str:
    return number(n) if n else "none"


def _ask(n: int, category: str, at: str) -> str:
    if n == 1:
        return f"Is there exactly one {category} in sight at {at}?"
    return f"Are there {number(n)} {plural(category)} in sight at {at}?"
