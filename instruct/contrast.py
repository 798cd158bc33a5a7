"""Which actions cannot go on together: what a question may deny. The generators' half; `facts` has its own.

An action says something of some axes (which way across the picture, sitting or standing, ...). Two clash where they
say different things of one axis. Actions of unknown wording (a model's sentences) clash with nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from instruct.clip import Act, Track

_GOES = re.compile(r"(?P<verb>moves|walks|runs|rides)(?: slowly| fast)? (?P<to>to the left|to the right|up|down|"
                   r"toward the camera|away from the camera)$")  # fmt: skip
_AXES = {
    "to the left": ("across", "left"), "to the right": ("across", "right"), "up": ("upward", "up"),
    "down": ("upward", "down"), "toward the camera": ("depth", "near"), "away from the camera": ("depth", "far"),
}  # fmt: skip
_STILL = {"across": "still", "upward": "still", "depth": "still"}
_WHOLE: dict[str, dict[str, str]] = {
    "stays in place": _STILL,
    "stands still": {**_STILL, "posture": "upright"},
    "sits": {"posture": "sitting"},
    "crouches": {"posture": "crouching"},
    "lies": {"posture": "lying"},
    "jumps": {"posture": "in the air"},
    "faces the camera": {"facing": "camera"},
    "faces away from the camera": {"facing": "away"},
    "faces the left": {"facing": "left"},
    "faces the right": {"facing": "right"},
}
_GAITS = {"walks": "upright", "runs": "upright"}


@lru_cache(maxsize=1024)
def axes(text: str) -> dict[str, str]:
    """What an action says of each axis; empty where its wording is not known."""
    if text in _WHOLE:
        return _WHOLE[text]
    match = _GOES.match(text)
    if match is None:
        return {}
    axis, value = _AXES[match["to"]]
    said = {axis: value}
    if match["verb"] in _GAITS:
        said |= {"posture": _GAITS[match["verb"]], "gait": match["verb"]}
    return said


@lru_cache(maxsize=1024)
def goes(text: str) -> bool:
    """Whether an action is a way that somebody takes."""
    return _GOES.match(text) is not None


@lru_cache(maxsize=4096)
def clash(a: str, b: str) -> bool:
    """Whether one of two actions denies the other."""
    one, two = axes(a), axes(b)
    return any(one[axis] != two[axis] for axis in one.keys() & two.keys())


@lru_cache(maxsize=4096)
def says_the_same(a: str, b: str) -> bool:
    """Whether two different wordings may be of one action: moves to the left, walks slowly to the left."""
    one, two = axes(a), axes(b)
    ways = {"across", "upward", "depth"}
    return a != b and any(one[axis] == two[axis] for axis in one.keys() & two.keys() & ways)


def told_apart(text: str, acts: Iterable[Act]) -> bool:
    """Whether no other wording among an entity's actions may be of the same."""
    return not any(says_the_same(text, a.text) for a in acts)


def settled(t: Track, start_us: int, end_us: int, margin_us: int = 500_000) -> bool:
    """Whether an entity begins and ends nothing around a time: what goes on all through it is all that it does."""
    low, high = start_us - margin_us, end_us + margin_us
    for a in t.acts:
        if a.start_us < high and low < a.end_us and not (a.start_us <= low and high <= a.end_us):
            return False
    return True


def telling(acts: Iterable[Act], most: int) -> list[Act]:
    """The actions most worth telling, in order of time: what is of another or short before what goes on all along,
    the way somebody faces last."""
    ranked = sorted(acts, key=lambda a: (a.text.startswith("faces"), a.other is None, a.end_us - a.start_us, a.text))
    return sorted(ranked[:most], key=lambda a: (a.start_us, a.end_us, a.text))
