"""A timeline of readings: words of several channels (way, posture, left arm, ...), each held until another has lasted.

A channel says one thing at a time. What is read is *open* until something else has been read of the channel for a
while, or nothing for longer; an open word that lasted becomes an action, and a change from one word to another may be
an action of its own (`TURNS`: from standing to sitting: sits down).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec


class Reading(msgspec.Struct, frozen=True):
    """What a channel shows at a look. key: what tells it from other words of the channel. text: in the third person,
    empty for what goes without saying. since_us, until_us: from when on and until when, where that is known to be
    earlier. other: whom the text names."""

    channel: str
    key: str
    text: str
    since_us: int = -1
    until_us: int = -1
    other: int | None = None


class Open(msgspec.Struct):
    """A word that holds. `texts`: how often each was read of it. `read_us`: when anything last was of the channel.
    `rival`: what was read instead, since `rival_us`."""

    key: str
    texts: dict[str, int]
    start_us: int
    last_us: int
    segment: int
    read_us: int
    other: int | None = None
    rival: Reading | None = None
    rival_us: int = 0


@dataclass(frozen=True, slots=True)
class Span:
    """What was done, from when to when."""

    text: str
    start_us: int
    end_us: int
    segment: int
    other: int | None = None


@dataclass(frozen=True, slots=True)
class Channel:
    """hold_us: for how long another word must be read until it takes over. shortest_us: what lasts less is not told.
    stale_us: after so long without a reading the word is over."""

    hold_us: int = 330_000
    shortest_us: int = 500_000
    stale_us: int = 700_000


_CHANNELS = {
    "left leg": Channel(hold_us=0, shortest_us=100_000),
    "right leg": Channel(hold_us=0, shortest_us=100_000),
    "left arm": Channel(hold_us=150_000, shortest_us=700_000),
    "right arm": Channel(hold_us=150_000, shortest_us=700_000),
    "jump": Channel(shortest_us=200_000, stale_us=1_700_000),
    "wave": Channel(shortest_us=400_000, stale_us=1_000_000),
    "way": Channel(stale_us=400_000),
    "posture": Channel(hold_us=250_000, shortest_us=400_000),
    "facing": Channel(hold_us=500_000, shortest_us=1_000_000),
    "toward": Channel(hold_us=500_000),
    "hands": Channel(shortest_us=400_000, stale_us=1_000_000),
}
_PLAIN = Channel()


def _rules(channel: str) -> Channel:
    return _CHANNELS.get(channel, _PLAIN)


_STILL = "still"
TURNS = {
    ("posture", "standing", "sitting"): "sits down",
    ("posture", "bending", "sitting"): "sits down",
    ("posture", "sitting", "standing"): "stands up",
    ("posture", "crouching", "standing"): "stands up",
    ("posture", "lying", "standing"): "stands up",
    ("posture", "lying", "sitting"): "sits up",
    ("posture", "standing", "lying"): "lies down",
    ("posture", "sitting", "lying"): "lies down",
    ("posture", "bending", "standing"): "straightens up",
    ("left arm", "down", "up"): "raises the left arm",
    ("left arm", "up", "down"): "lowers the left arm",
    ("right arm", "down", "up"): "raises the right arm",
    ("right arm", "up", "down"): "lowers the right arm",
    ("facing", "away", "camera"): "turns to the camera",
    ("facing", "left", "camera"): "turns to the camera",
    ("facing", "right", "camera"): "turns to the camera",
    ("facing", "camera", "away"): "turns away from the camera",
    ("facing", "left", "away"): "turns away from the camera",
    ("facing", "right", "away"): "turns away from the camera",
    ("facing", "camera", "left"): "turns to the left",
    ("facing", "right", "left"): "turns to the left",
    ("facing", "away", "left"): "turns to the left",
    ("facing", "camera", "right"): "turns to the right",
    ("facing", "left", "right"): "turns to the right",
    ("facing", "away", "right"): "turns to the right",
    ("way", "left", "right"): "turns back to the right",
    ("way", "right", "left"): "turns back to the left",
    ("way", "left", _STILL): "stops",
    ("way", "right", _STILL): "stops",
    ("way", "nearer", _STILL): "stops",
    ("way", "farther", _STILL): "stops",
}
_TURN_US = 150_000
"""A change is told as lasting this long to either side at least."""
_SOON_US = 700_000
"""The longest that a change takes."""
_SETTLED_US = 500_000
"""For how long a word must have held that a change from it is told."""

Timeline = dict[str, Open]
"""The open words of one entity, by channel."""


def read(timeline: Timeline, readings: Iterable[Reading], pts_us: int, segment: int) -> list[Span]:
    """Take one look's readings in; what is over by it."""
    out: list[Span] = []
    for r in readings:
        rules = _rules(r.channel)
        now = timeline.get(r.channel)
        if now is not None and (now.segment != segment or _is_stale(now, rules, pts_us)):
            out += close(timeline, r.channel)
            now = None
        if now is not None:
            now.read_us = pts_us
        if now is None:
            timeline[r.channel] = _opened(r, pts_us, segment)
        elif r.key == now.key:
            now.last_us, now.rival = _until(r, pts_us), None
            now.texts[r.text] = now.texts.get(r.text, 0) + 1
        elif now.rival is None or now.rival.key != r.key:
            now.rival, now.rival_us = r, pts_us
            if rules.hold_us == 0:
                out += _change(timeline, r, pts_us, segment)
        elif pts_us - now.rival_us >= rules.hold_us:
            out += _change(timeline, r, pts_us, segment)
    for channel in [c for c, now in timeline.items() if _is_stale(now, _rules(c), pts_us)]:
        out += close(timeline, channel)
    return out


def _is_stale(now: Open, rules: Channel, pts_us: int) -> bool:
    """Nothing was read for a while, or for longer only what does not last."""
    return pts_us - now.read_us > rules.stale_us or pts_us - now.last_us > 3 * rules.stale_us


def close(timeline: Timeline, channel: str) -> list[Span]:
    """End a channel's open word: told if it lasted and has a text."""
    now = timeline.pop(channel, None)
    if now is None or now.last_us - now.start_us < _rules(channel).shortest_us:
        return []
    text = max(sorted(now.texts), key=lambda t: now.texts[t])
    return [Span(text, now.start_us, now.last_us, now.segment, now.other)] if text else []


def _change(timeline: Timeline, r: Reading, pts_us: int, segment: int) -> list[Span]:
    """One word gives way to another."""
    now = timeline[r.channel]
    begun_us = max(now.last_us, now.rival_us if r.since_us < 0 else min(r.since_us, now.rival_us))
    settled = now.last_us - now.start_us >= min(_SETTLED_US, 2 * _rules(r.channel).shortest_us)
    soon = begun_us - now.last_us <= _SOON_US
    turn = TURNS.get((r.channel, now.key, r.key)) if settled and soon else None
    last_us = now.last_us
    out = close(timeline, r.channel)
    timeline[r.channel] = _opened(r, pts_us, segment)
    timeline[r.channel].start_us = begun_us
    if turn is not None:
        start, end = min(last_us, begun_us - _TURN_US), max(begun_us, last_us + _TURN_US)
        out.append(Span(turn, max(0, start), min(end, pts_us), segment))
    return out


def _opened(r: Reading, pts_us: int, segment: int) -> Open:
    start_us = pts_us if r.since_us < 0 else min(pts_us, r.since_us)
    return Open(r.key, {r.text: 1}, start_us, _until(r, pts_us), segment, pts_us, r.other)


def _until(r: Reading, pts_us: int) -> int:
    return pts_us if r.until_us < 0 else min(pts_us, r.until_us)
