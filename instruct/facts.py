"""What is true of a clip, recomputed from its events: the checker's half that knows no text.

It shares no code with the generators: it reads masks, actions, exits, expressions and segments by itself, and measures
the masks' own pixels.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise

import msgspec

from instruct.exclusion import excludes, way_of
from instruct.pair import Claim
from instruct.runs import Measured, measured
from stream import events as ev

_AROUND_US = 250_000
"""An instant is a quarter second around it."""
_BREAK_US = 400_000
"""A longer time without a mask is out of sight."""
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
        self._sight: dict[tuple[int, Span], bool | None] = {}
        self._thirds: dict[tuple[int, Span], set[int]] = {}
        self._measured: dict[int, dict[int, Measured]] = {}
        self.known: dict[tuple[object, ...], bool | None] = {}
        """What was found of claims: the forms of a question ask the same again and again."""
        self._unclear: dict[tuple[int, str], bool] = {}

    def _take(self, body: ev.Body) -> None:
        if isinstance(body, ev.Masklet | ev.MaskletRevised):
            start, end = self.start, self.end
            own = {f.pts_us: f for f in body.frames if f.area and start <= f.pts_us < end}
            self.masks.setdefault(body.entity, {}).update(own)
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
        key = (entity, span)
        if key not in self._sight:  # the forms of a question ask it of the same spans
            self._sight[key] = self._in_sight(entity, span)
        return self._sight[key]

    def _in_sight(self, entity: int, span: Span) -> bool | None:
        if not self.within(entity, span):
            inside = any(s <= span[0] and span[1] <= e for s, e in self.stretches.get(entity, []))
            return None if inside or any(s < span[1] and span[0] < e for s, e in self.gaps) else False
        return True if any(s <= span[0] and span[1] <= e for s, e in self.stretches[entity]) else None

    def measured(self, entity: int, times: Sequence[int]) -> list[Measured]:
        """An entity's masks, each measured once."""
        own = self._measured.setdefault(entity, {})
        for t in times:
            if t not in own:
                own[t] = measured(self.masks[entity][t].rle)
        return [own[t] for t in times]

    def thirds(self, entity: int, span: Span) -> set[int]:
        """The thirds of the picture, 0 to 2 from the left, that the middles of an entity's masks lie in."""
        key = (entity, span)
        if key not in self._thirds:
            masks = self.measured(entity, self.within(entity, span))
            self._thirds[key] = {min(2, int(m.column / self.width * 3)) for m in masks}
        return self._thirds[key]

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
    spans = tuple([tuple(s) for s in c.spans]) if c.spans else ()
    key = (c.kind, c.entity, c.other, c.text, c.start_us, c.end_us, c.n, spans)
    found = f.known.get(key, ...)  # one look-up; what is not there yet is told from None by Python's `...`
    if found is ...:
        found = f.known[key] = _truth(f, c)
    return found


def _truth(f: Facts, c: Claim) -> bool | None:
    span = (c.start_us, c.end_us)
    if c.start_us == c.end_us:
        span = (max(f.start, c.start_us - _AROUND_US), min(f.end, c.end_us + _AROUND_US))
    mine, theirs = f.stretches.get(c.entity, []), f.stretches.get(c.other, [])
    match c.kind:
        case "seen":
            return f.in_sight(c.entity, span)
        case "does":
            partly = against = False
            for s, e, text in f.acts.get(c.entity, []):
                whole = s <= span[0] and span[1] <= e
                if text == c.text:
                    if whole:
                        return True
                    partly = partly or (s < span[1] and span[0] < e)
                elif whole:
                    against = against or excludes(text, c.text)
            if partly:
                return None
            return False if against or f.in_sight(c.entity, span) is False else None
        case "acts":
            if any(t != c.text and way_of(t) and way_of(t) == way_of(c.text) for _, _, t in f.acts.get(c.entity, [])):
                return None  # it may be the same in other words
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
            gaps = [(a[1], b[0]) for a, b in pairwise(mine)]
            told = all(any(s - 500_000 <= at <= e for at in f.left.get(c.entity, [])) for s, e in gaps)
            return True if told else None
        case "place":
            thirds = f.thirds(c.entity, span)
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
            met = sorted((max(a, x), min(b, y)) for a, b in mine for x, y in theirs if max(a, x) <= min(b, y))
            both = [span for span in met if span[0] < span[1]]
            if met and not both:
                return None  # one frame shows both: neither a time together nor never
            return both == [tuple(s) for s in c.spans] and bool(both) if both or not mine or not theirs else False
        case "larger" | "left_of":
            if c.entity <= c.other:
                return _compared(f, c, span)
            reverse = truth(f, msgspec.structs.replace(c, entity=c.other, other=c.entity))  # it was asked already
            return None if reverse is None else not reverse
        case "called":
            if f.names(c.text, c.entity):
                return True
            return None if f.fits(c.text, c.entity) else False
        case "scenes":
            return f.segments == [tuple(s) for s in c.spans] and c.n == len(f.segments)


def _compared(f: Facts, c: Claim, span: Span) -> bool | None:
    if f.in_sight(c.entity, span) is not True or f.in_sight(c.other, span) is not True:
        return None
    common = sorted(set(f.within(c.entity, span)) & set(f.within(c.other, span)))
    if not common:
        return None
    mine, theirs = f.measured(c.entity, common), f.measured(c.other, common)
    if c.kind == "larger":
        ratios = [a.area / max(1, b.area) for a, b in zip(mine, theirs, strict=True)]
        return True if min(ratios) >= 1.25 else False if max(ratios) <= 1 / 1.25 else None
    shifts = [(b.column - a.column) / f.width for a, b in zip(mine, theirs, strict=True)]
    return True if min(shifts) >= 0.05 else False if max(shifts) <= -0.05 else None
