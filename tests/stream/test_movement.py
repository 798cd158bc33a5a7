"""Ways of hand-made paths, for boxes alone and for bodies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from skeleton import STANDING, Pose, sights, still

from stream.entity import Sight
from stream.movement import Motion, measure, way

STEP_US = 50_000
Path = Callable[[float], tuple[float, float, float, float]]


def boxes(path: Path, seconds: float = 1.0, camera: tuple[float, float] = (0, 0)) -> list[Sight]:
    """`path`: seconds -> x, y of the middle, w, h."""
    return [Sight(i * STEP_US, *path(i * STEP_US / 1e6), *camera) for i in range(round(seconds * 1e6 / STEP_US))]


def told(category: str, path: Path, camera: tuple[float, float] = (0, 0), **options: object) -> str | None:
    m = measure(category, boxes(path, camera=camera))
    assert m is not None
    asked = {"person": category == "person", "pace": 0.0, "riding": "", "standing": False, **options}
    found = way(m, **asked)  # type: ignore[arg-type]
    return None if found is None else found.text


@pytest.mark.parametrize(
    ("category", "path", "text"),
    [
        ("person", lambda t: (300, 300, 80, 200), "stays in place"),
        ("person", lambda t: (300 - 120 * t, 300, 80, 200), "moves to the left"),
        ("person", lambda t: (300 + 70 * t, 300, 80, 200), "moves slowly to the right"),
        ("person", lambda t: (300 + 400 * t, 300, 80, 200), "moves fast to the right"),
        ("person", lambda t: (300, 300 - 150 * t, 80, 200), None),
        ("kite", lambda t: (300, 300 - 100 * t, 100, 100), "moves up"),
        ("kite", lambda t: (300, 300 + 100 * t, 100, 100), "moves down"),
        # only one border moves: an arm, a leash, a shadow
        ("dog", lambda t: (300 + 50 * t, 300, 100 + 100 * t, 100), "stays in place"),
        ("dog", lambda t: (300, 300 - 30 * t, 100 + 60 * t, 100 + 60 * t), "stays in place"),
        # its feet go with it
        ("car", lambda t: (300, 300 + 20 * t, 100 + 60 * t, 100 + 60 * t), "moves toward the camera"),
        ("car", lambda t: (300, 300 - 20 * t, 200 - 60 * t, 200 - 60 * t), "moves away from the camera"),
        # to and fro is neither still nor a way
        ("sports ball", lambda t: (300, 300 + 30 * ((t * 10) % 2 < 1), 40, 40), None),
    ],
)
def test_ways(category: str, path: Path, text: str | None) -> None:
    assert told(category, path) == text


def test_the_camera_is_taken_off() -> None:
    pan = 120 * STEP_US / 1e6
    assert told("person", lambda t: (300, 300, 80, 200), camera=(-pan, 0)) == "moves to the right"
    assert told("person", lambda t: (300 + 120 * t, 300, 80, 200), camera=(pan, 0)) == "stays in place"


def test_a_fast_pan_is_not_trusted() -> None:
    pan = 800 * STEP_US / 1e6
    assert told("car", lambda t: (300 + 500 * t, 300, 100, 100), camera=(pan, 0)) is None


@pytest.mark.parametrize(
    ("options", "speed", "text"),
    [
        ({"standing": True}, 0, "stands still"),
        ({"pace": 1.8}, 150, "walks to the right"),
        ({"pace": 1.8}, 70, "walks slowly to the right"),
        ({"pace": 3.0}, 400, "runs to the right"),
        ({"pace": 3.0}, 60, "walks slowly to the right"),
        ({"riding": "bicycle"}, 150, "rides to the right"),
        ({"riding": "horse"}, 0, "rides the horse"),
    ],
)
def test_verbs(options: dict[str, object], speed: float, text: str) -> None:
    assert told("person", lambda t: (300 + speed * t, 300, 80, 200), **options) == text


def test_a_bow_or_a_raised_arm_moves_nobody() -> None:
    def bowing(t: float) -> Pose:
        return replace(STANDING, lean=(min(0.7, t), -1 + min(0.4, t / 2)), left_hand=(0.1 + t, 0.9 - 2 * t))

    m = measure("person", sights(bowing))
    assert m is not None
    assert m.speed < 0.25
    assert m.growth == 0


def test_a_body_walks_as_fast_as_its_torso_goes() -> None:
    m = measure("person", sights(lambda t: replace(STANDING, at=(300 + 150 * t, 300))))
    assert m is not None
    assert m.vx == pytest.approx(0.5, abs=0.02)
    assert m.length == pytest.approx(300, rel=0.02)
    assert isinstance(m, Motion)


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_too_little_to_tell(count: int) -> None:
    if count:
        assert measure("person", boxes(lambda t: (1, 1, 9, 9))[:count]) is None
    assert measure("person", sights(still())[:2]) is None
