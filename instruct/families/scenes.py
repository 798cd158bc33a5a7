"""The clip as a whole: its scenes, a summary with times, captions of stretches."""

from __future__ import annotations

from collections.abc import Iterator

from instruct.clip import Act, Track
from instruct.compose import Composer
from instruct.contrast import telling
from instruct.pair import Claim, Unit
from instruct.say import going, listed, number, upper

FAMILY = "scenes"


def pairs(c: Composer) -> Iterator[Unit]:
    yield from _boundaries(c)
    yield from _summary(c)
    for start, end, _ in c.clip.segments:
        yield from _caption(c, start, end)


def _boundaries(c: Composer) -> Iterator[Unit]:
    spans = [(s, e) for s, e, _ in c.clip.segments]
    if not 2 <= len(spans) <= 8:
        return
    claim = Claim(kind="scenes", n=len(spans), spans=spans)
    times = c.times()
    question = c.rng.choice(("Into which scenes does the video fall?", "Where are the scene boundaries of the video?"))
    answer = f"There are {number(len(spans))} scenes: {times.spans(spans)}."
    yield (c.pair(FAMILY, "open", question, answer, [claim], timed=False),)
    wrong = [
        (number(k), Claim(kind="scenes", holds=False, n=k, spans=spans))
        for k in range(max(1, len(spans) - 2), len(spans) + 3) if k != len(spans)
    ]  # fmt: skip
    yield c.choice(FAMILY, "How many scenes does the video have?", (number(len(spans)), claim), wrong, (), timed=False)


def _summary(c: Composer) -> Iterator[Unit]:
    who = [t for t in c.tracks if not t.ambiguous and len(t.spans) <= 4][:6]
    if not who:
        return
    times = c.times()
    claims = [Claim(kind="stays", entity=t.entity, spans=list(t.spans)) for t in who]
    said = [f"{upper(t.expression)} is in sight {times.spans(t.spans)}." for t in who]
    question = c.rng.choice(("Who and what can be seen in the video, and when?",
                             "Summarise who is in the video, with times.",
                             "Give a summary of the video: who is in sight, and from when to when?"))  # fmt: skip
    yield (c.pair(FAMILY, "open", question, " ".join(said), claims, timed=False, spoken=who),)
    acting = [(a, t) for t in who for a in c.acts(t) if not a.text.startswith("faces")]
    acting.sort(key=lambda x: (x[0].start_us, x[1].entity))
    if 2 <= len(acting) <= 10:
        yield from _timeline(c, acting)


def _timeline(c: Composer, acting: list[tuple[Act, Track]]) -> Iterator[Unit]:
    times = c.times()
    claims = [Claim(kind="does", entity=t.entity, text=a.text, start_us=a.start_us, end_us=a.end_us) for a, t in acting]
    said = [f"{upper(times.span((a.start_us, a.end_us)))} {t.expression} {a.text}." for a, t in acting]
    question = c.rng.choice(("List what happens in the video, in order and with times.",
                             "What happens in the video? Give times."))  # fmt: skip
    spoken = list({t.entity: t for _, t in acting}.values())
    yield (c.pair(FAMILY, "open", question, " ".join(said), claims, timed=False, spoken=spoken),)


def _caption(c: Composer, start: int, end: int) -> Iterator[Unit]:
    """What goes on in a stretch of a segment that is asked for by its times."""
    inside = sorted(c.instants([(start, end)], 2, 0))
    if len(inside) < 2 or inside[1] - inside[0] < 1_000_000:
        return
    a, b = inside
    there = [t for t in c.clip.tracks if any(s <= b + 500_000 and a - 500_000 <= e for s, e in t.spans)]
    if not there or any(t.ambiguous or not t.visible(a, b) for t in there):
        return
    times = c.times()
    claims, said = [], []
    for t in there:
        acts = telling([o for o in c.acts(t) if o.start_us <= a and b <= o.end_us], 2)
        if acts:
            claims += [Claim(kind="does", entity=t.entity, text=o.text, start_us=a, end_us=b) for o in acts]
            said.append(f"{t.expression} is {listed([going(o.text) for o in acts])}")
        else:
            claims.append(Claim(kind="seen", entity=t.entity, start_us=a, end_us=b))
            said.append(f"{t.expression} is in sight")
    question = c.rng.choice(("What can be seen from {a} to {b}?", "Caption the video between {a} and {b}."))
    text = question.format(a=times.exact(a), b=times.exact(b))
    yield (c.pair(FAMILY, "open", text, f"{upper(listed(said))}.", claims, timed=True, spoken=there),)
