"""Who comes into sight before, after and together with <region>."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from instruct.clip import Clip, Track
from instruct.compose import Composer
from instruct.pair import Claim, Spans, Unit
from instruct.plan import Plan

FAMILY = "order"


_BEFORE = ("Does {a} appear before {b}?", "Is {a} in sight earlier than {b}?")
_NEXT = ("Who or what appears next after {who}?", "After {who} has appeared, who or what comes next?")
_TOGETHER = ("When are {a} and {b} in sight together?", "At what times can {a} and {b} both be seen?")


def pairs(c: Composer) -> Iterator[Plan]:
    for a in c.tracks:
        for b in c.tracks:
            if a is not b and b.spans[0][0] - a.spans[0][0] >= 500_000:
                for masked in c.ways(a, b):
                    write = partial(_before, c, a, b, masked)
                    yield c.plan(FAMILY, "yesno", (a.entity, b.entity), write, masked=masked, timed=False)
            if a.entity < b.entity:
                both = joint(a.spans, b.spans)
                for masked in c.ways(a, b) if _tellable(both) else ():
                    write, about = partial(_together, c, a, b, masked, both), ("together", a.entity, b.entity)
                    yield c.plan(FAMILY, "open", about, write, masked=masked, timed=False)
        following = _following(c.clip, a)
        if following is not None and not following.ambiguous and following in c.tracks:
            yield from _next(c, a, following)


def _before(c: Composer, a: Track, b: Track, masked: bool) -> Unit:
    """a came first: asked the right way and the wrong way round."""
    right = Claim(kind="before", entity=a.entity, other=b.entity)
    wrong = Claim(kind="before", holds=False, entity=b.entity, other=a.entity)
    one, two, times, ask = c.ref(a, masked), c.ref(b, masked), c.times(), c.pick(_BEFORE)
    first, second = times.at(a.spans[0][0]), times.at(b.spans[0][0])
    answer = f"the first appears at {first}, the second at {second}."
    back = f"the first appears at {second}, the second at {first}."
    stays = [Claim(kind="stays", entity=t.entity, spans=list(t.spans)) for t in (a, b)]
    return (
        c.pair(FAMILY, "yesno", ask.format(a=one.asked, b=two.asked), f"Yes, {answer}", [right, *stays], [one, two],
               timed=False),
        c.pair(FAMILY, "yesno", ask.format(a=two.asked, b=one.asked), f"No, {back}", [wrong, right, *stays],
               [two, one], timed=False),
    )  # fmt: skip


def _next(c: Composer, a: Track, b: Track) -> Iterator[Plan]:
    others = [t for t in c.tracks if t is not b and t is not a and not t.ambiguous]
    for masked in c.ways(a):
        about = ("next", a.entity)
        yield c.plan(FAMILY, "open", about, partial(_open_next, c, a, b, masked), masked=masked, timed=False)
        if others:
            write = partial(_choice_next, c, a, b, masked, others)
            yield c.plan(FAMILY, "choice", about, write, masked=masked, timed=False)


def _follows(a: Track, b: Track, *, holds: bool = True) -> Claim:
    return Claim(kind="next", holds=holds, entity=a.entity, other=b.entity)


def _open_next(c: Composer, a: Track, b: Track, masked: bool) -> Unit:
    ref = c.ref(a, masked)
    text, answer = c.pick(_NEXT).format(who=ref.asked), f"After {ref.said}, {b.expression} appears next."
    return (c.pair(FAMILY, "open", text, answer, [_follows(a, b)], [ref], timed=False, spoken=[b]),)


def _choice_next(c: Composer, a: Track, b: Track, masked: bool, others: list[Track]) -> Unit:
    ref = c.ref(a, masked)
    wrong = [(t.expression, _follows(a, t, holds=False)) for t in others]
    return c.choice(FAMILY, c.pick(_NEXT).format(who=ref.asked), (b.expression, _follows(a, b)), wrong, [ref],
                    timed=False, spoken=[b, *others])  # fmt: skip


def _following(clip: Clip, a: Track) -> Track | None:
    """Who is surely the next to appear: by half a second before all others."""
    later = sorted((t for t in clip.tracks if t.spans[0][0] > a.spans[0][0]), key=lambda t: t.spans[0][0])
    if not later or later[0].spans[0][0] - a.spans[0][0] < 500_000:
        return None
    if len(later) > 1 and later[1].spans[0][0] - later[0].spans[0][0] < 500_000:
        return None
    return later[0]


def _tellable(both: Spans) -> bool:
    return not both or (len(both) <= 4 and min(e - s for s, e in both) >= 300_000)


def _together(c: Composer, a: Track, b: Track, masked: bool, both: Spans) -> Unit:
    one, two = c.ref(a, masked), c.ref(b, masked)
    text = c.pick(_TOGETHER).format(a=one.asked, b=two.asked)
    claim = Claim(kind="together", holds=bool(both), entity=a.entity, other=b.entity, spans=both)
    answer = (
        f"They are in sight together {c.times().spans(both)}."
        if both
        else "They are not in sight together at any time."
    )
    return (c.pair(FAMILY, "open", text, answer, [claim], [one, two], timed=False),)


def joint(a: Spans, b: Spans) -> Spans:
    """When both hold."""
    out = [(max(s, t), min(e, f)) for s, e in a for t, f in b]
    return sorted((s, e) for s, e in out if s < e)
