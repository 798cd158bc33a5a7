"""Is <region> in sight at t, when is it, for how long; and questions that wrongly suppose that it is."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from instruct.clip import Track
from instruct.compose import Composer
from instruct.pair import Claim, Unit
from instruct.plan import Plan, near
from instruct.say import seconds

FAMILY = "visible"
_ASK = ("Is {who} visible at {t}?", "Can {who} be seen at {t}?", "At {t}, is {who} in the picture?")
_WHEN = ("When is {who} in sight?", "At what times can {who} be seen?", "During which times is {who} visible?")
_LONG = ("For how long is {who} in sight?", "How long can {who} be seen in all?")
_FALSE = ("What is {who} doing at {t}?", "Where is {who} at {t}?", "Describe {who} at {t}.")


def pairs(c: Composer) -> Iterator[Plan]:
    for t in c.tracks:
        for masked in c.ways(t):
            yield from _asked(c, t, masked)
            if len(t.spans) <= 5:
                yield c.plan(FAMILY, "open", ("when", t.entity), partial(_when, c, t, masked), masked=masked,
                             timed=False)  # fmt: skip
            about = ("long", t.entity)
            yield c.plan(FAMILY, "open", about, partial(_long, c, t, masked), masked=masked, timed=False)
            wrong = _lengths(c, t)
            if wrong:
                write = partial(_choice, c, t, masked, wrong)
                yield c.plan(FAMILY, "choice", about, write, masked=masked, timed=False)


def _asked(c: Composer, t: Track, masked: bool) -> Iterator[Plan]:
    away = c.instants(c.away(t), 3, 0)
    there = c.instants(t.spans, 3) if away else []
    for at, gone in zip(there, away, strict=False):
        write = partial(_twins, c, t, masked, at, gone)
        yield c.plan(FAMILY, "yesno", (t.entity, near(at)), write, masked=masked, timed=True)
        write = partial(_absent, c, t, masked, gone)
        yield c.plan(FAMILY, "open", (t.entity, near(gone)), write, masked=masked, timed=True)


def _seen(t: Track, at: int, *, holds: bool) -> Claim:
    return Claim(kind="seen", holds=holds, entity=t.entity, start_us=at, end_us=at)


def _twins(c: Composer, t: Track, masked: bool, at: int, gone: int) -> Unit:
    ref, times, ask = c.ref(t, masked), c.times(), c.pick(_ASK)
    here, then = times.exact(at), times.exact(gone)
    return (
        c.pair(FAMILY, "yesno", ask.format(who=ref.asked, t=here), f"Yes, {ref.said} is in sight at {here}.",
               [_seen(t, at, holds=True)], [ref], timed=True),
        c.pair(FAMILY, "yesno", ask.format(who=ref.asked, t=then), f"No, {ref.said} is not in sight at {then}.",
               [_seen(t, gone, holds=False)], [ref], timed=True),
    )  # fmt: skip


def _absent(c: Composer, t: Track, masked: bool, gone: int) -> Unit:
    """Asked as if it were in sight."""
    ref, when = c.ref(t, masked), c.times().exact(gone)
    question = c.pick(_FALSE).format(who=ref.asked, t=when)
    answer = c.pick((f"Sorry, {ref.said} does not appear at {when}.", f"{ref.said_first} is not visible at {when}."))
    return (c.pair(FAMILY, "open", question, answer, [_seen(t, gone, holds=False)], [ref], timed=True),)


def _when(c: Composer, t: Track, masked: bool) -> Unit:
    ref = c.ref(t, masked)
    stays = Claim(kind="stays", entity=t.entity, spans=list(t.spans))
    question = c.pick(_WHEN).format(who=ref.asked)
    answer = f"{ref.said_first} is in sight {c.times().spans(t.spans)}."
    return (c.pair(FAMILY, "open", question, answer, [stays], [ref], timed=False),)


def _long(c: Composer, t: Track, masked: bool) -> Unit:
    ref, (text, lasts) = c.ref(t, masked), _lasts(t, t.seen_us)
    question = c.pick(_LONG).format(who=ref.asked)
    return (c.pair(FAMILY, "open", question, f"{ref.said_first} is in sight for {text}.", [lasts], [ref], timed=False),)


def _choice(c: Composer, t: Track, masked: bool, wrong: list[int]) -> Unit:
    ref = c.ref(t, masked)
    others = [_lasts(t, n) for n in wrong]
    return c.choice(FAMILY, c.pick(_LONG).format(who=ref.asked), _lasts(t, t.seen_us), others, [ref], timed=False)


def _lasts(t: Track, n: int) -> tuple[str, Claim]:
    return seconds(n, 100_000, "seconds"), Claim(kind="lasts", holds=n == t.seen_us, entity=t.entity, n=n)


def _lengths(c: Composer, t: Track) -> list[int]:
    """Wrong lengths, that nobody would take for the right one."""
    tried = [round(t.seen_us * f) // 100_000 * 100_000 for f in (0.4, 0.7, 1.4, 1.8)]
    return [n for n in tried if abs(n - t.seen_us) >= 500_000]
