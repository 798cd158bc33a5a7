"""A feed's events read back: presences, exits and re-entries, queries."""

from __future__ import annotations

import pytest

from stream import events as ev
from stream.events import Masklet, MaskletRevised
from stream.story import clock
from tests.told import LEFT_AND_BACK, STEP, appeared, back, frames, left, masks, story


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


def test_leaving_and_coming_back_within_a_moment_runs_forward() -> None:
    """Away for less than what parts two stretches, told by events whose masks come in one piece."""
    e = story(appeared(1, 0), left(1, 9), back(1, 11), Masklet(entity=1, start_us=0, frames=frames(0, 30))).entities[1]
    assert [(p.start_us, p.end_us, p.left) for p in e.presences] == [
        (0, 9 * STEP, "edge"),
        (11 * STEP, 29 * STEP, ""),
    ]


def test_leaving_and_coming_back_in_one_moment_loses_no_mask() -> None:
    e = story(appeared(1, 0), left(1, 9), back(1, 9), masks(1, 0, 30)).entities[1]
    assert [(p.start_us, p.end_us, p.left) for p in e.presences] == [(0, 9 * STEP, "edge"), (9 * STEP, 29 * STEP, "")]


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


def test_queries_come_in_the_order_they_were_asked_in() -> None:
    said = [ev.QueryUnbound(query=q, text="the dog", entities=[], reason="nobody fits") for q in ("q10", "q2", "q1")]
    assert list(story(*said).queries) == ["q1", "q2", "q10"]
