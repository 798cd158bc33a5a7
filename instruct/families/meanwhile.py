"""What <region> is doing while another does something."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from instruct.clip import Act, Track
from instruct.compose import Composer
from instruct.contrast import telling, told_apart
from instruct.families.order import joint
from instruct.pair import Claim, Unit
from instruct.plan import Plan
from instruct.say import going

FAMILY = "meanwhile"
_ASK = ("What is {b} doing while {a} {acts}?", "What does {b} do while {a} is {acting}?")
_IDLE = ("stays in place", "stands still", "faces")
"""Nothing anybody would tell a time by."""


def pairs(c: Composer) -> Iterator[Plan]:
    for a in c.tracks:
        texts = [o.text for o in a.acts]
        for act in c.acts(a):
            once = texts.count(act.text) == 1  # "while it jumps" is one time
            if once and not act.text.startswith(_IDLE) and told_apart(act.text, a.acts):
                for b in c.tracks:
                    if a is not b:
                        yield from _while(c, a, act, b)


def _while(c: Composer, a: Track, act: Act, b: Track) -> Iterator[Plan]:
    span = (act.start_us, act.end_us)
    if span[1] - span[0] < 1_000_000:
        return
    least_us = 0.6 * (span[1] - span[0])
    during = [o for o in c.acts(b) if min(o.end_us, span[1]) - max(o.start_us, span[0]) >= least_us]
    other = telling(during, 1)[0] if during else None
    if other is None:
        fits = not any(s < span[1] + 500_000 and span[0] - 500_000 < e for s, e in b.spans)
    else:
        fits = b.visible(*joint([span], [(other.start_us, other.end_us)])[0])
    for masked in c.ways(a, b) if fits else ():
        write = partial(_open, c, a, act, b, other, masked)
        yield c.plan(FAMILY, "open", (a.entity, act.text, b.entity), write, masked=masked, timed=False)


def _open(c: Composer, a: Track, act: Act, b: Track, other: Act | None, masked: bool) -> Unit:
    """other: what b does meanwhile; None where it is not in sight."""
    one, two = c.ref(b, masked), c.ref(a, masked)
    acting = going(act.text)
    question = c.pick(_ASK).format(b=one.asked, a=two.asked, acts=f"is {acting}", acting=acting)
    span = (act.start_us, act.end_us)
    whole = Claim(kind="acts", entity=a.entity, text=act.text, spans=[span])
    if other is None:
        claim = Claim(kind="seen", holds=False, entity=b.entity, start_us=span[0], end_us=span[1])
        answer = f"{one.said_first} is not in sight while {'the other' if masked else two.said} does that."
    else:
        start, end = joint([span], [(other.start_us, other.end_us)])[0]
        claim = Claim(kind="does", entity=b.entity, text=other.text, start_us=start, end_us=end)
        answer = f"{one.said_first} is {going(other.text)} then, {c.times().span((start, end))}."
    return (c.pair(FAMILY, "open", question, answer, [claim, whole], [one, two], timed=False),)
