"""An independent checker: recomputes every claim of a pair from the events, and holds the text to the claims.

It shares no code with the generators: it reads masks, actions, exits, expressions and segments from the clip's events
by itself, decodes the masks where pixels matter, and reads the times and numbers back out of the text.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable

import numpy as np

from instruct.pair import Claim, Pair
from kernels import rle
from stream import events as ev

_AROUND_US = 250_000
"""An instant is a quarter second around it."""
_BREAK_US = 400_000
"""A longer time without a mask is out of sight."""
_TIME = re.compile(r"(?<![\d:.])(?:(\d+):(\d\d)(?:\.(\d))?|(\d+)(?:\.(\d))? (?:s|seconds?))(?!\w|[.:]\d)")
_COUNTED = "no one two three four five six seven eight nine ten eleven twelve".split()
_TIMED = ("seen", "does", "place", "count", "larger", "left_of")
_THIRDS = ("beginning", "middle", "end")
Span = tuple[int, int]


class Facts:
    """What the events of a clip say, as the checker reads them. start_us, end_us: the clip; width in pixels."""

    def __init__(self, events: Iterable[ev.Event], start_us: int, end_us: int, width: int) -> None:
        self.start, self.end, self.width = start_us, end_us, width
        self.ids: set[str] = set()
        self.masks: dict[int, dict[int, ev.MaskletFrame]] = {}
        self.acts: dict[int, list[tuple[int, int, str]]] = {}
        self.left: dict[int, list[int]] = {}
        self.category: dict[int, str] = {}
        self.called: dict[int, ev.EntityDescribed] = {}
        self.segments: list[Span] = []
        self.gaps: list[Span] = []
        for event in events:
            self.ids.add(event.id)
            self._take(event.body)
        self.segments.sort()
        self.pts = {e: sorted(m) for e, m in self.masks.items() if m}
        self.stretches = {e: _stretches(p) for e, p in self.pts.items()}
        self._centres: dict[tuple[int, int], float] = {}
        self._areas: dict[tuple[int, int], int] = {}
        self._unclear: dict[tuple[int, str], bool] = {}

    def _take(self, body: ev.Body) -> None:
        if isinstance(body, ev.Masklet | ev.MaskletRevised):
            own = self.masks.setdefault(body.entity, {})
            own.update((f.pts_us, f) for f in body.frames if f.area and self.start <= f.pts_us < self.end)
        elif isinstance(body, ev.Action):
            span = max(body.start_us, self.start), min(body.end_us, self.end)
            if span[0] < span[1]:
                self.acts.setdefault(body.entity, []).append((*span, body.text))
        elif isinstance(body, ev.EntityAppeared | ev.EntityReentered):
            self.category[body.entity] = body.category
        elif isinstance(body, ev.EntityExited):
            self.left.setdefault(body.entity, []).append(body.at_us)
        elif isinstance(body, ev.EntityDescribed):
            self.called[body.entity] = body
        elif isinstance(body, ev.SegmentClosed) and self.start <= body.start_us and body.end_us <= self.end:
            self.segments.append((body.start_us, body.end_us))
        elif isinstance(body, ev.FeedGap):
            self.gaps.append((body.start_us, body.end_us))

    def within(self, entity: int, span: Span) -> list[int]:
        """Times of an entity's masks in a span."""
        pts = self.pts.get(entity, [])
        return pts[bisect_left(pts, span[0]) : bisect_right(pts, span[1])]

    def in_sight(self, entity: int, span: Span) -> bool | None:
        """All through a span: true; at no time of it: false; else None."""
        if not self.within(entity, span):
            inside = any(s <= span[0] and span[1] <= e for s, e in self.stretches.get(entity, []))
            return None if inside or any(s < span[1] and span[0] < e for s, e in self.gaps) else False
        return True if any(s <= span[0] and span[1] <= e for s, e in self.stretches[entity]) else None

    def centre(self, entity: int, pts: int) -> float:
        """Mean column of a mask's pixels, as a fraction of the width."""
        key = (entity, pts)
        if key not in self._centres:
            code = self.masks[entity][pts].rle
            weight = rle.decode(code.counts, code.size).sum(axis=0)
            middle = float(weight @ np.arange(len(weight))) / max(1, int(weight.sum()))
            self._centres[key] = (middle + 0.5) / self.width
        return self._centres[key]

    def area(self, entity: int, pts: int) -> int:
        key = (entity, pts)
        if key not in self._areas:
            code = self.masks[entity][pts].rle
            self._areas[key] = rle.area(code.counts, code.size)
        return self._areas[key]

    def fits(self, text: str, entity: int) -> bool:
        """Whether an expression may be read as meaning an entity, by all that was said of it."""
        said = self.called.get(entity)
        words = [self.category.get(entity, "object"), *(said.expression.split() if said else [])]
        for attribute in said.attributes if said else ():
            words += attribute.split()
        return {w for w in text.lower().split() if w not in ("the", "a", "an")} <= {w.lower() for w in words}

    def names(self, text: str, entity: int) -> bool:
        """Whether an expression is the last one said of an entity and means no other that is in sight in the clip."""
        key = (entity, text)
        if key not in self._unclear:
            said = self.called.get(entity)
            self._unclear[key] = (
                said is None
                or said.expression != text
                or any(other != entity and self.fits(text, other) for other in self.stretches)
            )
        return not self._unclear[key]


