"""Which way <region> goes at t."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from instruct.clip import Act, Track
from instruct.compose import Composer, does
from instruct.contrast import clash, goes
from instruct.pair import Unit
from instruct.plan import Plan, near
from instruct.say import going

FAMILY = "way"
_ASK = ("Which way does {who} move at {t}?", "At {t}, in which direction does {who} move?")


def pairs(c: Composer) -> Iterator[Plan]:
    ways = sorted({a.text for t in c.clip.tracks for a in t.acts if goes(a.text)})
    for t in c.tracks:
        for act in (a for a in c.acts(t) if goes(a.text)):
            wrong = [w for w in ways if clash(w, act.text)]
            for at in c.instants([(act.start_us, act.end_us)], 1):
                if not t.visible(at - 250_000, at + 250_000):
                    continue
                about = (t.entity, act.text, near(at))
                for masked in c.ways(t):
                    write = partial(_open, c, t, masked, act, at)
                    yield c.plan(FAMILY, "open", about, write, masked=masked, timed=True)
                    if wrong:
                        write = partial(_choice, c, t, masked, act, at, wrong)
                        yield c.plan(FAMILY, "choice", about, write, masked=masked, timed=True)


def _open(c: Composer, t: Track, masked: bool, act: Act, at: int) -> Unit:
    ref, when = c.ref(t, masked), c.times().exact(at)
    question = c.pick(_ASK).format(who=ref.asked, t=when)
    answer = f"{ref.said_first} is {going(act.text)} at {when}."
    return (c.pair(FAMILY, "open", question, answer, [does(t, act.text, at)], [ref], timed=True),)


def _choice(c: Composer, t: Track, masked: bool, act: Act, at: int, wrong: list[str]) -> Unit:
    ref = c.ref(t, masked)
    others = [(going(w), does(t, w, at, holds=False)) for w in wrong]
    question = c.pick(_ASK).format(who=ref.asked, t=c.times().exact(at))
    return c.choice(FAMILY, question, (going(act.text), does(t, act.text, at)), others, [ref], timed=True)
