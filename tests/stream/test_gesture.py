"""Gestures of hand-made bodies: each is seen where it is, and not where only something like it is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from skeleton import STANDING, TORSO, Play, Pose, sights, still

from stream.body import body_of, turns
from stream.gesture import pace, readings
from stream.timeline import Reading


def seen(play: Play, *, usual: float = TORSO, legs: bool = True, riding: bool = False) -> list[Reading]:
    every = sights(play)
    body = body_of(every)
    assert body is not None
    return readings(body, every[-1].pts_us, usual=usual, legs=legs, riding=riding)


def texts(play: Play, **options: bool) -> set[str]:
    return {r.text for r in seen(play, **options) if r.text}


def swing(hertz: float, t: float) -> float:
    return float(np.sin(2 * np.pi * hertz * t))


def jumping(t: float, lift: float = 0.5) -> Pose:
    return replace(STANDING, at=(400, 300 - TORSO * lift * max(0.0, swing(1.0, t))))


def walking(t: float, hertz: float = 1.0) -> Pose:
    s = swing(hertz, t)
    return replace(STANDING, at=(300 + 60 * t, 300), left_foot=(0.4 * s, 1.4), right_foot=(-0.4 * s, 1.4))


def waving(t: float) -> Pose:
    return replace(STANDING, left_hand=(0.3 + 0.3 * swing(1.5, t), -0.5))


def clapping(t: float) -> Pose:
    out = 0.1 + 0.4 * abs(swing(1.0, t))
    return replace(STANDING, left_hand=(out - 0.33, 0.2), right_hand=(0.33 - out, 0.2))


FRONT = "faces the camera"


@pytest.mark.parametrize(
    ("play", "wanted"),
    [
        (still(), {FRONT}),
        (still(wide=-0.65), {"faces away from the camera"}),
        (still(wide=0.1, nose=0.4), {"faces the right"}),
        (still(wide=-0.1, nose=-0.4), {"faces the left"}),
        (still(wide=0.42), set()),
        (still(left_hand=(0.1, -0.5)), {FRONT, "holds the left arm up"}),
        (still(right_hand=(0.1, -0.5)), {FRONT, "holds the right arm up"}),
        (still(left_hand=(0.6, 0.0)), {FRONT}),
        (waving, {FRONT, "holds the left arm up", "waves"}),
        (clapping, {FRONT, "claps"}),
        (still(left_hand=(-0.33, 0.2), right_hand=(0.33, 0.2)), {FRONT}),
        (still(left_foot=(0.1, 0.8), left_knee=(0.1, 0.4)), {FRONT, "raises the left leg"}),
        (still(right_foot=(-0.1, 0.8), right_knee=(-0.1, 0.4)), {FRONT, "raises the right leg"}),
        (still(right_foot=(-0.1, 1.3), right_knee=(-0.1, 0.7)), {FRONT}),
        (still(right_foot=(-0.1, -0.3), right_knee=(-0.1, -0.2)), {FRONT}),
        (still(left_foot=(0.1, 0.5), right_foot=(-0.1, 0.5), left_knee=(0.3, 0.1), right_knee=(-0.3, 0.1)),
         {FRONT, "crouches"}),
        (still(left_foot=(0.1, 1.0), right_foot=(-0.1, 1.0), left_knee=(0.3, 0.2), right_knee=(-0.3, 0.2)),
         {FRONT, "sits"}),
        (still(lean=(0.8, -0.6)), {FRONT, "bends over"}),
        (still(lean=(0.2, -0.98)), {FRONT}),
        (still(lean=(0.99, -0.05), left_foot=(-1.4, 0.1), right_foot=(-1.4, 0.1)), {FRONT, "lies"}),
        (jumping, {FRONT, "jumps"}),
        (lambda t: jumping(t, 0.15), {FRONT}),
        (walking, {FRONT}),
    ],
)  # fmt: skip
def test_what_a_body_shows(play: Play, wanted: set[str]) -> None:
    assert texts(play) == wanted


def test_a_jump_is_told_from_its_start_to_its_end() -> None:
    (jump,) = (r for r in seen(jumping) if r.channel == "jump")
    assert 0 <= jump.since_us <= 100_000
    assert 1_400_000 <= jump.until_us <= 1_600_000


def test_only_hips_or_only_feet_up_are_no_jump() -> None:
    def squatting(t: float) -> Pose:
        low = 0.5 * max(0.0, swing(1.0, t))
        return replace(STANDING, at=(400, 300 + TORSO * low), left_foot=(0.1, 1.45 - low), right_foot=(0, 1.45 - low))

    def tucking(t: float) -> Pose:
        up = 0.5 * max(0.0, swing(1.0, t))
        return replace(STANDING, left_foot=(0.1, 1.45 - up), right_foot=(-0.1, 1.45 - up))

    assert "jumps" not in texts(squatting)
    assert "jumps" not in texts(tucking)


def test_stairs_and_the_camera_are_no_jump() -> None:
    def climbing(t: float) -> Pose:
        return replace(STANDING, at=(400, 300 - 40 * t))

    assert "jumps" not in texts(climbing)
    shaken = sights(still(), camera=(0, 0))
    shaken = [replace_sight(s, 40 * max(0.0, swing(1.0, s.pts_us / 1e6))) for s in shaken]
    body = body_of(shaken)
    assert body is not None
    assert not [r for r in readings(body, shaken[-1].pts_us, usual=TORSO, legs=True, riding=False) if r.text == "jumps"]


def replace_sight(s, shift: float):  # type: ignore[no-untyped-def]
    """The same sight through a camera that dipped by `shift` pixels since the sight before at rest."""
    from stream.entity import Sight

    before = 40 * max(0.0, swing(1.0, (s.pts_us - 66_667) / 1e6)) if s.pts_us else 0.0
    marks = s.landmarks + np.array([0, -shift, 0], np.float32)
    return Sight(s.pts_us, s.x, s.y - shift, s.w, s.h, 0.0, before - shift, marks)


@pytest.mark.parametrize("option", ["legs", "riding"])
def test_legs_out_of_the_picture_or_on_a_bicycle_say_nothing(option: str) -> None:
    told = texts(jumping, legs=False) if option == "legs" else texts(jumping, riding=True)
    assert told == {FRONT}
    raised = still(left_foot=(0.1, 0.8), left_knee=(0.1, 0.4))
    assert (texts(raised, legs=False) if option == "legs" else texts(raised, riding=True)) == {FRONT}


def test_a_body_bent_toward_the_camera_is_known_by_its_usual_torso() -> None:
    bent = still(lean=(0.0, -0.55))
    assert "bends over" in {r.text for r in seen(bent, usual=TORSO)}
    far_away = still(lean=(0.0, -0.55))
    assert "bends over" not in {r.text for r in seen(far_away, usual=0.55 * TORSO)}


def test_what_is_not_seen_says_nothing() -> None:
    every = sights(still(left_hand=(0.1, -0.5)))
    for s in every:
        assert s.landmarks is not None
        s.landmarks[15, 2] = 0.2
    body = body_of(every)
    assert body is not None
    assert {r.text for r in readings(body, every[-1].pts_us, usual=TORSO, legs=True, riding=False) if r.text} == {FRONT}


def test_landmarks_outside_of_the_box_are_guesses() -> None:
    every = [type(s)(s.pts_us, s.x, s.y - 50, s.w, s.h - 100, 0, 0, s.landmarks) for s in sights(still())]
    body = body_of(every)
    assert body is not None
    assert body.seen[:, [27, 28]].max() == 0
    assert body.seen[:, 0].min() == 1


@pytest.mark.parametrize(("count", "known"), [(0, False), (4, False), (5, True)])
def test_too_few_sights_show_no_body(count: int, known: bool) -> None:
    assert (body_of(sights(still())[:count]) is not None) == known


@pytest.mark.parametrize(("play", "low", "high"), [(walking, 1.5, 2.5), (still(), 0, 0), (jumping, 0, 0)])
def test_pace(play: Play, low: float, high: float) -> None:
    body = body_of(sights(play))
    assert body is not None
    assert low <= pace(body) <= high


def test_turns_are_the_highs_and_lows_of_a_row() -> None:
    row = np.array([0, 1, 0.9, 1.1, 0, 0.1, -0.1, 1, 1, 0.95])
    assert turns(row, 0.5) == [0, 3, 6]
    assert turns(row, 2.0) == []
    assert turns(np.zeros(0), 1.0) == []