def _stretches(pts: list[int]) -> list[Span]:
    out: list[Span] = []
    start = last = pts[0]
    for t in pts[1:]:
        if t - last > _BREAK_US:
            out.append((start, last))
            start = t
        last = t
    return [*out, (start, last)]


def truth(f: Facts, c: Claim) -> bool | None:
    """What the events say of a claim, whatever it holds: true, false, or None where they do not decide."""
    span = (c.start_us, c.end_us)
    if c.start_us == c.end_us:
        span = (max(f.start, c.start_us - _AROUND_US), min(f.end, c.end_us + _AROUND_US))
    mine, theirs = f.stretches.get(c.entity, []), f.stretches.get(c.other, [])
    match c.kind:
        case "seen":
            return f.in_sight(c.entity, span)
        case "does":
            own = [(s, e) for s, e, text in f.acts.get(c.entity, []) if text == c.text]
            if any(s <= span[0] and span[1] <= e for s, e in own):
                return True
            return None if any(s < span[1] and span[0] < e for s, e in own) else False
        case "acts":
            return sorted((s, e) for s, e, t in f.acts.get(c.entity, []) if t == c.text) == sorted(c.spans)
        case "part":
            third = (f.end - f.start) / 3
            own = [(s, e) for s, e, text in f.acts.get(c.entity, []) if text == c.text]
            low, high = f.start + c.n * third, f.start + (c.n + 1) * third
            if own and all(low <= s and e <= high for s, e in own):
                return True
            return None if not own or any(s < high and low < e for s, e in own) else False
        case "stays":
            return mine == [tuple(s) for s in c.spans]
        case "lasts":
            n = sum(e - s for s, e in mine)
            return True if n == c.n else False if abs(n - c.n) >= 400_000 else None
        case "returns":
            if len(mine) < 2:
                return False if mine else None
            gaps = [(a[1], b[0]) for a, b in zip(mine, mine[1:], strict=False)]
            told = all(any(s - 500_000 <= at <= e for at in f.left.get(c.entity, [])) for s, e in gaps)
            return True if told else None
        case "place":
            thirds = {min(2, int(f.centre(c.entity, t) * 3)) for t in f.within(c.entity, span)}
            wanted = ("left", "middle", "right").index(c.text)
            if f.in_sight(c.entity, span) is not True or len(thirds) != 1:
                return None if wanted in thirds or not thirds else False
            return thirds == {wanted}
        case "count":
            seen = [f.in_sight(e, span) for e in f.stretches if f.category.get(e, "object") == c.text]
            return None if None in seen or (not seen and f.gaps) else seen.count(True) == c.n
        case "before":
            gap = theirs[0][0] - mine[0][0] if mine and theirs else 0
            return True if gap >= 500_000 else False if gap <= -500_000 else None
        case "next":
            first = {e: s[0][0] for e, s in f.stretches.items()}
            if c.entity not in first or c.other not in first:
                return None
            later = sorted((t, e) for e, t in first.items() if t > first[c.entity])
            if not later or (len(later) > 1 and later[1][0] == later[0][0]):
                return None
            return later[0][1] == c.other
        case "together":
            both = sorted((max(a, x), min(b, y)) for a, b in mine for x, y in theirs if max(a, x) < min(b, y))
            return both == [tuple(s) for s in c.spans] and bool(both) if both or not mine or not theirs else False
        case "larger" | "left_of":
            return _compared(f, c, span)
        case "called":
            if f.names(c.text, c.entity):
                return True
            return None if f.fits(c.text, c.entity) else False
        case "scenes":
            return f.segments == [tuple(s) for s in c.spans] and c.n == len(f.segments)


def _compared(f: Facts, c: Claim, span: Span) -> bool | None:
    common = sorted(set(f.within(c.entity, span)) & set(f.within(c.other, span)))
    if not common or f.in_sight(c.entity, span) is not True or f.in_sight(c.other, span) is not True:
        return None
    if c.kind == "larger":
        ratios = [f.area(c.entity, t) / max(1, f.area(c.other, t)) for t in common]
        return True if min(ratios) >= 1.25 else False if max(ratios) <= 1 / 1.25 else None
    shifts = [f.centre(c.other, t) - f.centre(c.entity, t) for t in common]
    return True if min(shifts) >= 0.05 else False if max(shifts) <= -0.05 else None


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
            return number in words or str(c.n) in words
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
