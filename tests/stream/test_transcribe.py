"""Actions measured from hand-made sights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from stream.entity import Entity, Sight
from stream.events import Action, Body
from stream.transcribe import Transcriber, TranscribeState, action_of

STEP_US, HIGH = 50_000, 200.0
Path = Callable[[float], tuple[float, float]]


def sights(path: Path, seconds: float = 1.5, camera: tuple[float, float] = (0, 0), bodies: bool = False) -> list[Sight]:
    """An entity 200 pixels high whose centre goes by `path` (seconds -> x, y)."""
    made = []
    for i in range(round(seconds * 1e6 / STEP_US)):
        x, y = path(i * STEP_US / 1e6)
        marks = None
        if bodies:
            marks = np.zeros((33, 3), np.float32)
            marks[[23, 24]] = (x, y, 1)
            marks[[27, 28]] = (x, y + 90, 1)
        made.append(Sight(i * STEP_US, x, y, 80, HIGH, camera[0], camera[1], marks))
    return made


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (lambda t: (300, 300), "stays in place"),
        (lambda t: (300 + 10 * t, 300), "stays in place"),
        (lambda t: (300 - 120 * t, 300), "moves to the left"),
        (lambda t: (300 + 120 * t, 300), "moves to the right"),
        (lambda t: (300 + 400 * t, 300), "runs to the right"),
        (lambda t: (300, 300 - 150 * t), "moves up"),
        (lambda t: (300, 300 + 150 * t), "moves down"),
    ],
)
def test_paths(path: Path, text: str) -> None:
    assert action_of("person", sights(path)) == text


def test_a_car_does_not_run() -> None:
    assert action_of("car", sights(lambda t: (300 + 400 * t, 300))) == "moves to the right"


def test_camera_motion_is_not_the_entitys() -> None:
    """The camera pans with it: it stands in the picture and goes to the right in the world, and the reverse."""
    pan = 120 * STEP_US / 1e6
    assert action_of("person", sights(lambda t: (300, 300), camera=(-pan, 0))) == "moves to the right"
    assert action_of("person", sights(lambda t: (300 + 120 * t, 300), camera=(pan, 0))) == "stays in place"


@pytest.mark.parametrize(("rate", "text"), [(1.6, "comes nearer"), (0.5, "goes away from the camera")])
def test_growth(rate: float, text: str) -> None:
    grown = [
        Sight(s.pts_us, s.x, s.y, s.w, HIGH * rate ** (s.pts_us / 1e6), 0, 0) for s in sights(lambda t: (300, 300))
    ]
    assert action_of("person", grown) == text


def test_jumps_need_hips_and_ankles_to_go_together() -> None:
    def hop(t: float) -> tuple[float, float]:
        return 300, 300 - 50 * abs(np.sin(4 * t))

    assert action_of("person", sights(hop, bodies=True)) == "jumps"
    bow = [
        Sight(s.pts_us, s.x, 300, s.w, s.h, 0, 0, s.landmarks * np.where(np.arange(33)[:, None] > 25, 0, 1) + 0)
        for s in sights(hop, bodies=True)
        if s.landmarks is not None
    ]
    assert action_of("person", bow) != "jumps", "only the hips move"


@pytest.mark.parametrize("count", [0, 1, 3])
def test_too_little_to_tell(count: int) -> None:
    assert action_of("person", sights(lambda t: (300, 300))[:count]) == ""


def timeline(path: Path, seconds: float, segment: Callable[[int], int] = lambda us: 1) -> list[Body]:
    """The timeline of a whole path, looked at every 150 ms."""
    every = sights(path, seconds)
    entity = Entity(7, "person", "visible", 0, 0, np.zeros(4, np.float32))
    transcriber, state, events = Transcriber(), TranscribeState(), list[Body]()
    for i, s in enumerate(every):
        entity.sights.append(s)
        if i % 3 == 0:
            events += transcriber.step(state, entity, s.pts_us, segment(s.pts_us))
    events += transcriber.close(state, 7)
    assert not state.open
    return events


def told(events: list[Body]) -> list[str]:
    return [e.text for e in events if isinstance(e, Action)]


def test_stands_then_walks() -> None:
    events = timeline(lambda t: (300 + max(0, t - 2) * 150, 300), 5)
    assert told(events) == ["stays in place", "moves to the right"]
    first, second = (e for e in events if isinstance(e, Action))
    assert first.entity == second.entity == 7
    assert first.end_us <= second.start_us
    assert 1_700_000 < second.start_us < 2_700_000


def test_a_twitch_is_not_told() -> None:
    assert told(timeline(lambda t: (300 + (60 if 2 < t < 2.2 else 0), 300), 5)) == ["stays in place"]


def test_too_short_is_not_told() -> None:
    assert told(timeline(lambda t: (300, 300), 0.7)) == []


def test_a_new_segment_ends_the_action() -> None:
    events = [e for e in timeline(lambda t: (300, 300), 5, lambda us: 1 + (us >= 2_500_000)) if isinstance(e, Action)]
    assert [(e.text, e.segment) for e in events] == [("stays in place", 1), ("stays in place", 2)]
    assert events[0].end_us <= 2_500_000 <= events[1].start_us


def test_only_recent_sights_are_kept() -> None:
    entity = Entity(1, "person", "visible", 0, 0, np.zeros(4, np.float32), sights=sights(lambda t: (1, 1), 30))
    Transcriber().step(TranscribeState(), entity, 30_000_000, 1)
    assert len(entity.sights) <= 33
