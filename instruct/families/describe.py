"""Describe <region> through the video: when it is in sight and what it does."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from instruct.clip import Act, Track
from instruct.compose import Composer
from instruct.contrast import telling
from instruct.pair import Claim, Unit
from instruct.plan import Plan
from instruct.say import listed, upper

FAMILY = "describe"
_OPEN = (
    "Describe what {who} does through the video.", "What happens to {who} in the course of the video?",
    "Follow {who} through the video and tell what happens, with times.",
)  # fmt: skip

_MOST = 12
"""Actions in one answer."""


def pairs(c: Composer) -> Iterator[Plan]:
    for t in c.tracks:
        acts = telling(c.acts(t), _MOST)
        if len(t.spans) > 4 or not acts or len(acts) < len(t.acts):
            continue  # what is told of it would not be all that it does
        for masked in c.ways(t):
            write = partial(_open, c, t, masked, acts)
            yield c.plan(FAMILY, "open", (t.entity,), write, masked=masked, timed=False)


def _open(c: Composer, t: Track, masked: bool, acts: list[Act]) -> Unit:
    stays = Claim(kind="stays", entity=t.entity, spans=list(t.spans))
    does = [Claim(kind="does", entity=t.entity, text=a.text, start_us=a.start_us, end_us=a.end_us) for a in acts]
    ref, times = c.ref(t, masked), c.times()
    told = listed([f"{a.text} {times.span((a.start_us, a.end_us))}" for a in acts])
    answer = f"{ref.said_first} is in sight {times.spans(t.spans)}. {upper(ref.it)} {told}."
    question = c.pick(_OPEN).format(who=ref.asked)
    return (c.pair(FAMILY, "open", question, answer, [stays, *does], [ref], timed=False),)
