"""Is <region> in sight at t, when is it, for how long; and questions that wrongly suppose that it is."""

from __future__ import annotations

from collections.abc import Iterator

from instruct.compose import Composer, Ref
from instruct.pair import Claim, Unit
from instruct.say import seconds

FAMILY = "visible"
_ASK = ("Is {who} visible at {t}?", "Can {who} be seen at {t}?", "At {t}, is {who} in the picture?")
_WHEN = ("When is {who} in sight?", "At what times can {who} be seen?", "During which times is {who} visible?")
_LONG = ("For how long is {who} in sight?", "How long can {who} be seen in all?")
_FALSE = ("What is {who} doing at {t}?", "Where is {who} at {t}?", "Describe {who} at {t}.")


def pairs(c: Composer) -> Iterator[Unit]:
    for t in c.tracks:
        for ref in c.refs(t):
            yield from _asked(c, ref)
            if len(t.spans) <= 5:
                stays = Claim(kind="stays", entity=t.entity, spans=list(t.spans))
                question = c.rng.choice(_WHEN).format(who=ref.asked)
                answer = f"{ref.said_first} is in sight {c.times().spans(t.spans)}."
                yield (c.pair(FAMILY, "open", question, answer, [stays], [ref], timed=False),)
            yield from _long(c, ref)


def _asked(c: Composer, ref: Ref) -> Iterator[Unit]:
    t = ref.track
    away = c.instants(c.away(t), 3, 0)
    there = c.instants(t.spans, 3)
    for at, gone in zip(there, away, strict=False):
        times = c.times()
        seen = Claim(kind="seen", entity=t.entity, start_us=at, end_us=at)
        unseen = Claim(kind="seen", holds=False, entity=t.entity, start_us=gone, end_us=gone)
        ask = c.rng.choice(_ASK)
        yes = c.pair(
            FAMILY, "yesno", ask.format(who=ref.asked, t=times.exact(at)),
            f"Yes, {ref.said} is in sight at {times.exact(at)}.", [seen], [ref], timed=True,
        )  # fmt: skip
        no = c.pair(
            FAMILY, "yesno", ask.format(who=ref.asked, t=times.exact(gone)),
            f"No, {ref.said} is not in sight at {times.exact(gone)}.", [unseen], [ref], timed=True,
        )  # fmt: skip
        yield (yes, no)
        question = c.rng.choice(_FALSE).format(who=ref.asked, t=times.exact(gone))
        answer = c.rng.choice((
            f"Sorry, {ref.said} does not appear at {times.exact(gone)}.",
            f"{ref.said_first} is not visible at {times.exact(gone)}.",
        ))  # fmt: skip
        yield (c.pair(FAMILY, "open", question, answer, [unseen], [ref], timed=True),)


def _long(c: Composer, ref: Ref) -> Iterator[Unit]:
    lasts = Claim(kind="lasts", entity=ref.track.entity, n=ref.track.seen_us)
    text = seconds(lasts.n, 100_000, "seconds")
    question = c.rng.choice(_LONG).format(who=ref.asked)
    answer = f"{ref.said_first} is in sight for {text}."
    yield (c.pair(FAMILY, "open", question, answer, [lasts], [ref], timed=False),)
    factors = (0.3, 0.55, 1.5, 2.0)
    length = c.clip.window.end_us - c.clip.window.start_us
    wrong = [
        (seconds(n, 100_000, "seconds"), Claim(kind="lasts", holds=False, entity=ref.track.entity, n=n))
        for n in (round(lasts.n * f) // 100_000 * 100_000 for f in factors)
        if n <= length and abs(n - lasts.n) >= 500_000
    ]
    yield c.choice(FAMILY, question, (text, lasts), wrong, [ref], timed=False)
