"""Segments: their bounds for every input, their reasons, and that chunks make no difference."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import U8, shifted, texture

from stream.clip import Clipper, ClipState
from stream.cuts import Cuts
from stream.events import Body, SegmentClosed, SegmentOpened
from stream.state import FeedState, restore, snapshot

STEP_US = 40_000


def play(frames: Iterable[U8], clipper: Clipper | None = None) -> tuple[list[int], list[Body]]:
    """Frames that were cuts, and all events, the end included."""
    clipper, state = clipper or Clipper(), ClipState()
    cuts, events, count = [], list[Body](), 0
    for i, frame in enumerate(frames):
        cut, told = clipper.step(state, frame, i * STEP_US)
        cuts += [i] * cut
        events += told
        count += 1
    return cuts, events + clipper.close(state, count * STEP_US, "end")


def shot(seed: int, frames: int, drift: float = 1.0) -> list[U8]:
    picture = texture(seed)
    tint = np.random.default_rng(seed).integers(-60, 60, 3)
    picture = np.clip(picture.astype(int) + tint, 0, 255).astype(np.uint8)
    return [shifted(picture, drift * i, 0) for i in range(frames)]


def segments(events: list[Body]) -> list[tuple[int, int, int, str, str]]:
    """(number, start, end, opened, closed), checked to follow one another without a hole."""
    opened = [e for e in events if isinstance(e, SegmentOpened)]
    closed = [e for e in events if isinstance(e, SegmentClosed)]
    assert len(opened) == len(closed)
    rows = []
    for o, c in zip(opened, closed, strict=True):
        assert (o.segment, o.start_us) == (c.segment, c.start_us)
        rows.append((o.segment, o.start_us, c.end_us, o.reason, c.reason))
    for a, b in pairwise(rows):
        assert a[2] == b[1]
        assert b[0] == a[0] + 1
        assert a[4] == b[3]
    return rows


@pytest.mark.parametrize("lengths", [(20, 20), (15, 30, 13), (40, 14, 14, 40)])
def test_every_cut_at_its_frame(lengths: tuple[int, ...]) -> None:
    frames = [f for seed, n in enumerate(lengths) for f in shot(seed, n)]
    cuts, events = play(frames)
    wanted = np.cumsum(lengths)[:-1].tolist()
    assert cuts == wanted
    rows = segments(events)
    assert [r[1] for r in rows] == [0, *(c * STEP_US for c in wanted)]
    assert {r[3] for r in rows[1:]} == {"cut"}
    assert (rows[0][3], rows[-1][4]) == ("start", "end")


def test_a_short_shot_is_told_and_merged_with_the_next() -> None:
    """Following begins anew at every cut; a segment opens only where the one before is long enough."""
    frames = [f for seed, n in enumerate((25, 5, 25)) for f in shot(seed, n)]
    cuts, events = play(frames)
    assert cuts == [25, 30]
    assert [r[1] for r in segments(events)] == [0, 25 * STEP_US]


def test_a_montage() -> None:
    """Shots of 4 frames: segments of 4 of them, 640 ms, since 3 are shorter than set."""
    cuts, events = play([f for seed in range(12) for f in shot(seed, 4)])
    assert cuts == list(range(4, 48, 4))
    assert [r[1] for r in segments(events)] == [0, 16 * STEP_US, 32 * STEP_US]


PICTURES = [texture(n, (36, 64)) for n in range(3)] + [
    np.zeros((36, 64, 3), np.uint8),
    np.full((36, 64, 3), (200, 40, 90), np.uint8),
    np.zeros((40, 64, 3), np.uint8),
]


def clippers() -> st.SearchStrategy[tuple[int, int]]:
    """Shortest and longest lengths."""
    return st.tuples(st.integers(1, 900_000), st.integers(0, 2_000_000)).map(lambda p: (p[0], p[0] + p[1]))


@settings(max_examples=150, deadline=None)
@given(
    bounds=clippers(),
    shown=st.lists(st.tuples(st.sampled_from(range(len(PICTURES))), st.integers(1, 1_500_000)), max_size=40),
)
def test_no_segment_is_shorter_or_longer_than_set(bounds: tuple[int, int], shown: Sequence[tuple[int, int]]) -> None:
    shortest_us, longest_us = bounds
    clipper, state = Clipper(shortest_us=shortest_us, longest_us=longest_us), ClipState()
    events, pts_us = list[Body](), 0
    for picture, step_us in shown:
        _, told = clipper.step(state, PICTURES[picture], pts_us)
        assert all(e.start_us <= pts_us for e in told if isinstance(e, SegmentOpened)), "nothing of what is to come"
        events += told
        pts_us += step_us
    events += clipper.close(state, pts_us, "end")
    rows = segments(events)
    assert [end for *_, end, _, _ in rows[-1:]] == [pts_us] * bool(shown)
    assert all(end - start <= longest_us for _, start, end, _, _ in rows)
    assert all(end - start >= shortest_us for _, start, end, _, _ in rows[:-1])


def test_the_bounds_must_fit_each_other() -> None:
    with pytest.raises(ValueError, match="shortest_us 3"):
        Clipper(shortest_us=3, longest_us=2)


def test_longest_length() -> None:
    rows = segments(play(shot(1, 100, drift=0.2), Clipper(longest_us=1_000_000))[1])
    assert [r[1] for r in rows] == [0, 1_000_000, 2_000_000, 3_000_000]
    assert {r[4] for r in rows[:-1]} == {"length"}


def test_drift_without_a_cut() -> None:
    frames = [np.full((90, 160, 3), (t, 0.4 * t, 0.2 * t)).astype(np.uint8) for t in np.linspace(30, 250, 120)]
    cuts, events = play(frames)
    assert cuts == []
    assert "drift" in {r[3] for r in segments(events)}


def tinted(seed: int, tint: Sequence[float]) -> U8:
    return np.clip(texture(seed, (90, 160)) * 0.5 + np.array(tint), 0, 255).astype(np.uint8)


def slowly(colours: Sequence[Sequence[float]], frames: int) -> list[U8]:
    """One picture whose tint goes from colour to colour, each `frames` long, half of that in between."""
    out: list[U8] = []
    for a, b in pairwise(colours):
        out += [tinted(1, a)] * (frames // 2)
        out += [tinted(1, np.array(a) + (np.array(b) - a) * i / frames) for i in range(frames)]
    return out + [tinted(1, colours[-1])] * frames


RED, BLUE = (130, 0, 0), (0, 0, 130)


def test_what_drifts_back_within_a_second_is_merged() -> None:
    still = [tinted(1, RED)] * 60
    assert len(segments(play(still + [tinted(1, BLUE)] * 22 + still, Clipper(cuts=Never()))[1])) == 1
    assert len(segments(play(still + [tinted(1, BLUE)] * 100, Clipper(cuts=Never()))[1])) == 2


class Never(Cuts):
    """Finds no cut, so that drift is seen by itself."""

    def step(self, *args: object) -> tuple[bool, U8, float]:
        _, image, score = super().step(*args)  # type: ignore[arg-type]
        return False, image, score


def test_drift_of_motion() -> None:
    """A still picture begins to race: the same colours, another segment."""
    still, racing = [shot(3, 1)[0]] * 80, shot(3, 100, drift=9.0)
    rows = segments(play([*still, *racing], Clipper(cuts=Never()))[1])
    assert [r[3] for r in rows] == ["start", "drift"]
    assert 80 * STEP_US < rows[1][1] <= 140 * STEP_US


def test_the_longer_a_segment_the_less_drift_it_takes() -> None:
    """What is no other scene to a young segment is where an old one, that must end soon, is split best."""
    frames = [tinted(1, RED)] * 175 + [tinted(1, (110, 12, 12))] * 100
    young = segments(play(frames, Clipper(longest_us=100_000_000))[1])
    old = segments(play(frames, Clipper(longest_us=10_000_000))[1])
    assert [r[3] for r in young] == ["start"]
    assert [r[3] for r in old][:2] == ["start", "drift"]
    assert 175 * STEP_US < old[1][1] < 10_000_000


@pytest.mark.slow
def test_chunks_make_no_difference() -> None:
    """The state goes through its bytes after any frame; and it stays small."""
    frames = [f for seed, n in enumerate((30, 8, 60)) for f in shot(seed, n)]
    frames[50] = np.full_like(frames[50], 255)
    frames += slowly((RED, BLUE), 50)
    whole = play(frames)
    for every in (1, 7):
        clipper, feed = Clipper(), FeedState("f")
        cuts, events = [], list[Body]()
        for i, frame in enumerate(frames):
            cut, told = clipper.step(feed.scan.clip, frame, i * STEP_US)
            cuts, events = cuts + [i] * cut, events + told
            if i % every == 0:
                data = snapshot(feed)
                assert len(data) < 120_000
                feed = restore(data)
        assert (cuts, events + clipper.close(feed.scan.clip, len(frames) * STEP_US, "end")) == whole


def test_black_frames_and_a_new_size() -> None:
    black = [np.zeros((90, 160, 3), np.uint8)] * 20
    assert play(black)[0] == []
    cuts, events = play([*black, *([np.zeros((120, 160, 3), np.uint8)] * 20)])
    assert cuts == [20]
    assert len(segments(events)) == 2


def test_a_gap_begins_afresh() -> None:
    clipper, state = Clipper(), ClipState()
    clipper.step(state, texture(1), 0)
    assert [e.reason for e in clipper.close(state, 40_000, "gap") if isinstance(e, SegmentClosed)] == ["gap"]
    assert msgspec.structs.replace(state, segment=0) == ClipState()
    cut, events = clipper.step(state, texture(2), 900_000)
    assert not cut
    assert [(e.segment, e.reason) for e in events if isinstance(e, SegmentOpened)] == [(2, "start")]


def test_nothing_to_close() -> None:
    assert Clipper().close(ClipState(), 5, "end") == []
