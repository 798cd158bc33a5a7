"""The independent checker of pairs: every claim against `instruct.facts`, and the text against the claims.

It shares no code with the generators: times, numbers and names are read back out of the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import starmap

from instruct.facts import Facts, truth
from instruct.pair import Claim, Pair

_TIME = re.compile(r"(\d(?<![\d:.]\d)\d*)(?::(\d\d)(?:\.(\d))?|(?:\.(\d))? (?:s|seconds?))(?!\w|[.:]\d)")
"""00:18, 00:18.4, 18 s, 18.4 seconds. It begins with a digit, not with a look behind: so `re` skips to the digits."""
_ASCII_TIME = re.compile(_TIME.pattern, re.ASCII)
"""The same of texts in ASCII, where it is found in half the time."""
_BETWEEN = bytes(i if i >= 128 or chr(i).isalnum() else 32 for i in range(256))
"""By byte of UTF-8: a blank for what parts words."""
_COUNTED = "no one two three four five six seven eight nine ten eleven twelve".split()
_TIMED = ("seen", "does", "place", "count", "larger", "left_of")
_WORDLESS = frozenset(("seen", "stays", "lasts", "returns", "before", "together"))
"""What these claim is told by times, names and order alone."""
_THIRDS = ("beginning", "middle", "end")


class _Text:
    """A pair's text as the checks read it, each part of it once."""

    __slots__ = (
        "answer", "both", "head", "listed", "low", "low_answer", "low_head", "low_question", "names", "question",
    )  # fmt: skip

    def __init__(self, p: Pair) -> None:
        question, answer = p.question.lower(), p.answer.lower()
        self.head, _, self.listed = p.question.partition("\n")
        self.low_head, self.low_question, self.low_answer = question.partition("\n")[0], question, answer
        self.low = f"{question} {answer}"
        self.both = words(self.low)
        self.question, self.answer = self.both[: len(question) + 2], self.both[len(question) + 1 :]
        self.names = [n.text.lower() for n in p.names] if p.names else []


def words(text: str) -> str:
    """A lower-case text's words, each between blanks: ` word ` is found in it where the word is one of them."""
    parted = text.encode(errors="replace").translate(_BETWEEN)  # bytes are translated five times as fast as text
    return f" {parted.decode()} "


def fault(f: Facts, p: Pair) -> str:
    """Why a pair is not to be believed; empty where everything in it is confirmed."""
    for c in p.claims:
        if truth(f, c) is not c.holds:
            return f"claim {c.kind}"
    text = _Text(p)
    return _region_fault(f, p, text) or _form_fault(p) or _text_fault(p, text) or _time_fault(p, text)


def _region_fault(f: Facts, p: Pair, text: _Text) -> str:
    if not p.evidence or not f.ids.issuperset(p.evidence):
        return "evidence"
    known = {0}
    for r in p.regions:
        frame = f.masks.get(r.entity, {}).get(r.pts_us)
        if frame is None or frame.rle != r.rle or frame.bbox != r.bbox:
            return "region"
        if frame.rle.size != (p.height, p.width) or f.measured(r.entity, (r.pts_us,))[0].area != frame.area:
            return "a damaged mask"
        known.add(r.entity)
    for n, low in zip(p.names, text.names, strict=True):
        if low not in text.low or not f.names(n.text, n.entity):
            return "name"
        known.add(n.entity)
    for c in p.claims:
        if c.entity not in known or c.other not in known:
            return "an entity nobody named"
    return ""


def _hold(claims: Sequence[Claim], deniable: Sequence[str] = ()) -> bool:
    """Whether all claims are told as true, or are of the kinds that the text may deny."""
    for c in claims:  # noqa: SIM110
        if not c.holds and c.kind not in deniable:
            return False
    return True


def _form_fault(p: Pair) -> str:
    first = p.claims[0]
    match p.form:
        case "yesno":
            others = _hold(p.claims[1:], ("seen",) if " not " in p.answer else ())
            ok = others and p.answer.startswith("Yes, " if first.holds else "No, ")
        case "choice":
            n = len(p.options)
            right = [i for i, c in enumerate(p.claims[:n]) if c.holds]
            lines = [f"({'ABCD'[i]}) {o}" for i, o in enumerate(p.options)]
            ok = (
                2 <= n <= min(4, len(p.claims))
                and len(right) == 1
                and p.answer.lower() == lines[right[0]].lower()
                and p.question.lower().endswith("\n" + "\n".join(lines).lower())
                and _hold(p.claims[n:])
            )
        case "open":
            ok = _hold(p.claims, ("seen", "together") if "not" in p.answer else ())
    return "" if ok else "form"


def _mentioned(p: Pair, text: _Text) -> list[int]:
    """The entities of the question in the order of the text."""
    places: list[tuple[int, int]] = []
    at = -1
    for r in p.regions:
        at = text.low_head.find("<region>", at + 1)
        if at < 0:
            break
        places.append((at, r.entity))
    for n, low in zip(p.names, text.names, strict=True):
        at = text.low_head.find(low)
        if at >= 0:
            places.append((at, n.entity))
    places.sort()
    return [entity for _, entity in places]


