"""What is <region> doing at t, or between two times; is it doing X at t; and X's negative twins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from instruct.clip import Act, Track
from instruct.compose import Composer, Ref, does
from instruct.contrast import clash, settled, telling
from instruct.pair import Claim, Spans, Unit
from instruct.plan import Plan, near
from instruct.say import going, listed

FAMILY = "doing"
_OPEN = ("What is {who} doing at {t}?", "At {t}, what is {who} doing?", "Describe what {who} is doing at {t}.")
_RANGE = (
    "What does {who} do between {a} and {b}?", "From {a} to {b}, what does {who} do?",
    "How does {who} behave from {a} to {b}?",
)  # fmt: skip
_ASK = ("Is {who} {doing} at {t}?", "At {t}, is {who} {doing}?", "Can {who} be seen {doing} at {t}?")
_MARGIN_US = 500_000


def pairs(c: Composer) -> Iterator[Plan]:
    kinds = sorted({a.text for t in c.clip.tracks for a in c.acts(t)})
    denied = {text: [k for k in kinds if clash(k, text)] for text in kinds}
    for t in c.tracks:
        away = c.away(t)
        for masked in c.ways(t) * 3:
            for act in c.acts(t):
                yield from _at_moments(c, t, masked, act, denied, away)
                yield from _between(c, t, masked, act)


Denied = Mapping[str, Sequence[str]]
"""By action: those of the clip that cannot go on with it."""


def _at_moments(c: Composer, t: Track, masked: bool, act: Act, denied: Denied, away: Spans) -> Iterator[Plan]:
    others = denied[act.text]
    for at in c.instants([(act.start_us, act.end_us)], 2):
        if not t.visible(at - 250_000, at + 250_000):
            continue
        if settled(t, at, at):
            write = partial(_open, c, t, masked, at)
            yield c.plan(FAMILY, "open", (t.entity, near(at)), write, masked=masked, timed=True)
        about = (t.entity, act.text, near(at))
        if others:
            write = partial(_choice, c, t, masked, act, at, others)
            yield c.plan(FAMILY, "choice", about, write, masked=masked, timed=True)
        if others or away:
            write = partial(_twins, c, t, masked, act, at, denied)
            yield c.plan(FAMILY, "yesno", about, write, masked=masked, timed=True)


def _open(c: Composer, t: Track, masked: bool, at: int) -> Unit:
    ref, when = c.ref(t, masked), c.times().exact(at)
    acts = telling(_during(c, t, at, at), 2)
    said = listed([going(a.text) for a in acts])
    question = c.pick(_OPEN).format(who=ref.asked, t=when)
    answer = c.pick((f"{ref.said_first} is {said} at {when}.", f"At {when}, {ref.said} is {said}."))
    return (c.pair(FAMILY, "open", question, answer, [does(t, a.text, at) for a in acts], [ref], timed=True),)


def _choice(c: Composer, t: Track, masked: bool, act: Act, at: int, denied: Sequence[str]) -> Unit:
    ref = c.ref(t, masked)
    wrong = [(going(k), does(t, k, at, holds=False)) for k in denied]
    question = c.pick(_OPEN[:2]).format(who=ref.asked, t=c.times().exact(at))
    return c.choice(FAMILY, question, (going(act.text), does(t, act.text, at)), wrong, [ref], timed=True)


def _between(c: Composer, t: Track, masked: bool, act: Act) -> Iterator[Plan]:
    inside = c.instants([(act.start_us, act.end_us)], 2, 300_000)
    if len(inside) == 2 and abs(inside[0] - inside[1]) >= 500_000:
        a, b = sorted(inside)
        if t.visible(a, b) and settled(t, a, b):
            write = partial(_range, c, t, masked, act, a, b)
            yield c.plan(FAMILY, "open", (t.entity, near(a), near(b)), write, masked=masked, timed=True)


def _range(c: Composer, t: Track, masked: bool, act: Act, a: int, b: int) -> Unit:
    ref, times = c.ref(t, masked), c.times()
    question = c.pick(_RANGE).format(who=ref.asked, a=times.exact(a), b=times.exact(b))
    acts = telling(_during(c, t, a, b), 2) or [act]
    claims = [Claim(kind="does", entity=t.entity, text=o.text, start_us=a, end_us=b) for o in acts]
    answer = f"{ref.said_first} {listed([o.text for o in acts])}."
    return (c.pair(FAMILY, "open", question, answer, claims, [ref], timed=True),)


def _twins(c: Composer, t: Track, masked: bool, act: Act, at: int, denied: Denied) -> Unit:
    """The question with yes, and one with no that differs in the time, the actor or the action."""
    ref, times = c.ref(t, masked), c.times()
    twists = [
        *_wrong_time(c, t, act), *_wrong_actor(c, t, masked, act, at), *((t, k, at, act.text) for k in denied[act.text])
    ]  # fmt: skip
    if not twists:
        return ()
    whom, asked, then, true = c.pick(twists)
    who = ref if whom is t else c.ref(whom, masked)
    told, when = times.exact(at), times.exact(then)
    yes = c.pair(
        FAMILY, "yesno", _question(c, ref, act.text, told), f"Yes, {ref.said} is {going(act.text)} at {told}.",
        [does(t, act.text, at)], [ref], timed=True,
    )  # fmt: skip
    what = f"is {going(true)} at {when}" if true else f"is not in sight at {when}"
    also = does(whom, true, then) if true else Claim(
        kind="seen", holds=False, entity=whom.entity, start_us=then, end_us=then
    )  # fmt: skip
    # A denial that rests on absence is one `seen` claim; what is asked stays the first.
    claims = [does(whom, asked, then, holds=False), also]
    question = _question(c, who, asked, when)
    return (yes, c.pair(FAMILY, "yesno", question, f"No, {who.said} {what}.", claims, [who], timed=True))


Twist = tuple[Track, str, int, str]
"""Whom to ask about, which action, when, and what it does then ('' where it is not in sight)."""


def _wrong_time(c: Composer, t: Track, act: Act) -> list[Twist]:
    out: list[Twist] = [(t, act.text, at, "") for at in c.instants(c.away(t), 1, 0)]
    for other in c.acts(t):
        if clash(other.text, act.text):
            out += [(t, act.text, at, other.text) for at in c.instants([(other.start_us, other.end_us)], 1)]
    return out


def _wrong_actor(c: Composer, t: Track, masked: bool, act: Act, at: int) -> list[Twist]:
    out: list[Twist] = []
    for other in c.tracks:
        if other is not t and masked in c.ways(other):
            done = [a for a in _during(c, other, at, at) if clash(a.text, act.text)]
            out += [(other, act.text, at, a.text) for a in done[:1]]
    return out


def _question(c: Composer, ref: Ref, text: str, at: str) -> str:
    return c.pick(_ASK).format(who=ref.asked, doing=going(text), t=at)


def _during(c: Composer, t: Track, start_us: int, end_us: int) -> list[Act]:
    """What an entity does all through a time and for a while to both sides."""
    return [a for a in c.acts(t) if a.start_us <= start_us - _MARGIN_US and end_us + _MARGIN_US <= a.end_us]
