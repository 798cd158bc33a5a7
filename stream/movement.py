"""Where an entity goes: its velocity against the camera, measured over the last sights, in body lengths a second.

A person's is that of the middle of shoulders and hips, which a bow or a raised arm hardly moves; anything else's is
that of the slower one of two opposite borders of its box, so that a thing that only stretches does not move.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engines.crops import F32
from stream.entity import Sight
from stream.posture import SURE
from stream.timeline import Reading

WINDOW_US = 600_000
TORSOS = 3.0
"""Torsos (shoulders to hips) in the height of a person who stands."""
_TORSO = (11, 12, 23, 24)
_MARGIN = 0.08
"""Share of a box by which landmarks may lie outside of it."""
_FEET = 0.2
"""Share of the height's change by which the feet move at least when somebody comes or goes: who bends keeps them."""


@dataclass(frozen=True, slots=True)
class Motion:
    """x, y: middle in pixels now. length: of the body, in pixels. vx, vy: body lengths a second against the camera,
    right and down. growth: of its size, in shares a second, 0 where the feet do not go with it. stirs: body lengths by
    which its middle went to and fro. pan: body lengths a second by which the camera turned. steady: by how much it has
    come further, in shares of the way that it went for that: 1 straight on, 0 to and fro."""

    x: float
    y: float
    length: float
    vx: float
    vy: float
    growth: float
    stirs: float
    pan: float
    steady: float

    @property
    def by_camera(self) -> bool:
        """Whether it may be the camera's own motion: it turns, and this is not clearly faster."""
        return self.pan > PAN and self.speed < TRUST * self.pan

    @property
    def speed(self) -> float:
        return float(np.hypot(self.vx, self.vy))


def measure(category: str, sights: list[Sight]) -> Motion | None:
    """The motion of the newest 0.6 s of sights, None where they are too few to tell."""
    recent = [s for s in sights if sights[-1].pts_us - s.pts_us <= WINDOW_US]
    if len(recent) < 3 or recent[-1].pts_us - recent[0].pts_us < WINDOW_US // 2:
        return None
    t = np.array([s.pts_us for s in recent], np.float64) / 1e6
    camera = against(recent)
    boxes = np.array([(s.x, s.y, s.w, s.h) for s in recent])
    low = boxes[:, 1] + boxes[:, 3] / 2 - camera[:, 1]
    v_low, v_high = slope(t, low), slope(t, low - boxes[:, 3])
    vy = _slower(v_low, v_high)
    growth = _slower(slope(t, np.log(boxes[:, 2])), slope(t, np.log(boxes[:, 3])))
    x, y = float(boxes[-1, 0]), float(boxes[-1, 1])
    path = boxes[:, :2] - camera
    body = torsos(recent) if category == "person" else None
    if body is not None:
        places, middles, long = body
        length = TORSOS * float(np.percentile(long, 75))
        moved = middles - camera[places]
        path = moved
        vx = slope(t[places], moved[:, 0])
        vy = _slower(vy, slope(t[places], moved[:, 1]))
        growth = _slower(slope(t[places], np.log(long)), slope(t, np.log(boxes[:, 3])))
        x, y = float(middles[-1, 0]), float(middles[-1, 1])
    else:
        left = boxes[:, 0] - boxes[:, 2] / 2 - camera[:, 0]
        vx = _slower(slope(t, left), slope(t, left + boxes[:, 2]))
        height = float(np.median(boxes[:, 3]))
        length = height if category == "person" else float(np.sqrt(height * np.median(boxes[:, 2])))
    length = max(4.0, length)
    if abs(_slower(v_low, v_low - v_high)) < _FEET * abs(v_low - v_high):
        growth = 0.0
    stirs = float(np.ptp(path, axis=0).max()) / length
    pan = float(np.hypot(slope(t, camera[:, 0]), slope(t, camera[:, 1]))) / length
    return Motion(x, y, length, vx / length, vy / length, growth, stirs, pan, _steady(path))


def _steady(path: np.ndarray) -> float:
    """Net way by the way gone, of a path [n, 2], in steps of a few sights so that noise is no way."""
    marks = path[np.unique(np.linspace(0, len(path) - 1, min(len(path), 6)).round().astype(int))]
    gone = float(np.hypot(*np.diff(marks, axis=0).T).sum())
    return float(np.hypot(*(marks[-1] - marks[0]))) / gone if gone > 0 else 1.0


