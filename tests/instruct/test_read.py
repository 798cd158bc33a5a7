"""Events to clips: joined segments, late masks, what was said before, and bounded memory."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import msgspec
import pytest

from engines.errors import UserError
from instruct.clip import Window, clip_of
from instruct.clipper import Clipper
from instruct.make import Options, Tally, pairs_of
from instruct.read import check, find, flaw, windows
from stream import events as ev
from stream.events import Body, Event, Masklet, MaskletRevised
from tests.instruct.test_formats import put, told
from tests.told import STEP, appeared, closed, frames, masks, opened


def clips(*bodies: Body, least: int = 10) -> list[Window]:
    """`least` in steps. Events are numbered by chunk."""
    clipper = Clipper("feed", least * STEP)
    seq, n, out = 0, 0, []
    for body in bodies:
        out += list(clipper.push(Event("feed", seq, n, body)))
        seq, n = (seq + 1, 0) if isinstance(body, ev.ChunkDone) else (seq, n + 1)
    return out


def done() -> Body:
    return ev.ChunkDone(seq=0, frames=10, dropped=0, stage_us={}, latency_us=None)


def described(text: str) -> Body:
    return ev.EntityDescribed(
        entity=1, expression=text, noun="person", category="person", attributes=[], source="measured"
    )


def ended(at: int) -> Body:
    return ev.FeedEnded(at_us=at * STEP, reason="end")


def seen(window: Window) -> list[tuple[int, int, int]]:
    return [(t.entity, t.frames[0].pts_us // STEP, t.frames[-1].pts_us // STEP) for t in clip_of(window).tracks]


def test_short_segments_are_joined_and_a_gap_parts_them() -> None:
    found = clips(
        opened(1, 0), closed(1, 0, 4, "cut"), closed(2, 4, 8, "cut"), closed(3, 8, 15, "cut"),
        closed(4, 15, 18, "gap"), closed(5, 30, 33, "cut"), ended(33),
    )  # fmt: skip
    assert [(w.start_us // STEP, w.end_us // STEP) for w in found] == [(0, 15), (15, 18), (30, 33)]


def test_masks_that_come_at_the_end_of_a_long_chunk_count() -> None:
    """The chunk goes on far beyond the clip's end before it tells its masks."""
    found = clips(
        opened(1, 0), appeared(1, 0), closed(1, 0, 20, "cut"), appeared(2, 80), masks(1, 0, 90), done(), ended(90)
    )
    assert seen(found[0]) == [(1, 0, 19)]


def test_masks_that_are_filled_backward_count() -> None:
    revised = MaskletRevised(entity=1, start_us=12 * STEP, frames=frames(12, 25))
    found = clips(
        opened(1, 0), masks(2, 0, 20), closed(1, 0, 20, "cut"), done(), appeared(1, 25), masks(2, 20, 40), revised,
        done(),
        masks(2, 40, 80), done(), ended(80),
    )  # fmt: skip
    assert seen(found[0]) == [(1, 12, 19), (2, 0, 19)]


def test_an_entity_is_known_in_later_clips_by_what_was_said_last() -> None:
    found = clips(
        opened(1, 0), appeared(1, 0), described("the dog"), masks(1, 0, 20), closed(1, 0, 20, "cut"),
        described("the brown dog"), done(), masks(1, 20, 60), closed(2, 20, 60, "cut"), done(), ended(60),
    )  # fmt: skip
    tracks = [clip_of(w).tracks[0] for w in found]
    assert [(t.category, t.expression) for t in tracks] == [("person", "the dog"), ("person", "the brown dog")]


def test_memory_does_not_grow_with_the_feed() -> None:
    clipper = Clipper("feed", 20 * STEP)
    held = []
    for i in range(300):
        at = i * 20
        bodies = [
            appeared(i + 1, at),
            described("x"),
            masks(i + 1, at, at + 20),
            closed(i + 1, at, at + 20, "cut"),
            done(),
        ]
        for n, body in enumerate(bodies):
            list(clipper.push(Event("feed", i, n, body)))
        held.append(len(clipper._pending))
    assert max(held[100:]) <= max(held[:100])