def _text_fault(p: Pair, text: _Text) -> str:
    first, who = p.claims[0], _mentioned(p, text)
    if p.question.count("<region>") + p.answer.count("<region>") != len(p.regions):
        return "regions of the text"
    wanted = [first.entity, first.other] if first.other and first.kind != "next" else [first.entity]
    if p.form == "choice" and first.kind in ("larger", "left_of"):
        if len(who) != 2:
            return "subject"
        names = {n.entity: n.text for n in p.names}
        for option, c in zip(p.options, p.claims, strict=False):
            if option not in (names.get(c.entity), ("the first", "the second")[who.index(c.entity)]):
                return "option"
    elif who and first.kind != "scenes" and who[: len(wanted)] != wanted:
        return "subject"
    if p.form == "choice":
        for option, c in zip(p.options, p.claims, strict=False):
            low = option.lower()
            if not _says(words(low), low, c, p):
                return "option"
        return ""
    if p.form == "yesno" and not _says(text.question, text.low_question, first, p):
        return "question"
    for c in p.claims:
        alone = p.form == "open" and c is first and c.kind != "called"
        said, low = (text.answer, text.low_answer) if alone else (text.both, text.low)
        if c.holds and not _says(said, low, c, p):
            return "answer"
    return ""


@lru_cache(maxsize=1024)
def _parts(text: str) -> tuple[str, ...]:
    """What the words of a text must hold that tells of an action: how its verb begins, in any form, and the rest."""
    verb, *rest = text.lower().split()
    return (f" {verb[:2]}", *(f" {w} " for w in rest))


def _says(said: str, low: str, c: Claim, p: Pair) -> bool:
    """Whether a text has the words that a claim must have. said: its `words`; low: itself in lower case."""
    if c.kind in _WORDLESS:
        return True
    match c.kind:
        case "does" | "acts":
            for part in _parts(c.text):  # noqa: SIM110
                if part not in said:
                    return False
            return True
        case "part":
            return f" {_THIRDS[c.n]} " in said or p.form != "choice"
        case "place":
            return f" {c.text} " in said
        case "called":
            return c.text.lower() in low
        case "count" | "scenes":
            number = _COUNTED[c.n] if c.n < len(_COUNTED) else str(c.n)
            return f" {number} " in said or f" {c.n} " in said or (c.n == 0 and " none " in said)
        case "next":
            return any(n.entity == c.other and n.text.lower() in low for n in p.names)
        case "larger" if p.form == "yesno":
            return " larger " in said
        case "left_of" if p.form == "yesno":
            return " left " in said
        case _:
            return True


def _read_times(text: str) -> list[tuple[int, int]]:
    """The times in a text: microseconds, and half of the unit they are written in."""
    times = _ASCII_TIME if text.isascii() else _TIME
    return list(starmap(_time, times.findall(text)))


@lru_cache(maxsize=4096)
def _time(whole: str, secs: str, tenth: str, part: str) -> tuple[int, int]:
    fraction = tenth or part
    us = (int(whole) * 60 + int(secs) if secs else int(whole)) * 1_000_000
    return (us + int(fraction) * 100_000, 50_000) if fraction else (us, 500_000)


def _near(us: int, times: Iterable[int], most_us: int) -> bool:
    """Whether one of the times is no further away. A loop: `any` over a generator takes twice as long."""
    for t in times:  # noqa: SIM110
        if abs(us - t) <= most_us:
            return True
    return False


def _time_fault(p: Pair, text: _Text) -> str:
    """Times of the question stand in the claims exactly, those of the answer up to their rounding; and the first
    claim's spans all stand in an open answer."""
    first, start = p.claims[0], p.start_us
    bounds: set[int] = set()
    lengths: list[int] = []
    for c in p.claims:
        bounds.add(c.start_us)
        bounds.add(c.end_us)
        for span in c.spans:
            bounds.update(span)
        if c.kind == "lasts":
            lengths.append(c.n + start)
    asked, answered = _read_times(text.head), _read_times(p.answer)
    for t, _ in asked:
        if t + start not in bounds:
            return "time of the question"
    if text.listed:
        answered += _read_times(text.listed)
    bounds.update(lengths)  # which only answers tell
    for t, half in answered:
        if t + start not in bounds and not _near(t + start, bounds, half):
            return "time of the answer"
    if first.kind in _TIMED and first.start_us == first.end_us and not asked:
        return "time of the question"
    if p.form == "open" and first.kind in ("stays", "acts", "together", "scenes"):
        told = [t + start for t, _ in answered]
        for span in first.spans:
            if not (_near(span[0], told, 50_000) and _near(span[1], told, 50_000)):
                return "time left out"
    masked = "<region>" in text.head
    group = ("mask+time" if asked else "mask") if masked else "time" if asked else "plain"
    return "" if group == p.group else "group"
