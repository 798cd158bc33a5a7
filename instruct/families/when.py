"""When does <region> do X: all its times, or which third of the clip."""

from __future__ import annotations

from collections.abc import Iterator

from instruct.compose import Composer
from instruct.contrast import told_apart
from instruct.pair import Claim, Spans, Unit
from instruct.say import bare

FAMILY = "when"
_OPEN = ("When does {who} {do}?", "At what time does {who} {do}?", "During which part of the video does {who} {do}?")
_THIRDS = ("in the beginning", "in the middle", "near the end")


def pairs(c: Composer) -> Iterator[Unit]:
    start, end = c.clip.window.start_us, c.clip.window.end_us
    for t in c.tracks:
        for text in sorted({a.text for a in c.acts(t)}):
            spans: Spans = [(a.start_us, a.end_us) for a in t.acts if a.text == text]
            if len(spans) > 4 or not told_apart(text, t.acts):
                continue
            acts = Claim(kind="acts", entity=t.entity, text=text, spans=spans)
            for ref in c.refs(t):
                times = c.times()
                question = c.rng.choice(_OPEN).format(who=ref.asked, do=bare(text))
                answer = f"{ref.said_first} {text} {times.spans(spans)}."
                yield (c.pair(FAMILY, "open", question, answer, [acts], [ref], timed=False),)
                options = [
                    (option, Claim(kind="part", entity=t.entity, text=text, n=n)) for n, option in enumerate(_THIRDS)
                ]
                third = (end - start) / 3
                inside = [n for n in range(3) if all(
                    start + n * third <= s - 200_000 * (n > 0) and e + 200_000 * (n < 2) <= start + (n + 1) * third
                    for s, e in spans
                )]  # fmt: skip
                if inside:
                    wrong = [
                        (o, Claim(kind="part", holds=False, entity=t.entity, text=text, n=k.n))
                        for o, k in options if k.n != inside[0]
                    ]  # fmt: skip
                    asked = f"In which part of the video does {ref.asked} {bare(text)}?"
                    yield c.choice(FAMILY, asked, options[inside[0]], wrong, [ref], timed=False)
