"""What <region> is doing while another does something."""

from __future__ import annotations

from collections.abc import Iterator

from instruct.clip import Act, Track
from instruct.compose import Composer
from instruct.contrast import telling, told_apart
from instruct.families.order import joint
from instruct.pair import Claim, Unit
from instruct.say import going

FAMILY = "meanwhile"
_IDLE = ("stays in place", "stands still", "faces")
"""Nothing anybody would tell a time by."""


def pairs(c: Composer) -> Iterator[Unit]:
    for a in c.tracks:
        for b in c.tracks:
            if a is b:
                continue
            for act in c.acts(a):
                once = sum(o.text == act.text for o in a.acts) == 1  # "while it jumps" is one time
                if once and not act.text.startswith(_IDLE) and told_apart(act.text, a.acts):
                    yield from _while(c, a, act, b)


def _while(c: Composer, a: Track, act: Act, b: Track) -> Iterator[Unit]:
    span = (act.start_us, act.end_us)
    if span[1] - span[0] < 1_000_000:
        return
    least_us = 0.6 * (span[1] - span[0])
    during = [o for o in c.acts(b) if min(o.end_us, span[1]) - max(o.start_us, span[0]) >= least_us]
    refs = ((c.masked(b), c.masked(a)), (c.named(b), c.named(a)))
    for one, two in refs:
        if one is None or two is None:
            continue
        question = c.rng.choice((
            "What is {b} doing while {a} {acts}?", "What does {b} do while {a} is {acting}?"
        )).format(b=one.asked, a=two.asked, acts=f"is {going(act.text)}", acting=going(act.text))  # fmt: skip
        whole = Claim(kind="acts", entity=a.entity, text=act.text, spans=[span])
        if during:
            (other,) = telling(during, 1)
            common = joint([span], [(other.start_us, other.end_us)])[0]
            if not b.visible(*common):
                continue
            times = c.times()
            does = Claim(kind="does", entity=b.entity, text=other.text, start_us=common[0], end_us=common[1])
            answer = f"{one.said_first} is {going(other.text)} then, {times.span(common)}."
            yield (c.pair(FAMILY, "open", question, answer, [does, whole], [one, two], timed=False),)
        elif not any(s < span[1] + 500_000 and span[0] - 500_000 < e for s, e in b.spans):
            absent = Claim(kind="seen", holds=False, entity=b.entity, start_us=span[0], end_us=span[1])
            answer = (
                f"{one.said_first} is not in sight while {two.said if two.region is None else 'the other'} does that."
            )
            yield (c.pair(FAMILY, "open", question, answer, [absent, whole], [one, two], timed=False),)
