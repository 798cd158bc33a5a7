"""What is <region> doing at t, or between two times; is it doing X at t; and X's negative twins."""

from __future__ import annotations

from collections.abc import Iterator

from instruct.clip import Act, Track
from instruct.compose import Composer, Ref
from instruct.contrast import clash, telling
from instruct.pair import Claim, Unit
from instruct.say import going, listed

FAMILY = "doing"
_OPEN = ("What is {who} doing at {t}?", "At {t}, what is {who} doing?", "Describe what {who} is doing at {t}.")
_RANGE = (
    "What does {who} do between {a} and {b}?", "From {a} to {b}, what does {who} do?",
    "How does {who} behave from {a} to {b}?",
)  # fmt: skip
_ASK = ("Is {who} {doing} at {t}?", "At {t}, is {who} {doing}?", "Can {who} be seen {doing} at {t}?")
_MARGIN_US = 500_000


def pairs(c: Composer) -> Iterator[Unit]:
    kinds = sorted({a.text for t in c.clip.tracks for a in c.acts(t)})
    for t in c.tracks:
        for ref in (r for _ in range(3) for r in c.refs(t)):
            for act in c.acts(t):
                yield from _one(c, ref, act, kinds)


def _one(c: Composer, ref: Ref, act: Act, kinds: list[str]) -> Iterator[Unit]:
    t = ref.track
    for at in c.instants([(act.start_us, act.end_us)], 2):
        if t.visible(at - 250_000, at + 250_000):
            times = c.times()
            acts = telling(_during(c, t, at, at), 2)
            said = listed([going(a.text) for a in acts])
            question = c.rng.choice(_OPEN).format(who=ref.asked, t=times.exact(at))
            answer = c.rng.choice((
                f"{ref.said_first} is {said} at {times.exact(at)}.", f"At {times.exact(at)}, {ref.said} is {said}.",
            ))  # fmt: skip
            yield (c.pair(FAMILY, "open", question, answer, [_does(t, a.text, at) for a in acts], [ref], timed=True),)
            wrong = [(going(k), _does(t, k, at, holds=False)) for k in kinds if clash(k, act.text)]
            question = c.rng.choice(_OPEN[:2]).format(who=ref.asked, t=times.exact(at))
            yield c.choice(FAMILY, question, (going(act.text), _does(t, act.text, at)), wrong, [ref], timed=True)
            yield from _twins(c, ref, act, at, kinds)
    inside = c.instants([(act.start_us, act.end_us)], 2, 300_000)
    if len(inside) == 2 and abs(inside[0] - inside[1]) >= 500_000:
        a, b = sorted(inside)
        if t.visible(a, b):
            times = c.times()
            question = c.rng.choice(_RANGE).format(who=ref.asked, a=times.exact(a), b=times.exact(b))
            acts = telling(_during(c, t, a, b), 2) or [act]
            claims = [Claim(kind="does", entity=t.entity, text=o.text, start_us=a, end_us=b) for o in acts]
            answer = f"{ref.said_first} {listed([o.text for o in acts])}."
            yield (c.pair(FAMILY, "open", question, answer, claims, [ref], timed=True),)


def _twins(c: Composer, ref: Ref, act: Act, at: int, kinds: list[str]) -> Iterator[Unit]:
    """The question with yes, and one with no that differs in the time, the actor or the action."""
    t = ref.track
    times = c.times()
    yes = c.pair(
        FAMILY, "yesno", _question(c, ref, act.text, times.exact(at)),
        f"Yes, {ref.said} is {going(act.text)} at {times.exact(at)}.", [_does(t, act.text, at)], [ref], timed=True,
    )  # fmt: skip
    twists = [*_wrong_time(c, ref, act), *_wrong_actor(c, ref, act, at), *_wrong_action(ref, act, at, kinds)]
    if not twists:
        return
    who, asked, when, true = c.rng.choice(twists)
    what = f"is {going(true)} at {times.exact(when)}" if true else f"is not in sight at {times.exact(when)}"
    also = _does(who.track, true, when) if true else Claim(
        kind="seen", holds=False, entity=who.track.entity, start_us=when, end_us=when
    )  # fmt: skip
    # A denial that rests on absence is one `seen` claim; what is asked stays the first.
    claims = [_does(who.track, asked, when, holds=False), also]
    no = c.pair(
        FAMILY, "yesno", _question(c, who, asked, times.exact(when)), f"No, {who.said} {what}.", claims, [who],
        timed=True,
    )  # fmt: skip
    yield (yes, no)


Twist = tuple[Ref, str, int, str]
"""Whom to ask about, which action, when, and what it does then ('' where it is not in sight)."""


def _wrong_time(c: Composer, ref: Ref, act: Act) -> list[Twist]:
    t = ref.track
    out: list[Twist] = [(ref, act.text, at, "") for at in c.instants(c.away(t), 1, 0)]
    for other in c.acts(t):
        if clash(other.text, act.text):
            out += [(ref, act.text, at, other.text) for at in c.instants([(other.start_us, other.end_us)], 1)]
    return out


def _wrong_actor(c: Composer, ref: Ref, act: Act, at: int) -> list[Twist]:
    out: list[Twist] = []
    for other in c.tracks:
        if other is ref.track:
            continue
        again = c.masked(other) if ref.region is not None else c.named(other)
        done = [a for a in _during(c, other, at, at) if clash(a.text, act.text)]
        if again is not None and done:
            out.append((again, act.text, at, done[0].text))
    return out


def _wrong_action(ref: Ref, act: Act, at: int, kinds: list[str]) -> list[Twist]:
    return [(ref, k, at, act.text) for k in kinds if clash(k, act.text)]


def _question(c: Composer, ref: Ref, text: str, at: str) -> str:
    return c.rng.choice(_ASK).format(who=ref.asked, doing=going(text), t=at)


def _does(t: Track, text: str, at: int, *, holds: bool = True) -> Claim:
    return Claim(kind="does", holds=holds, entity=t.entity, text=text, start_us=at, end_us=at)


def _during(c: Composer, t: Track, start_us: int, end_us: int) -> list[Act]:
    """What an entity does all through a time and for a while to both sides."""
    return [a for a in c.acts(t) if a.start_us <= start_us - _MARGIN_US and end_us + _MARGIN_US <= a.end_us]
