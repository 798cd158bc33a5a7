"""Hand-made bodies: 33 landmarks of a person 300 pixels high, posed by a few numbers, and sights of them in time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from stream.entity import Sight

TORSO, STEP_US = 100.0, 66_667
Where = tuple[float, float]


@dataclass(frozen=True)
class Pose:
    """Lengths in torsos, y down. at: middle of the hips in pixels. hands, feet: from the shoulder, from the hip.
    wide: shoulders, left minus right, as somebody who faces the camera has them. lean: of the shoulders from the hips.
    """

    at: Where = (400, 300)
    left_hand: Where = (0.1, 0.9)
    right_hand: Where = (-0.1, 0.9)
    left_foot: Where = (0.1, 1.45)
    right_foot: Where = (-0.1, 1.45)
    left_knee: Where | None = None
    right_knee: Where | None = None
    wide: float = 0.65
    nose: float = 0.0
    lean: Where = (0.0, -1.0)
    scale: float = 1.0

    def landmarks(self) -> np.ndarray:
        k, hip = TORSO * self.scale, np.array(self.at)
        marks = np.zeros((33, 3), np.float32)
        marks[:, 2] = 1
        marks[:, :2] = hip
        middle = hip + k * np.array(self.lean)
        for side, sign in ((0, 0.5), (1, -0.5)):
            shoulder = middle + np.array((k * sign * self.wide, 0))
            joint = hip + np.array((k * sign * 0.4 * np.sign(self.wide or 1), 0))
            hand = shoulder + k * np.array((self.left_hand, self.right_hand)[side])
            foot = joint + k * np.array((self.left_foot, self.right_foot)[side])
            knee = (self.left_knee, self.right_knee)[side]
            marks[11 + side, :2] = shoulder
            marks[13 + side, :2] = (shoulder + hand) / 2
            marks[15 + side, :2] = marks[19 + side, :2] = hand
            marks[23 + side, :2] = joint
            marks[25 + side, :2] = (joint + foot) / 2 if knee is None else joint + k * np.array(knee)
            marks[27 + side, :2] = foot
        marks[0, :2] = middle + k * np.array((self.nose, -0.5))
        return marks


STANDING = Pose()
Play = Callable[[float], Pose]


def still(**changes: object) -> Play:
    pose = replace(STANDING, **changes)  # type: ignore[arg-type]
    return lambda t: pose


def sights(play: Play, seconds: float = 1.6, camera: Where = (0, 0), start_s: float = 0.0) -> list[Sight]:
    """What is seen of a body that moves as `play` says (seconds -> pose). camera: pixels a frame."""
    made = []
    for i in range(round(seconds * 1e6 / STEP_US)):
        t = start_s + i * STEP_US / 1e6
        marks = play(t).landmarks()
        low, high = marks[:, :2].min(axis=0) - 20, marks[:, :2].max(axis=0) + 20
        x, y = (low + high) / 2
        w, h = high - low
        made.append(Sight(round(t * 1e6), float(x), float(y), float(w), float(h), *camera, marks))
    return made
