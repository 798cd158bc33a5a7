"""The clip as a whole: its scenes, a summary with times, captions of stretches."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from instruct.clip import Act, Track
from instruct.compose import Composer
from instruct.contrast import settled, telling
from instruct.pair import Claim, Spans, Unit
from instruct.plan import Plan, near
from instruct.say import going, listed, number, upper

FAMILY = "scenes"


_BORDERS = ("Into which scenes does the video fall?", "Where are the scene boundaries of the video?")
_SUMMARY = (
    "Who and what can be seen in the video, and when?", "Summarise who is in the video, with times.",
    "Give a summary of the video: who is in sight, and from when to when?",
)  # fmt: skip
_TIMELINE = ("List what happens in the video, in order and with times.", "What happens in the video? Give times.")
_CAPTION = ("What can be seen from {a} to {b}?", "Caption the video between {a} and {b}.")


def pairs(c: Composer) -> Iterator[Plan]:
    spans = [(s, e) for s, e, _ in c.clip.segments]
    if 2 <= len(spans) <= 8:
        yield c.plan(FAMILY, "open", ("scenes",), partial(_boundaries, c, spans), masked=False, timed=False)
        yield c.plan(FAMILY, "choice", ("scenes",), partial(_how_many, c, spans), masked=False, timed=False)
    who = [t for t in c.tracks if not t.ambiguous and len(t.spans) <= 4][:6]
    if who:
        yield c.plan(FAMILY, "open", ("summary",), partial(_summary, c, who), masked=False, timed=False)
        acting = [(a, t) for t in who for a in c.acts(t) if not a.text.startswith("faces")]
        acting.sort(key=lambda x: (x[0].start_us, x[1].entity))
        if 2 <= len(acting) <= 10:
            yield c.plan(FAMILY, "open", ("timeline",), partial(_timeline, c, acting), masked=False, timed=False)
    for start, end in spans:
        inside = sorted(c.instants([(start, end)], 2, 0))
        if len(inside) == 2 and inside[1] - inside[0] >= 1_000_000:
            yield from _stretch(c, *inside)


def _boundaries(c: Composer, spans: Spans) -> Unit:
    claim = Claim(kind="scenes", n=len(spans), spans=spans)
    answer = f"There are {number(len(spans))} scenes: {c.times().spans(spans)}."
    return (c.pair(FAMILY, "open", c.pick(_BORDERS), answer, [claim], timed=False),)


def _how_many(c: Composer, spans: Spans) -> Unit:
    n = len(spans)
    right, *wrong = (
        (number(k), Claim(kind="scenes", holds=k == n, n=k, spans=spans))
        for k in (n, *(k for k in range(max(1, n - 2), n + 3) if k != n))
    )
    return c.choice(FAMILY, "How many scenes does the video have?", right, wrong, (), timed=False)


def _summary(c: Composer, who: list[Track]) -> Unit:
    times = c.times()
    claims = [Claim(kind="stays", entity=t.entity, spans=list(t.spans)) for t in who]
    said = [f"{upper(t.expression)} is in sight {times.spans(t.spans)}." for t in who]
    return (c.pair(FAMILY, "open", c.pick(_SUMMARY), " ".join(said), claims, timed=False, spoken=who),)


def _timeline(c: Composer, acting: list[tuple[Act, Track]]) -> Unit:
    times = c.times()
    claims = [Claim(kind="does", entity=t.entity, text=a.text, start_us=a.start_us, end_us=a.end_us) for a, t in acting]
    said = [f"{upper(times.span((a.start_us, a.end_us)))} {t.expression} {a.text}." for a, t in acting]
    spoken = list({t.entity: t for _, t in acting}.values())
    return (c.pair(FAMILY, "open", c.pick(_TIMELINE), " ".join(said), claims, timed=False, spoken=spoken),)


def _stretch(c: Composer, a: int, b: int) -> Iterator[Plan]:
    """What goes on in a stretch of a segment that is asked for by its times."""
    there = [t for t in c.clip.tracks if any(s <= b + 500_000 and a - 500_000 <= e for s, e in t.spans)]
    if there and all(not t.ambiguous and t.visible(a, b) and settled(t, a, b) for t in there):
        write = partial(_caption, c, there, a, b)
        yield c.plan(FAMILY, "open", ("caption", near(a), near(b)), write, masked=False, timed=True)


def _caption(c: Composer, there: list[Track], a: int, b: int) -> Unit:
    times = c.times()
    claims, said = [], []
    for t in there:
        acts = telling([o for o in c.acts(t) if o.start_us <= a and b <= o.end_us], 3)
        if acts:
            claims += [Claim(kind="does", entity=t.entity, text=o.text, start_us=a, end_us=b) for o in acts]
            said.append(f"{t.expression} is {listed([going(o.text) for o in acts])}")
        else:
            claims.append(Claim(kind="seen", entity=t.entity, start_us=a, end_us=b))
            said.append(f"{t.expression} is in sight")
    text = c.pick(_CAPTION).format(a=times.exact(a), b=times.exact(b))
    return (c.pair(FAMILY, "open", text, f"{upper(listed(said))}.", claims, timed=True, spoken=there),)
