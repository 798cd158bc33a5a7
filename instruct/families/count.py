"""How many of a category are in sight at t."""

from __future__ import annotations

from collections.abc import Iterator

from instruct.compose import Composer
from instruct.pair import Claim, Unit
from instruct.say import number, plural

FAMILY = "count"
_OPEN = (
    "How many {things} are in sight at {t}?",
    "At {t}, how many {things} can be seen?",
    "Count the {things} at {t}.",
)


def pairs(c: Composer) -> Iterator[Unit]:
    w = c.clip.window
    for category in sorted({t.category for t in c.clip.tracks} - {"object"}):
        kind = [t for t in c.clip.tracks if t.category == category]
        for at in c.instants([(w.start_us, w.end_us)], 8):
            near = (at - 500_000, at + 500_000)
            there = [t for t in kind if t.visible(*near)]
            if any(t not in there and any(s < near[1] and near[0] < e for s, e in t.spans) for t in kind):
                continue
            if any(t.frames[t.at(at)].score < c.gates.least_score for t in there):
                continue
            n = len(there)
            times = c.times()

            def claim(k: int, at: int = at, n: int = n, category: str = category) -> Claim:
                return Claim(kind="count", holds=k == n, text=category, n=k, start_us=at, end_us=at)

            question = c.rng.choice(_OPEN).format(things=plural(category), t=times.exact(at))
            are = f"{'is' if n == 1 else 'are'} {number(n)} {category if n == 1 else plural(category)}"
            answer = f"There {are} in sight at {times.exact(at)}."
            yield (c.pair(FAMILY, "open", question, answer, [claim(n)], timed=True),)
            others = [k for k in range(max(0, n - 2), n + 4) if k != n]
            wrong = [(_option(k), claim(k)) for k in others]
            yield c.choice(FAMILY, question, (_option(n), claim(n)), wrong, (), timed=True)
            k = c.rng.choice([k for k in others if k > 0])
            yield (
                c.pair(FAMILY, "yesno", _ask(n, category, times.exact(at)), f"Yes, there {are}.", [claim(n)],
                       timed=True),
                c.pair(FAMILY, "yesno", _ask(k, category, times.exact(at)), f"No, there {are}.", [claim(k), claim(n)],
                       timed=True),
            )  # fmt: skip


def _option(n: int) -> str:
    return number(n) if n else "none"


def _ask(n: int, category: str, at: str) -> str:
    if n == 1:
        return f"Is there exactly one {category} in sight at {at}?"
    return f"Are there {number(n)} {plural(category)} in sight at {at}?"
