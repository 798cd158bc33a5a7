"""What is <region> doing at t, or between two times; is it doing X at t; and X's negative twins."""

from __future__ import annotations

from collections.abc import Iterator

from instruct.clip import Act, Track
from instruct.compose import Composer, Ref
from instruct.pair import Claim, Unit
from instruct.say import going

FAMILY = "doing"
_OPEN = ("What is {who} doing at {t}?", "At {t}, what is {who} doing?", "Describe what {who} is doing at {t}.")
_RANGE = (
    "What does {who} do between {a} and {b}?", "From {a} to {b}, what does {who} do?",
    "How does {who} behave from {a} to {b}?",
)  # fmt: skip
_ASK = ("Is {who} {doing} at {t}?", "At {t}, is {who} {doing}?", "Can {who} be seen {doing} at {t}?")


def pairs(c: Composer) -> Iterator[Unit]:
    kinds = sorted({a.text for t in c.clip.tracks for a in t.acts})
    for t in c.tracks:
        for ref in (r for _ in range(3) for r in c.refs(t)):
            for act in t.acts:
                yield from _one(c, ref, act, kinds)


def _one(c: Composer, ref: Ref, act: Act, kinds: list[str]) -> Iterator[Unit]:
    t = ref.track
    for at in c.instants([(act.start_us, act.end_us)], 2):
        if _alone(t, act, at) and t.visible(at - 250_000, at + 250_000):
            times = c.times()
            does = _does(t, act.text, at)
            question = c.rng.choice(_OPEN).format(who=ref.asked, t=times.exact(at))
            answer = c.rng.choice((
                f"{ref.said_first} is {going(act.text)} at {times.exact(at)}.",
                f"At {times.exact(at)}, {ref.said} is {going(act.text)}.",
            ))  # fmt: skip
            yield (c.pair(FAMILY, "open", question, answer, [does], [ref], timed=True),)
            wrong = [(going(k), _does(t, k, at, holds=False)) for k in kinds if k != act.text]
            question = c.rng.choice(_OPEN[:2]).format(who=ref.asked, t=times.exact(at))
            yield c.choice(FAMILY, question, (going(act.text), does), wrong, [ref], timed=True)
            yield from _twins(c, ref, act, at, kinds)
    inside = c.instants([(act.start_us, act.end_us)], 2, 300_000)
    if len(inside) == 2 and abs(inside[0] - inside[1]) >= 500_000:
        a, b = sorted(inside)
        if _alone(t, act, a, b) and t.visible(a, b):
            times = c.times()
            question = c.rng.choice(_RANGE).format(who=ref.asked, a=times.exact(a), b=times.exact(b))
            claim = Claim(kind="does", entity=t.entity, text=act.text, start_us=a, end_us=b)
            yield (c.pair(FAMILY, "open", question, f"{ref.said_first} {act.text}.", [claim], [ref], timed=True),)


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
    for other in t.acts:
        if other.text != act.text:
            out += [
                (ref, act.text, at, other.text)
                for at in c.instants([(other.start_us, other.end_us)], 1)
                if _alone(t, other, at)
            ]
    return out


def _wrong_actor(c: Composer, ref: Ref, act: Act, at: int) -> list[Twist]:
    out: list[Twist] = []
    for other in c.tracks:
        if other is ref.track:
            continue
        again = c.masked(other) if ref.region is not None else c.named(other)
        done = [a for a in other.acts if a.start_us <= at - 500_000 and at + 500_000 <= a.end_us]
        if again is not None and len(done) == 1 and done[0].text != act.text and _alone(other, done[0], at):
            out.append((again, act.text, at, done[0].text))
    return out


def _wrong_action(ref: Ref, act: Act, at: int, kinds: list[str]) -> list[Twist]:
    return [(ref, k, at, act.text) for k in kinds if k != act.text]


def _question(c: Composer, ref: Ref, text: str, at: str) -> str:
    return c.rng.choice(_ASK).format(who=ref.asked, doing=going(text), t=at)


def _does(t: Track, text: str, at: int, *, holds: bool = True) -> Claim:
    return Claim(kind="does", holds=holds, entity=t.entity, text=text, start_us=at, end_us=at)


def _alone(t: Track, act: Act, start: int, end: int | None = None) -> bool:
    """Whether nothing else is told of the entity around a time."""
    end = start if end is None else end
    near = [a for a in t.acts if a is not act and a.start_us < end + 500_000 and start - 500_000 < a.end_us]
    return not near