def torsos(sights: list[Sight]) -> tuple[np.ndarray, F32, F32] | None:
    """Of the sights whose shoulders and hips are seen: their places [n], middles [n, 2], lengths [n]; None under 3."""
    places = np.array(
        [i for i, s in enumerate(sights) if s.landmarks is not None and in_sight(s)[list(_TORSO)].min() >= SURE], int
    )
    if len(places) < 3:
        return None
    points = np.array([sights[i].landmarks[list(_TORSO), :2] for i in places])
    long = np.hypot(*(points[:, :2].mean(axis=1) - points[:, 2:].mean(axis=1)).T)
    if long.min() < 4:
        return None
    return places, points.mean(axis=1), long


def in_sight(s: Sight) -> F32:
    """Visibility [33] of its landmarks; 0 outside of its box, where the network guesses: beyond the frame's border."""
    marks = np.zeros((33, 3), np.float32) if s.landmarks is None else s.landmarks
    away = np.abs(marks[:, :2] - (s.x, s.y)) > np.array([s.w, s.h]) * (0.5 + _MARGIN)
    seen: F32 = np.where(away.any(axis=1), np.float32(0), marks[:, 2])
    return seen


def against(sights: list[Sight]) -> np.ndarray:
    """What the camera has moved the picture by since the first sight, pixels [n, 2]."""
    steps = np.array([(s.camera_x, s.camera_y) for s in sights], np.float64)
    steps[0] = 0
    return np.asarray(np.cumsum(steps, axis=0))


def slope(t: np.ndarray, values: np.ndarray) -> float:
    """Of the straight line through them by least squares, per second."""
    t = t - t.mean()
    square = float(t @ t)
    return float(t @ (values - values.mean())) / square if square > 0 else 0.0


def _slower(a: float, b: float) -> float:
    """The smaller of two that have one sign, else 0."""
    return 0.0 if a * b <= 0 else min(a, b, key=abs)


STILL, SLOW, FAST = 0.25, 0.5, 1.4
"""Body lengths a second under which somebody stays where he is, is slow, and over which he is fast."""
STIRS = 0.35
"""Body lengths by which the middle of who stays in place goes to and fro at most."""
STEADY = 0.7
"""Share of its way by which whoever goes somewhere comes further."""
GROWS = 0.25
"""Shares a second by which whoever comes nearer grows at least."""
RUN_PACE = 2.7
"""Steps a second of who runs."""
PAN, TRUST = 1.0, 1.5
"""Body lengths a second of the camera over which a motion that is not this much faster may be the camera's own: what is
far away moves with it otherwise than what is near."""


def way(m: Motion, *, person: bool, pace: float, riding: str, standing: bool) -> Reading | None:
    """The way it moves, as a reading; None where that cannot be told.

    pace: steps a second, 0 of who does not walk. riding: what a person sits on, empty for nothing.
    """
    if m.by_camera:
        return None
    if m.speed < STILL and abs(m.growth) < GROWS:
        if riding:
            return Reading("way", "riding", f"rides the {riding}")
        if m.stirs > STIRS:
            return None
        return Reading("way", "still", "stands still" if person and standing else "stays in place")
    runs = pace >= RUN_PACE and (m.speed >= SLOW or abs(m.growth) >= GROWS)
    verb = "rides" if riding else "runs" if runs else "walks" if pace > 0 else "moves"
    if m.speed < STILL or abs(m.growth) > 1.5 * m.speed:
        if m.growth > 0:
            return Reading("way", "nearer", f"{verb} toward the camera")
        return Reading("way", "farther", f"{verb} away from the camera")
    if m.steady < STEADY:
        return None
    how = "" if verb == "runs" else " slowly" if m.speed < SLOW else " fast" if m.speed > FAST else ""
    if abs(m.vx) >= 0.7 * abs(m.vy):
        to = "right" if m.vx > 0 else "left"
        return Reading("way", to, f"{verb}{how} to the {to}")
    if person:  # who is on the ground goes up or down by posture, or by the camera
        return None
    up = "down" if m.vy > 0 else "up"
    return Reading("way", up, f"moves{how} {up}")
