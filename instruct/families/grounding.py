"""From an expression to the mask, and from a mask to the expression."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from instruct.clip import Track
from instruct.compose import Composer
from instruct.pair import REGION, Claim, Unit
from instruct.plan import Plan

FAMILY = "grounding"


_FIND = ("Segment {who}.", "Find {who} in the video and show the mask.", "Where is {who}? Show it.")
_CALL = ("Who or what is {r}?", "Give a referring expression for {r}.", "What would you call {r}?")


def pairs(c: Composer) -> Iterator[Plan]:
    clear = [t for t in c.tracks if not t.ambiguous]
    for t in clear:
        if True not in c.ways(t):
            continue
        others = [o for o in clear if o is not t]
        yield c.plan(FAMILY, "open", (t.entity,), partial(_mask, c, t), masked=False, timed=False)
        yield c.plan(FAMILY, "open", (t.entity,), partial(_expression, c, t), masked=True, timed=False)
        if others:
            write = partial(_choice, c, t, others)
            yield c.plan(FAMILY, "choice", (t.entity,), write, masked=True, timed=False)
            yield c.plan(FAMILY, "yesno", (t.entity,), partial(_twins, c, t, others), masked=True, timed=False)


def _called(t: Track, by: Track) -> Claim:
    return Claim(kind="called", holds=by is t, entity=t.entity, text=by.expression)


def _mask(c: Composer, t: Track) -> Unit:
    question, refs = c.pick(_FIND).format(who=t.expression), [c.ref(t, False), c.ref(t, True)]
    return (c.pair(FAMILY, "open", question, f"Here it is: {REGION}.", [_called(t, t)], refs, timed=False),)


def _expression(c: Composer, t: Track) -> Unit:
    question, answer = c.pick(_CALL).format(r=REGION), f"It is {t.expression}."
    return (c.pair(FAMILY, "open", question, answer, [_called(t, t)], [c.ref(t, True)], timed=False, spoken=[t]),)


def _choice(c: Composer, t: Track, others: list[Track]) -> Unit:
    wrong = [(o.expression, _called(t, o)) for o in others]
    return c.choice(FAMILY, c.pick(_CALL).format(r=REGION), (t.expression, _called(t, t)), wrong, [c.ref(t, True)],
                    timed=False, spoken=[t, *others])  # fmt: skip


def _twins(c: Composer, t: Track, others: list[Track]) -> Unit:
    other = c.pick(others)
    ref, yes, no = c.ref(t, True), _called(t, t), _called(t, other)
    return (
        c.pair(FAMILY, "yesno", f"Is {REGION} {t.expression}?", f"Yes, it is {t.expression}.", [yes], [ref],
               timed=False, spoken=[t]),
        c.pair(FAMILY, "yesno", f"Is {REGION} {other.expression}?", f"No, it is {t.expression}.", [no, yes], [ref],
               timed=False, spoken=[t, other]),
    )  # fmt: skip
