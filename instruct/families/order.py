"""Who comes into sight before, after and together with <region>."""

from __future__ import annotations

from collections.abc import Iterator

from instruct.clip import Clip, Track
from instruct.compose import Composer
from instruct.pair import Claim, Spans, Unit

FAMILY = "order"


def pairs(c: Composer) -> Iterator[Unit]:
    for a in c.tracks:
        for b in c.tracks:
            if a is not b and b.spans[0][0] - a.spans[0][0] >= 500_000:
                yield from _before(c, a, b)
            if a.entity < b.entity:
                yield from _together(c, a, b)
        yield from _next(c, a)


def _before(c: Composer, a: Track, b: Track) -> Iterator[Unit]:
    """a came first: asked the right way and the wrong way round, by masks and by names."""
    right = Claim(kind="before", entity=a.entity, other=b.entity)
    wrong = Claim(kind="before", holds=False, entity=b.entity, other=a.entity)
    for one, two in ((c.masked(a), c.masked(b)), (c.named(a), c.named(b))):
        if one is None or two is None:
            continue
        times = c.times()
        ask = c.rng.choice(("Does {a} appear before {b}?", "Is {a} in sight earlier than {b}?"))
        answer = f"the first appears at {times.at(a.spans[0][0])}, the second at {times.at(b.spans[0][0])}."
        back = f"the first appears at {times.at(b.spans[0][0])}, the second at {times.at(a.spans[0][0])}."
        stays = [Claim(kind="stays", entity=t.entity, spans=list(t.spans)) for t in (a, b)]
        yield (
            c.pair(FAMILY, "yesno", ask.format(a=one.asked, b=two.asked), f"Yes, {answer}", [right, *stays],
                   [one, two], timed=False),
            c.pair(FAMILY, "yesno", ask.format(a=two.asked, b=one.asked), f"No, {back}", [wrong, right, *stays],
                   [two, one], timed=False),
        )  # fmt: skip


def _next(c: Composer, a: Track) -> Iterator[Unit]:
    b = _following(c.clip, a)
    if b is None or c.named(b) is None or b not in c.tracks:
        return
    claim = Claim(kind="next", entity=a.entity, other=b.entity)
    for ref in c.refs(a):
        question = c.rng.choice(
            ("Who or what appears next after {who}?", "After {who} has appeared, who or what comes next?")
        )
        answer = f"After {ref.said}, {b.expression} appears next."
        text = question.format(who=ref.asked)
        yield (c.pair(FAMILY, "open", text, answer, [claim], [ref], timed=False, spoken=[b]),)
        others = [t for t in c.tracks if t is not b and t is not a and c.named(t) is not None]
        wrong = [(t.expression, Claim(kind="next", holds=False, entity=a.entity, other=t.entity)) for t in others]
        spoken = [b, *others]
        yield c.choice(FAMILY, text, (b.expression, claim), wrong, [ref], timed=False, spoken=spoken)


def _following(clip: Clip, a: Track) -> Track | None:
    """Who is surely the next to appear: by half a second before all others."""
    later = sorted((t for t in clip.tracks if t.spans[0][0] > a.spans[0][0]), key=lambda t: t.spans[0][0])
    if not later or later[0].spans[0][0] - a.spans[0][0] < 500_000:
        return None
    if len(later) > 1 and later[1].spans[0][0] - later[0].spans[0][0] < 500_000:
        return None
    return later[0]


def _together(c: Composer, a: Track, b: Track) -> Iterator[Unit]:
    both = joint(a.spans, b.spans)
    if both and (len(both) > 4 or min(e - s for s, e in both) < 300_000):
        return
    for one, two in ((c.masked(a), c.masked(b)), (c.named(a), c.named(b))):
        if one is None or two is None:
            continue
        question = c.rng.choice(
            ("When are {a} and {b} in sight together?", "At what times can {a} and {b} both be seen?")
        )
        text = question.format(a=one.asked, b=two.asked)
        claim = Claim(kind="together", holds=bool(both), entity=a.entity, other=b.entity, spans=both)
        answer = (
            f"They are in sight together {c.times().spans(both)}."
            if both
            else "They are not in sight together at any time."
        )
        yield (c.pair(FAMILY, "open", text, answer, [claim], [one, two], timed=False),)


def joint(a: Spans, b: Spans) -> Spans:
    """When both hold."""
    out = [(max(s, t), min(e, f)) for s, e in a for t, f in b]
    return sorted((s, e) for s, e in out if s < e)
