"""Video transcriber: the action timeline, measured from boxes and landmarks.

Per entity one open action at a time (stays, moves left, jumps, …) with hysteresis: another must hold for a while
before the first is closed, and an action shorter than `shortest_us` is not told. Speeds are in body heights a second.
"""

from __future__ import annotations

import msgspec
import numpy as np

from stream.entity import Entity, Sight
from stream.events import Action, Body

WINDOW_US = 600_000
_KEEP_US = 1_600_000
SOURCE = "measured"


class Open(msgspec.Struct):
    """The action an entity is at. `rival` is what it seems to do instead, since `rival_us`."""

    text: str
    start_us: int
    last_us: int
    segment: int
    rival: str = ""
    rival_us: int = 0


class TranscribeState(msgspec.Struct):
    open: dict[int, Open] = msgspec.field(default_factory=dict)


class Transcriber:
    """`step` on every look closes what has ended; `close` ends an entity's timeline (exit, segment end, feed end)."""

    def __init__(self, *, hold_us: int = 330_000, shortest_us: int = 500_000) -> None:
        self._hold_us, self._shortest_us = hold_us, shortest_us

    def step(self, state: TranscribeState, e: Entity, pts_us: int, segment: int) -> list[Body]:
        """One look at a visible entity whose `sights` are up to date."""
        e.sights = [s for s in e.sights if pts_us - s.pts_us <= _KEEP_US]
        text = action_of(e.category, [s for s in e.sights if pts_us - s.pts_us <= _KEEP_US])
        if not text:
            return []
        now = state.open.get(e.id)
        if now is None or now.segment != segment:
            events = self.close(state, e.id) if now is not None else []
            state.open[e.id] = Open(text, pts_us, pts_us, segment)
            return events
        if text == now.text:
            now.last_us, now.rival = pts_us, ""
            return []
        if text != now.rival:
            now.rival, now.rival_us = text, pts_us
            return []
        if pts_us - now.rival_us < self._hold_us:
            return []
        started = now.rival_us
        now.last_us = started
        events = self.close(state, e.id)
        state.open[e.id] = Open(text, started, pts_us, segment)
        return events

    def close(self, state: TranscribeState, entity: int) -> list[Body]:
        """End the open action of an entity; too short a one is dropped."""
        now = state.open.pop(entity, None)
        if now is None or now.last_us - now.start_us < self._shortest_us:
            return []
        return [
            Action(
                entity=entity, segment=now.segment, start_us=now.start_us, end_us=now.last_us, text=now.text,
                source=SOURCE,
            )
        ]  # fmt: skip


def action_of(category: str, sights: list[Sight]) -> str:
    """What the last sights show, in words; empty where they span too little time to tell."""
    if len(sights) < 4 or sights[-1].pts_us - sights[0].pts_us < WINDOW_US // 2:
        return ""
    recent = [s for s in sights if sights[-1].pts_us - s.pts_us <= WINDOW_US]
    if len(recent) < 3:
        return ""
    seconds = (recent[-1].pts_us - recent[0].pts_us) / 1e6
    high = float(np.median([s.h for s in recent]))
    cx = sum(s.camera_x for s in recent[1:])
    cy = sum(s.camera_y for s in recent[1:])
    dx = (recent[-1].x - recent[0].x - cx) / high / seconds
    dy = (recent[-1].y - recent[0].y - cy) / high / seconds
    growth = (recent[-1].h / max(1.0, recent[0].h) - 1) / seconds
    if category == "person" and _jumps(sights):
        return "jumps"
    if abs(dx) < 0.25 and abs(dy) < 0.25:
        if abs(growth) > 0.35:
            return "comes nearer" if growth > 0 else "goes away from the camera"
        return "stays in place"
    if abs(dx) >= 0.7 * abs(dy):
        verb = "runs" if category == "person" and abs(dx) > 1.4 else "moves"
        return f"{verb} to the {'right' if dx > 0 else 'left'}"
    return "moves up" if dy < 0 else "moves down"


def _jumps(sights: list[Sight]) -> bool:
    """The whole body, hips and ankles together, goes up and down again by a tenth of its height within 1.6 s."""
    bodies = [s for s in sights if s.landmarks is not None]
    if len(bodies) < 8:
        return False
    points = np.array([s.landmarks for s in bodies])
    high = float(np.median([s.h for s in bodies]))
    camera = np.cumsum([s.camera_y for s in bodies])
    hips = (points[:, [23, 24], 1].mean(axis=1) - camera) / high
    ankles = (points[:, [27, 28], 1].max(axis=1) - camera) / high
    swing = min(float(np.ptp(hips)), float(np.ptp(ankles)))
    turns = np.diff(np.sign(np.diff(_smooth(hips))))
    together = float(np.corrcoef(hips, ankles)[0, 1]) if np.ptp(ankles) > 1e-6 and np.ptp(hips) > 1e-6 else 0.0
    return swing > 0.1 and together > 0.5 and int(np.count_nonzero(turns)) >= 2


def _smooth(values: np.ndarray) -> np.ndarray:
    return np.convolve(values, np.ones(3) / 3, mode="valid")
