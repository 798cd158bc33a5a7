"""The transcriber on made-up scenes of boxes, masks and bodies: who does what to whom, from when to when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from skeleton import STANDING, STEP_US, TORSO, Pose, sights

from stream.entity import Entity, Sight, Traits
from stream.events import Action, Body, EntityExited
from stream.patch import Patch
from stream.transcribe import Transcriber, TranscribeState

SIZE = (720, 1280)
Path = Callable[[float], tuple[float, float, float, float]]


@dataclass
class Actor:
    """Somebody of a scene. path: seconds -> x, y of the middle of the box, w, h. hidden: when nothing of it shows."""

    id: int
    category: str
    path: Path
    play: Callable[[float], Pose] | None = None
    hidden: tuple[float, float] = (-1, -1)
    company: dict[str, float] | None = None


def play(*actors: Actor, seconds: float = 5.0, segment: Callable[[float], int] = lambda t: 1) -> list[Action]:
    """The timeline of a scene, looked at every fifth of a second from second 1 on: it was there before."""
    state, transcriber, events = TranscribeState(), Transcriber(), list[Body]()
    entities = {a.id: Entity(a.id, a.category, "visible", 0, 0, np.zeros(4, np.float32)) for a in actors}
    for i in range(round(seconds * 1e6 / STEP_US)):
        t = i * STEP_US / 1e6
        seen = []
        for a in actors:
            e = entities[a.id]
            x, y, w, h = a.path(t)
            if x + w / 2 < 0 or x - w / 2 > SIZE[1]:
                if e.state != "dormant":
                    e.state = "dormant"
                    left = EntityExited(entity=a.id, at_us=round(t * 1e6), reason="edge", bbox=(0, 0, 1, 1))
                    events += transcriber.close(state, a.id, left)
                continue
            e.state = "hidden" if a.hidden[0] <= t < a.hidden[1] else "visible"
            marks = None
            if a.play is not None:
                (now,) = sights(a.play, STEP_US / 1e6, start_s=t)
                x, y, w, h, marks = now.x, now.y, now.w, now.h, now.landmarks
            e.box = np.clip([x - w / 2, y - h / 2, x + w / 2, y + h / 2], 0, [1280, 720] * 2).astype(np.float32)
            x0, y0, x1, y1 = (int(v) for v in e.box)
            e.patch = None if e.state == "hidden" else Patch(x0, y0, np.full((y1 - y0, x1 - x0), 255, np.uint8))
            e.reference_area = w * h
            e.traits = Traits(company=a.company or {})
            e.expression = f"the {a.category}"
            e.sights.append(Sight(round(t * 1e6), x, y, w, h, 0.0, 0.0, marks))
            seen.append(e)
        if i % 3 == 0:
            events += transcriber.step(state, seen, SIZE, round(t * 1e6), segment(t))
    for e in entities.values():
        events += transcriber.close(state, e.id)
    assert not state.stories
    return [b for b in events if isinstance(b, Action)]


def texts(actions: list[Action], entity: int = 1) -> list[str]:
    return [a.text for a in sorted(actions, key=lambda a: a.start_us) if a.entity == entity]


def at(x: float, y: float = 400, w: float = 80, h: float = 200) -> Path:
    return lambda t: (x, y, w, h)


def going(x: float, speed: float, y: float = 400, w: float = 80, h: float = 200) -> Path:
    return lambda t: (x + speed * t, y, w, h)


def test_stands_then_walks_then_stops() -> None:
    actions = play(Actor(1, "person", lambda t: (300 + 150 * min(2.0, max(0.0, t - 2)), 400, 80, 200)), seconds=7)
    assert texts(actions) == ["stays in place", "moves to the right", "stops", "stays in place"]
    stays, moves, *_ = sorted(actions, key=lambda a: a.start_us)
    assert stays.end_us <= moves.start_us
    assert 1_700_000 < moves.start_us < 2_700_000
    assert 3_700_000 < moves.end_us < 4_700_000


def test_a_new_segment_ends_every_action() -> None:
    actions = play(Actor(1, "person", at(300)), segment=lambda t: 1 + (t >= 2.5))
    assert [(a.text, a.segment) for a in actions] == [("stays in place", 1), ("stays in place", 2)]
    assert actions[0].end_us <= 2_500_000 <= actions[1].start_us


@pytest.mark.parametrize(
    ("me", "other", "told"),
    [
        (going(200, 150), at(900), "approaches the dog"),
        (going(900, -150), at(200), "approaches the dog"),
        (going(500, 150), at(440), "moves away from the dog"),
        (going(200, 150), going(420, 150), "follows the dog"),
        (going(200, 150), at(900, y=50, h=60), None),  # not on the ground it goes on
        (going(200, 150), going(420, 400), None),  # which is faster
        (going(400, 150), at(100), None),  # away from it, from afar
        (at(200), at(900), None),
    ],
)
def test_ways_to_another(me: Path, other: Path, told: str | None) -> None:
    actions = play(Actor(1, "person", me), Actor(2, "dog", other), seconds=3.5)
    about = [a for a in actions if a.entity == 1 and a.other is not None and "pass" not in a.text]
    assert {a.text for a in about} == ({told} if told else set())
    assert {a.other for a in about} <= {2}


@pytest.mark.parametrize(("y", "word"), [(380, "behind"), (420, "in front of")])
def test_passes(y: float, word: str) -> None:
    actions = play(Actor(1, "person", going(300, 150, y=y)), Actor(2, "car", at(640, w=160)), seconds=5)
    (passed,) = (a for a in actions if "passes" in a.text)
    assert (passed.entity, passed.other, passed.text) == (1, 2, f"passes {word} the car")
    # their boxes overlap from second 1.5 to 3.1
    assert 1_300_000 < passed.start_us < 1_900_000
    assert 2_700_000 < passed.end_us < 3_300_000


def test_who_turns_back_has_not_passed() -> None:
    def there_and_back(t: float) -> tuple[float, float, float, float]:
        return 300 + 150 * min(t, 5 - t), 380, 80, 200

    assert not [
        a for a in play(Actor(1, "person", there_and_back), Actor(2, "car", at(640, w=160))) if "pass" in a.text
    ]


def test_hidden_by_whom() -> None:
    actions = play(
        Actor(1, "person", at(640), hidden=(1.5, 3.5)),
        Actor(2, "car", at(640, y=450, w=300)),
        Actor(3, "dog", at(200)),
    )
    (hidden,) = (a for a in actions if "hidden" in a.text)
    assert (hidden.entity, hidden.other, hidden.text) == (1, 2, "is hidden by the car")
    assert 1_400_000 < hidden.start_us < 1_800_000
    assert 3_200_000 < hidden.end_us < 3_600_000


def test_comes_in_and_goes_out() -> None:
    actions = play(
        Actor(1, "person", at(640)),
        Actor(2, "dog", lambda t: (-60 + 300 * max(0.0, t - 1), 500, 100, 80)),
        seconds=6,
    )
    dog = [a for a in actions if a.entity == 2]
    comes, goes = (next(a for a in dog if a.text.startswith(w)) for w in ("comes", "goes"))
    assert (comes.text, goes.text) == ("comes in from the left", "goes out to the right")
    assert 1_000_000 < comes.start_us < comes.end_us < 1_800_000
    assert 5_100_000 < goes.start_us < goes.end_us < 5_800_000


def test_who_was_at_the_border_from_the_start_did_not_come_in() -> None:
    assert not [a for a in play(Actor(1, "dog", going(40, 200, w=100, h=80))) if a.text.startswith("comes")]


def reaching(hand: tuple[float, float]) -> Callable[[float], Pose]:
    return lambda t: replace(STANDING, at=(400, 300), left_hand=hand, wide=0.5)


@pytest.mark.parametrize(
    ("hand", "dog_x", "told"),
    [
        ((1.0, 1.2), 540, "touches the dog"),
        ((1.0, 0.8), 620, "reaches toward the dog"),
        ((1.0, 0.8), 900, None),
        ((0.1, 0.9), 560, None),
        ((-1.0, 0.8), 620, None),
    ],
)
def test_hands(hand: tuple[float, float], dog_x: float, told: str | None) -> None:
    dog = Actor(2, "dog", at(dog_x, y=385, w=120, h=130))
    actions = play(Actor(1, "person", at(400), play=reaching(hand)), dog, seconds=4)
    assert {a.text for a in actions if a.other == 2} == ({told} if told else set())


def test_a_rider_and_the_bicycle_are_one() -> None:
    rider = Actor(1, "person", going(300, 150), company={"on the bicycle": 0.8})
    actions = play(rider, Actor(2, "bicycle", going(300, 150, y=480, w=160, h=100)))
    assert texts(actions) == ["rides to the right"]
    assert not [a for a in actions if a.other is not None]


def test_posture_changes_are_told() -> None:
    def sitting_down(t: float) -> Pose:
        if t < 2 or t > 4:
            return STANDING
        return replace(STANDING, at=(400, 300 + TORSO * 0.5), left_foot=(0.1, 1.0), right_foot=(-0.1, 1.0),
                       left_knee=(0.3, 0.2), right_knee=(-0.3, 0.2))  # fmt: skip

    actions = play(Actor(1, "person", at(400), play=sitting_down), seconds=7)
    told = [a for a in actions if a.text in ("sits down", "sits", "stands up")]
    assert [a.text for a in sorted(told, key=lambda a: a.start_us)] == ["sits down", "sits", "stands up"]
    assert all(abs(a.start_us - us) < 700_000 for a, us in zip(told, (2_000_000, 2_000_000, 4_000_000), strict=False))


def test_state_is_bounded() -> None:
    """Sights are kept for a while only, and who has left is forgotten."""
    state, transcriber = TranscribeState(), Transcriber()
    e = Entity(1, "person", "visible", 0, 0, np.array([1, 1, 50, 99], np.float32))
    e.sights = [Sight(i * 33_000, 25, 50, 49, 98, 0, 0) for i in range(1000)]
    transcriber.step(state, [e], SIZE, 33_000_000, 1)
    assert len(e.sights) <= 50
    transcriber.close(state, 1)
    assert state.stories == {}


def test_who_comes_in_as_a_segment_begins_does_so_within_it() -> None:
    """Its sights reach back into the segment before."""
    state, transcriber = TranscribeState(), Transcriber()
    e = Entity(1, "dog", "visible", 0, 0, np.zeros(4, np.float32))
    told: list[Body] = []
    for i in range(45):
        us, x = i * STEP_US, 40.0 if i < 30 else 400.0
        e.box = np.array([x - 40, 400, x + 40, 480], np.float32)
        e.sights.append(Sight(us, x, 440, 80, 80, 0.0, 0.0, None))
        there = [e] if i >= 24 else []
        told += transcriber.step(state, there, SIZE, us, 1 + (i >= 12))
    (comes,) = (a for a in told if isinstance(a, Action) and a.text.startswith("comes"))
    assert (comes.segment, comes.start_us) == (2, 12 * STEP_US)
