"""A person's body through time: BlazePose's landmarks of the last sights as one array, in torsos.

Landmarks (Bazarevsky et al., arXiv 2006.10204), the person's own left first: 11, 12 shoulders, 13, 14 elbows, 15, 16
wrists, 19, 20 index fingers, 23, 24 hips, 25, 26 knees, 27, 28 ankles, 0 nose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stream.entity import Sight
from stream.movement import against, in_sight, torsos
from stream.posture import SURE

LEFT, RIGHT = 0, 1
"""Sides, as offsets of landmarks."""
SHOULDER, ELBOW, WRIST, FINGER, HIP, KNEE, ANKLE, NOSE = 11, 13, 15, 19, 23, 25, 27, 0
_LEAST = 5
"""Sights of a body that make it believable: the network sees one now and then where there are only legs."""
Series = tuple[np.ndarray, np.ndarray]
"""Times [n] in seconds and values [n], of those sights in which all that is measured is seen."""


@dataclass(frozen=True, slots=True)
class Body:
    """t: [n] seconds. points: [n, 33, 2] pixels against the camera. seen: [n, 33] visibility in [0, 1]. torso: pixels,
    usual of these sights."""

    t: np.ndarray
    points: np.ndarray
    seen: np.ndarray
    torso: float

    def both(self, joint: int) -> np.ndarray:
        """[n, 2] middle of both sides."""
        return np.asarray((self.points[:, joint] + self.points[:, joint + 1]) / 2)

    def when(self, values: np.ndarray, *joints: int) -> Series:
        """The values [n] of those sights in which the joints are all seen."""
        good = (self.seen[:, joints] >= SURE).all(axis=1)
        return self.t[good], values[good]

    def height(self, joint: int) -> np.ndarray:
        """[n] torsos by which a joint is above the middle of the shoulders."""
        return np.asarray((self.both(SHOULDER)[:, 1] - self.points[:, joint, 1]) / self.torso)


def body_of(sights: list[Sight]) -> Body | None:
    """The body of some sights, None where it is seen in too few of them."""
    found = torsos(sights)
    if found is None or len(found[0]) < _LEAST:
        return None
    places, _, long = found
    camera = against(sights)
    marks = np.array([sights[i].landmarks for i in places])
    t = np.array([sights[i].pts_us for i in places], np.float64) / 1e6
    points = marks[:, :, :2] - camera[places][:, None]
    seen = np.array([in_sight(sights[i]) for i in places])
    return Body(t, points, seen, float(np.percentile(long, 75)))


def turns(values: np.ndarray, least: float) -> list[int]:
    """Places of the highs and lows of a row, taken in turn, each at least `least` away from the one before.

    Source: the zigzag of extremes with a threshold, as rain-flow counting uses it.
    """
    if not len(values):
        return []
    out: list[int] = []
    low = high = 0
    way = 0
    for i, v in enumerate(values):
        low, high = (i if v <= values[low] else low), (i if v >= values[high] else high)
        if way >= 0 and values[high] - v >= least:
            out.append(high)
            way, low, high = -1, i, i
        elif way <= 0 and v - values[low] >= least:
            out.append(low)
            way, low, high = 1, i, i
    return out


def last(series: Series, within_s: float, now_s: float) -> Sequence[float]:
    """The values of a series that are no older."""
    t, values = series
    return [float(v) for v in values[t >= now_s - within_s]]
