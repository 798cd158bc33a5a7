"""Describe <region> through the video: when it is in sight and what it does."""

from __future__ import annotations

from collections.abc import Iterator

from instruct.compose import Composer
from instruct.pair import Claim, Unit
from instruct.say import upper

FAMILY = "describe"
_OPEN = (
    "Describe what {who} does through the video.", "What happens to {who} in the course of the video?",
    "Follow {who} through the video and tell what happens, with times.",
)  # fmt: skip


def pairs(c: Composer) -> Iterator[Unit]:
    for t in c.tracks:
        if len(t.spans) > 4 or not 1 <= len(t.acts) <= 6:
            continue
        stays = Claim(kind="stays", entity=t.entity, spans=list(t.spans))
        does = [Claim(kind="does", entity=t.entity, text=a.text, start_us=a.start_us, end_us=a.end_us) for a in t.acts]
        for ref in c.refs(t):
            times = c.times()
            told = ", then ".join(f"{a.text} {times.span((a.start_us, a.end_us))}" for a in t.acts)
            answer = f"{ref.said_first} is in sight {times.spans(t.spans)}. {upper(ref.it)} {told}."
            question = c.rng.choice(_OPEN).format(who=ref.asked)
            yield (c.pair(FAMILY, "open", question, answer, [stays, *does], [ref], timed=False),)