def test_hindsight_is_taken_in(tmp_path: Path) -> None:
    """Who was two is one, with the ids of the events as they were."""
    merged = ev.EntityMerged(entity=1, merged=2, at_us=11_000_000, similarity=0.9, reason="same look")
    events = told().events
    path = put(tmp_path, [*events[:-1], Event("feed", 0, 9000, merged), events[-1]])
    (window,) = windows(check(find([path])), least_us=30_000_000)
    assert [t.entity for t in clip_of(window).tracks] == [1]
    assert {e.id for e in window.events} <= {e.id for e in events}
    assert {e.body.entity for e in window.events if isinstance(e.body, Masklet)} == {1}


def test_a_feed_that_has_ended_is_forgotten() -> None:
    clipper = Clipper("feed", 20 * STEP)
    for n, body in enumerate((opened(1, 0), appeared(1, 0), described("the dog"), masks(1, 0, 30),
                              closed(1, 0, 30, "end"), done(), ended(30))):  # fmt: skip
        list(clipper.push(Event("feed", 0, n, body)))
    assert (clipper._pending, clipper._known, clipper._seen_us) == ([], {}, {})


def test_a_segment_that_is_told_twice_is_one_clip() -> None:
    found = clips(opened(1, 0), closed(1, 0, 20, "end"), closed(1, 0, 20, "end"), done(), ended(20))
    assert [(w.start_us // STEP, w.end_us // STEP) for w in found] == [(0, 20)]


@pytest.mark.parametrize("size", [(0, 0), (0, 5), (-1, 5), (1 << 40, 1 << 40)])
def test_a_mask_of_an_impossible_size_is_no_event(size: tuple[int, int], tmp_path: Path) -> None:
    """pycocotools ends the process over one (SIGFPE)."""
    frame = msgspec.structs.replace(frames(0, 1)[0], rle=ev.Rle(size, "0"))
    bodies = (opened(1, 0), Masklet(entity=1, start_us=0, frames=[frame]))
    path = put(tmp_path, [told().events[0], *(Event("feed", 0, n, body) for n, body in enumerate(bodies, 1))])
    with pytest.raises(UserError, match="pixels"):
        check([path])


@pytest.mark.parametrize("rate", ["nan", "24", "-24/1", "a/b", ""])
def test_a_rate_that_is_no_fraction_is_no_event(rate: str) -> None:
    body = ev.FeedStarted(
        at_us=0, codec="h264", width=8, height=8, rate=rate, source="x", reencoded=False, profile="lite", engines=[]
    )
    assert "rate" in flaw(Event("a", 0, 0, body))


def test_a_damaged_mask_is_in_no_pair() -> None:
    """Its pairs are left out, the others stay. (What keeps the area, a wrong last run of zeros, is not noticed.)"""
    whole = Masklet(entity=1, start_us=0, frames=frames(0, 60, area=800))
    broken = [
        msgspec.structs.replace(f, rle=ev.Rle(f.rle.size, code))
        for f, code in zip(whole.frames, ("0", "", "o") * 20, strict=True)
    ]
    for frames_ in (whole.frames, broken):
        body = Masklet(entity=1, start_us=0, frames=frames_)
        (window,) = clips(
            opened(1, 0), appeared(1, 0), described("the person in a white top"), body, closed(1, 0, 60, "end"),
            done(), ended(60),
        )  # fmt: skip
        size = whole.frames[0].rle.size
        window = dataclasses.replace(window, size=size)
        pairs = [p for unit in pairs_of(window, Options(mix=None), Tally()) for p in unit]
        shown = [r for p in pairs for r in p.regions]
        assert pairs
        assert bool(shown) == (frames_ is whole.frames)


def test_a_clip_without_its_pictures_size_has_no_pairs() -> None:
    """Its feed.started was damaged: the stream instructor must not stop at it."""
    body = Masklet(entity=1, start_us=0, frames=frames(0, 60, area=800))
    (window,) = clips(opened(1, 0), appeared(1, 0), body, closed(1, 0, 60, "end"), done(), ended(60))
    assert window.size == (0, 0)
    assert not pairs_of(window, Options(mix=None), Tally())
