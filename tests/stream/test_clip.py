"""Segments from generated shots: every cut at its frame, nothing for flashes and motion, a longest length."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import pytest
from pictures import U8, shifted, texture

from stream.clip import Clipper, ClipState
from stream.events import Body, SegmentClosed, SegmentOpened

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


def test_motion_is_no_cut() -> None:
    assert play(shot(3, 60, drift=12.0))[0] == []


def test_noise_and_light_are_no_cuts() -> None:
    dice = np.random.default_rng(5)
    still = texture(1)
    frames = [np.clip(still + dice.normal(0, 6, still.shape) + 0.6 * i, 0, 255).astype(np.uint8) for i in range(60)]
    assert play(frames)[0] == []


def test_no_segment_is_shorter_than_set() -> None:
    frames = [f for seed in range(12) for f in shot(seed, 4)]
    _, events = play(frames, Clipper(shortest_us=500_000, threshold=1000))
    assert all(end - start >= 500_000 for _, start, end, _, _ in segments(events)[:-1])


def test_a_flash_does_not_break_a_long_shot_twice() -> None:
    """One white frame: at most one segment ends there, and the same picture behind it opens no third."""
    frames = shot(2, 50, drift=0.5)
    frames[25] = np.full_like(frames[25], 255)
    rows = segments(play(frames)[1])
    assert len(rows) <= 2


def test_longest_length() -> None:
    rows = segments(play(shot(1, 100, drift=0.2), Clipper(longest_us=1_000_000))[1])
    assert [r[1] for r in rows] == [0, 1_000_000, 2_000_000, 3_000_000]
    assert {r[4] for r in rows[:-1]} == {"length"}


def test_drift_without_a_cut() -> None:
    frames = [np.full((90, 160, 3), (t, 0.4 * t, 0.2 * t)).astype(np.uint8) for t in np.linspace(30, 250, 120)]
    cuts, events = play(frames)
    assert cuts == []
    assert "drift" in {r[3] for r in segments(events)}


def test_black_frames_and_a_new_size() -> None:
    black = [np.zeros((90, 160, 3), np.uint8)] * 20
    assert play(black)[0] == []
    cuts, events = play([*black, *([np.zeros((120, 160, 3), np.uint8)] * 20)])
    assert cuts == [20]
    assert len(segments(events)) == 2


def test_nothing_to_close() -> None:
    assert Clipper().close(ClipState(), 5, "end") == []
