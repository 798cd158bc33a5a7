"""The independent checker of pairs: every claim against `instruct.facts`, and the text against the claims.

It shares no code with the generators: times, numbers and names are read back out of the text.
"""

from __future__ import annotations

import re

from instruct.facts import Facts, truth
from instruct.pair import Claim, Pair

_TIME = re.compile(r"(?<![\d:.])(?:(\d+):(\d\d)(?:\.(\d))?|(\d+)(?:\.(\d))? (?:s|seconds?))(?!\w|[.:]\d)")
_COUNTED = "no one two three four five six seven eight nine ten eleven twelve".split()
_TIMED = ("seen", "does", "place", "count", "larger", "left_of")
_THIRDS = ("beginning", "middle", "end")


def fault(f: Facts, p: Pair) -> str:
    """Why a pair is not to be believed; empty where everything in it is confirmed."""
    for c in p.claims:
        if truth(f, c) is not c.holds:
            return f"claim {c.kind}"
    return _region_fault(f, p) or _form_fault(p) or _text_fault(p) or _time_fault(p)


def _region_fault(f: Facts, p: Pair) -> str:
    if not p.evidence or not f.ids.issuperset(p.evidence):
        return "evidence"
    for r in p.regions:
        frame = f.masks.get(r.entity, {}).get(r.pts_us)
        if frame is None or frame.rle != r.rle or frame.bbox != r.bbox:
            return "region"
    for n in p.names:
        if n.text.lower() not in f"{p.question} {p.answer}".lower() or not f.names(n.text, n.entity):
            return "name"
    known = {r.entity for r in p.regions} | {n.entity for n in p.names} | {0}
    return "" if all(c.entity in known and c.other in known for c in p.claims) else "an entity nobody named"


def _form_fault(p: Pair) -> str:
    first = p.claims[0]
    match p.form:
        case "yesno":
            others = all(c.holds or (c.kind == "seen" and " not " in p.answer) for c in p.claims[1:])
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
                and all(c.holds for c in p.claims[n:])
            )
        case "open":
            ok = all(c.holds or (c.kind in ("seen", "together") and "not" in p.answer) for c in p.claims)
    return "" if ok else "form"


def _mentioned(p: Pair) -> list[int]:
    """The entities of the question in the order of the text."""
    text = p.question.partition("\n")[0].lower()
    places = [(m.start(), r.entity) for m, r in zip(re.finditer("<region>", text), p.regions, strict=False)]
    places += [(at, n.entity) for n in p.names if (at := text.find(n.text.lower())) >= 0]
    return [entity for _, entity in sorted(places)]


def _text_fault(p: Pair) -> str:
    first, who = p.claims[0], _mentioned(p)
    if f"{p.question} {p.answer}".count("<region>") != len(p.regions):
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
        return "" if all(_says(o, c, p) for o, c in zip(p.options, p.claims, strict=False)) else "option"
    if p.form == "yesno" and not _says(p.question, first, p):
        return "question"
    both = f"{p.question} {p.answer}"
    for c in p.claims:
        where = p.answer if p.form == "open" and c is first and c.kind != "called" else both
        if c.holds and not _says(where, c, p):
            return "answer"
    return ""


def _says(text: str, c: Claim, p: Pair) -> bool:
    """Whether a text has the words that a claim must have."""
    text = text.lower()
    words = re.findall(r"[a-z0-9]+", text)
    match c.kind:
        case "does" | "acts":
            verb, *rest = c.text.lower().split()
            return any(w[:2] == verb[:2] for w in words) and all(w in words for w in rest)
        case "part":
            return _THIRDS[c.n] in words or (p.form != "choice")
        case "place":
            return c.text in words
        case "called":
            return c.text.lower() in text
        case "count" | "scenes":
            number = _COUNTED[c.n] if c.n < len(_COUNTED) else str(c.n)
            return number in words or str(c.n) in words or (c.n == 0 and "none" in words)
        case "next":
            return any(n.entity == c.other and n.text.lower() in text for n in p.names)
        case "larger" if p.form == "yesno":
            return "larger" in words
        case "left_of" if p.form == "yesno":
            return "left" in words
        case _:
            return True


def _read_times(text: str) -> list[tuple[int, int]]:
    """The times in a text: microseconds, and half of the unit they are written in."""
    out = []
    for minutes, secs, tenth, alone, part in _TIME.findall(text):
        whole = int(minutes) * 60 + int(secs) if minutes else int(alone)
        fraction = tenth if minutes else part
        out.append((whole * 1_000_000 + int(fraction or 0) * 100_000, 50_000 if fraction else 500_000))
    return out


def _time_fault(p: Pair) -> str:
    """Times of the question stand in the claims exactly, those of the answer up to their rounding; and the first
    claim's spans all stand in an open answer."""
    bounds = {t - p.start_us for c in p.claims for s in (*c.spans, (c.start_us, c.end_us)) for t in s}
    lengths = [c.n for c in p.claims if c.kind == "lasts"]
    head = p.question.partition("\n")[0]
    asked, answered = _read_times(head), _read_times(p.answer)
    if any(t not in bounds for t, _ in asked):
        return "time of the question"
    answered += _read_times(p.question.partition("\n")[2])
    if not all(any(abs(t - x) <= half for x in (*bounds, *lengths)) for t, half in answered):
        return "time of the answer"
    first = p.claims[0]
    if first.kind in _TIMED and first.start_us == first.end_us and not asked:
        return "time of the question"
    if p.form == "open" and first.kind in ("stays", "acts", "together", "scenes"):
        told = [t for t, _ in answered]
        if not all(any(abs(t - (x - p.start_us)) <= 50_000 for t in told) for s in first.spans for x in s):
            return "time left out"
    masked = "<region>" in head
    group = ("mask+time" if asked else "mask") if masked else "time" if asked else "plain"
    return "" if group == p.group else "group"
