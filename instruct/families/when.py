"""When does <region> do X: all its times, or which third of the clip."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from instruct.clip import Track
from instruct.compose import Composer
from instruct.contrast import told_apart
from instruct.pair import Claim, Spans, Unit
from instruct.plan import Plan
from instruct.say import bare

FAMILY = "when"
_OPEN = ("When {does}?", "At what time {does}?", "During which part of the video {does}?")
_THIRDS = ("in the beginning", "in the middle", "near the end")


def pairs(c: Composer) -> Iterator[Plan]:
    for t in c.tracks:
        for text in sorted({a.text for a in c.acts(t)}):
            spans: Spans = [(a.start_us, a.end_us) for a in t.acts if a.text == text]
            if len(spans) > 4 or not told_apart(text, t.acts):
                continue
            third = _third(c, spans)
            for masked in c.ways(t):
                write = partial(_open, c, t, masked, text, spans)
                yield c.plan(FAMILY, "open", (t.entity, text), write, masked=masked, timed=False)
                if third is not None:
                    write = partial(_choice, c, t, masked, text, third)
                    yield c.plan(FAMILY, "choice", (t.entity, text), write, masked=masked, timed=False)


def _open(c: Composer, t: Track, masked: bool, text: str, spans: Spans) -> Unit:
    ref = c.ref(t, masked)
    acts = Claim(kind="acts", entity=t.entity, text=text, spans=spans)
    question = c.pick(_OPEN).format(does=_does(ref.asked, text))
    answer = f"{ref.said_first} {text} {c.times().spans(spans)}."
    return (c.pair(FAMILY, "open", question, answer, [acts], [ref], timed=False),)


def _choice(c: Composer, t: Track, masked: bool, text: str, third: int) -> Unit:
    ref = c.ref(t, masked)
    options = [
        (option, Claim(kind="part", holds=n == third, entity=t.entity, text=text, n=n))
        for n, option in enumerate(_THIRDS)
    ]
    right = options.pop(third)
    question = f"In which part of the video {_does(ref.asked, text)}?"
    return c.choice(FAMILY, question, right, options, [ref], timed=False)


def _does(who: str, text: str) -> str:
    """`does she jump`, `is she hidden by the dog`: asked after an action."""
    verb, _, rest = text.partition(" ")
    return f"is {who} {rest}" if verb == "is" else f"does {who} {bare(text)}"


def _third(c: Composer, spans: Spans) -> int | None:
    """The third of the clip that all spans lie well inside of."""
    start, end = c.clip.window.start_us, c.clip.window.end_us
    length = (end - start) / 3
    for n in range(3):
        low, high = start + n * length + 200_000 * (n > 0), start + (n + 1) * length - 200_000 * (n < 2)
        if all(low <= s and e <= high for s, e in spans):
            return n
    return None
