"""A feed's events read back: presences, exits and re-entries, queries; the transcript and the report made of them."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from instruct.transcript import transcript
from kernels import rle
from stream import events as ev
from stream.events import Body, Event, Masklet, MaskletFrame, MaskletRevised, Rle
from stream.overlay import Pictures
from stream.report import page
from stream.story import Story, clock, read

STEP = 100_000
COUNTS = rle.encode(np.ones((20, 40), np.bool_))
BOX = (5.0, 5.0, 20.0, 18.0)


def frames(start: int, end: int, area: int = 100, box: tuple[float, float, float, float] = BOX) -> list[MaskletFrame]:
    """One mask a step from `start` to before `end`, in steps."""
    return [MaskletFrame(i * STEP, Rle((20, 40), COUNTS), box, area, 0.9) for i in range(start, end)]


def masks(entity: int, start: int, end: int, **more: int) -> Masklet:
    return Masklet(entity=entity, start_us=start * STEP, frames=frames(start, end, **more))


def story(*bodies: Body) -> Story:
    return read(Event("feed", 0, n, body) for n, body in enumerate(bodies))


def appeared(entity: int, at: int, category: str = "person") -> Body:
    return ev.EntityAppeared(entity=entity, at_us=at * STEP, category=category, score=0.9, bbox=BOX)


def left(entity: int, at: int, reason: ev.ExitReason = "edge") -> Body:
    return ev.EntityExited(entity=entity, at_us=at * STEP, reason=reason, bbox=BOX)


def back(entity: int, at: int) -> Body:
    return ev.EntityReentered(entity=entity, at_us=at * STEP, category="person", score=0.9, bbox=BOX, similarity=0.9)


def opened(number: int, at: int, reason: ev.SegmentReason = "start") -> Body:
    return ev.SegmentOpened(segment=number, start_us=at * STEP, reason=reason)


def closed(number: int, start: int, end: int, reason: ev.SegmentReason = "end") -> Body:
    return ev.SegmentClosed(segment=number, start_us=start * STEP, end_us=end * STEP, reason=reason)


LEFT_AND_BACK = (
    opened(1, 0), appeared(1, 0), left(1, 9), masks(1, 0, 10), back(1, 30), masks(1, 30, 40), closed(1, 0, 50)
)  # fmt: skip


def test_exit_and_reentry() -> None:
    e = story(*LEFT_AND_BACK).entities[1]
    assert [(p.start_us, p.end_us, p.left) for p in e.presences] == [(0, 9 * STEP, "edge"), (30 * STEP, 39 * STEP, "")]
    assert (e.exits, e.reentries, e.frames, e.first_us, e.last_us) == (1, 1, 20, 0, 39 * STEP)


def test_leaving_and_coming_back_within_one_chunk() -> None:
    e = story(
        appeared(1, 0), left(1, 9), back(1, 20), Masklet(entity=1, start_us=0, frames=frames(0, 10) + frames(20, 30))
    )
    assert [(p.start_us, p.end_us, p.left) for p in e.entities[1].presences] == [
        (0, 9 * STEP, "edge"),
        (20 * STEP, 29 * STEP, ""),
    ]


def test_one_presence_over_many_chunks() -> None:
    e = story(appeared(1, 0), masks(1, 0, 10), masks(1, 10, 20), masks(1, 20, 30)).entities[1]
    assert [(p.start_us, p.end_us, p.left) for p in e.presences] == [(0, 29 * STEP, "")]


def test_revision_reaches_back() -> None:
    e = story(
        appeared(1, 10), masks(1, 10, 20), MaskletRevised(entity=1, start_us=4 * STEP, frames=frames(4, 10))
    ).entities[1]
    assert [(p.start_us, p.end_us) for p in e.presences] == [(4 * STEP, 19 * STEP)]
    assert (e.first_us, e.frames) == (4 * STEP, 16)


def test_best_moment_is_large_and_clear_of_the_border() -> None:
    e = story(
        appeared(1, 0),
        Masklet(entity=1, start_us=0, frames=[
            *frames(0, 1, 100), *frames(1, 2, 300), *frames(2, 3, 500, (0.0, 5.0, 20.0, 18.0)), *frames(3, 4, 200)
        ]),
    ).entities[1]  # fmt: skip
    assert e.best is not None
    assert e.best.frame.pts_us == STEP


def test_the_last_word_on_a_query_counts() -> None:
    told = {"query": "q1", "text": "the dog", "score": 0.5, "margin": 0.1, "cues": list[str]()}
    bodies = [ev.QueryAmbiguous(entities=[1, 2], **told), ev.QueryBound(entities=[2], **told)]  # type: ignore[arg-type]
    assert [(q.outcome, q.entities) for q in story(*bodies).queries.values()] == [("bound", [2])]
    gone = ev.QueryUnbound(query="q1", text="the dog", entities=[2], reason="removed")
    assert story(*bodies, gone).queries["q1"].outcome == "unbound"


@pytest.mark.parametrize(("us", "text"), [(0, "00:00.0"), (18_440_000, "00:18.4"), (3_599_960_000, "60:00.0")])
def test_clock(us: int, text: str) -> None:
    assert clock(us) == text


def test_transcript_has_a_slot_for_everyone_in_every_segment() -> None:
    walks = ev.Action(
        entity=1, segment=1, start_us=2 * STEP, end_us=8 * STEP, text="moves to the left", source="measured"
    )
    told = story(
        opened(1, 0), appeared(1, 0), appeared(2, 0), masks(1, 0, 10), masks(2, 0, 3), walks, closed(1, 0, 10, "cut"),
        left(1, 9, "cut"), opened(2, 10, "cut"), masks(2, 12, 20), closed(2, 10, 20),
    )  # fmt: skip
    first, second = transcript(told)
    assert [list(r.slots) for r in (first, second)] == [["1", "2"], ["1", "2"]]
    assert first.slots["1"] is not None
    assert first.slots["1"].actions == [(2 * STEP, 8 * STEP, "moves to the left")]
    assert second.slots["1"] is None
    assert second.slots["2"] is not None
    assert second.slots["2"].present_us == [(12 * STEP, 19 * STEP)]


class Links(HTMLParser):
    """Every address a page would load, and its tags."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [v or "" for k, v in attrs if k in ("src", "href", "srcset", "data", "action", "poster")]


def test_report_escapes_and_loads_nothing() -> None:
    evil = '<script>alert("1")</script>'
    bound = ev.QueryBound(query="q", text=evil, entities=[1], score=0.5, margin=0.1, cues=[evil])
    trouble = ev.Error(stage="decode", code="corrupt_chunk", message=evil, seq=1)
    described = ev.EntityDescribed(
        entity=1, expression=evil, noun=evil, category=evil, attributes=[], source="measured"
    )
    gap = ev.FeedGap(start_us=0, end_us=1, reason=evil)
    told = story(*LEFT_AND_BACK, appeared(2, 0, evil), masks(2, 0, 3), described, bound, trouble, gap)
    text = page(told, Pictures({1: b"png"}, [(0, b"jpeg")]), has_overlay=True)
    seen = Links()
    seen.feed(text)
    assert "script" not in seen.tags
    assert evil not in text
    assert "&lt;script&gt;" in text
    assert {a.split(":")[0] for a in seen.addresses} == {"overlay.mp4", "data"}
    assert not re.search(r"https?://|@import|url\(", text)
    assert text.count("<article") == 2


def test_report_of_nothing() -> None:
    assert "Nobody and nothing that acts was found" in page(story(), Pictures(), has_overlay=False)
    assert "<video" not in page(story(), Pictures(), has_overlay=False)
