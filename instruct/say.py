"""Facts in words: times as people write them, verbs in the form a sentence asks for, lists, numbers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

_NUMBERS = "no one two three four five six seven eight nine ten eleven twelve".split()
_DOUBLED = frozenset(
    "run sit stop clap hop hug drop tap step nod swim dig skip spin grab get put cut hit bat jog slip trip chop".split()
)
"""Verbs that double their last letter in -ing."""
_PLURALS = {
    "person": "people", "sheep": "sheep", "mouse": "mice", "knife": "knives", "skis": "skis", "scissors": "scissors",
}  # fmt: skip


@lru_cache(maxsize=4096)
def clock(us: int, unit_us: int) -> str:
    """00:18 or 00:18.4: minutes and seconds to the second or the tenth."""
    n = (us + unit_us // 2) // unit_us
    whole, tenth = (n, "") if unit_us == 1_000_000 else (n // 10, f".{n % 10}")
    return f"{whole // 60:02d}:{whole % 60:02d}{tenth}"


@lru_cache(maxsize=4096)
def seconds(us: int, unit_us: int, word: str = "s") -> str:
    """18 s, 18.4 s; or with `seconds` for word."""
    n = (us + unit_us // 2) // unit_us
    text = str(n) if unit_us == 1_000_000 else f"{n // 10}.{n % 10}"
    return f"{text} {'second' if word == 'seconds' and text == '1' else word}"


class Times:
    """One way of writing times, kept through a pair. Times are taken from `origin_us`, the clip's start.
    style: 00:18, 18 s, 18 seconds."""

    def __init__(self, origin_us: int, style: int) -> None:
        self._origin, self._style = origin_us, style

    def at(self, us: int, unit_us: int = 100_000) -> str:
        us -= self._origin
        if self._style == 0:
            return clock(us, unit_us)
        return seconds(us, unit_us, "seconds" if self._style == 2 else "s")

    def exact(self, us: int) -> str:
        """A time on the grid of tenths, as short as it can be told exactly."""
        return self.at(us, 1_000_000 if (us - self._origin) % 1_000_000 == 0 else 100_000)

    def span(self, span: tuple[int, int]) -> str:
        return f"from {self.at(span[0])} to {self.at(span[1])}"

    def spans(self, spans: Sequence[tuple[int, int]]) -> str:
        return listed([self.span(s) for s in spans])


@lru_cache(maxsize=1024)
def bare(text: str) -> str:
    """`moves to the left` -> `move to the left`."""
    verb, _, rest = text.partition(" ")
    if verb == "is":
        base = "be"
    elif verb.endswith("ies") and len(verb) > 4:
        base = verb[:-3] + "y"
    elif verb.endswith(("ches", "shes", "sses", "xes", "oes", "zzes")):
        base = verb[:-2]
    else:
        base = verb.removesuffix("s")
    return f"{base} {rest}".strip()


@lru_cache(maxsize=1024)
def going(text: str) -> str:
    """`moves to the left` -> `moving to the left`."""
    verb, _, rest = bare(text).partition(" ")
    if verb.endswith("ie"):
        verb = verb[:-2] + "ying"
    elif verb.endswith("e") and not verb.endswith(("ee", "oe", "ye")) and verb != "be":
        verb = verb[:-1] + "ing"
    elif verb in _DOUBLED:
        verb = verb + verb[-1] + "ing"
    else:
        verb += "ing"
    return f"{verb} {rest}".strip()


def listed(parts: Sequence[str]) -> str:
    """a, b and c."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def number(n: int) -> str:
    return _NUMBERS[n] if n < len(_NUMBERS) else str(n)


def plural(noun: str) -> str:
    """Of COCO's categories."""
    if noun in _PLURALS:
        return _PLURALS[noun]
    return noun + ("es" if noun.endswith(("s", "ch", "sh", "x")) else "s")


def upper(text: str) -> str:
    return text[:1].upper() + text[1:]
