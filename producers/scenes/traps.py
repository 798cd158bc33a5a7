"""Scenes in which a follower of sampled frames goes wrong: who comes and goes, and is easily taken for another.

Times in seconds are fixed where they are what is tested; the scene's length then says how long somebody is away.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from producers.scenes.scripts import BLUE, GREEN, RED, YELLOW, Path, Route, Shot, looks, person


def _at(seconds: float, *knots: tuple[float, float]) -> Path:
    """(second, x) knots as shares of the scene's length."""
    return tuple((min(1.0, t / seconds), x) for t, x in knots)


def in_turn(seconds: float, seed: int) -> tuple[Shot, ...]:
    """Two people, never in the picture together: one crosses and is gone before the other comes."""
    red, _, blue, _ = looks(seed)
    first = Route(((0, 0.2), (0.4, 1.2), (1, 1.2)), 0.94, seconds)
    second = Route(((0, -0.2), (0.55, -0.2), (0.9, 0.6), (1, 0.62)), 0.94, seconds)
    return (Shot(0, "room", (person(1, RED, red, first), person(2, BLUE, blue, second))),)


def brief_visit(seconds: float, seed: int) -> tuple[Shot, ...]:
    """One person stays. After 70 % of the time another looks in at the right for two seconds."""
    _, green, blue, _ = looks(seed)
    at = 0.7 * seconds
    stay = Route(((0, 0.3), (0.5, 0.4), (1, 0.28)), 0.95, seconds)
    way = _at(seconds, (0, 1.2), (at, 1.2), (at + 0.9, 0.86), (at + 1.4, 0.86), (at + 2.3, 1.2), (seconds, 1.2))
    visit = Route(way, 0.93, seconds)
    return (Shot(0, "room", (person(1, BLUE, blue, stay), person(2, GREEN, green, visit))),)


def long_exit(seconds: float, seed: int) -> tuple[Shot, ...]:
    """A person leaves after 4 s and is back for the last 4 s; nobody else is there."""
    *_, yellow = looks(seed)
    return (Shot(0, "room", (person(1, YELLOW, yellow, _out_and_back(seconds)),)),)


def look_alike(seconds: float, seed: int) -> tuple[Shot, ...]:
    """The same, while another in the same clothes stands at the left all along."""
    red, *_ = looks(seed)
    stay = Route(((0, 0.20), (0.5, 0.24), (1, 0.18)), 0.92, seconds)
    twin = person(2, "the other person in the red striped shirt", replace(red, seed=seed + 50), stay, height=0.58)
    return (Shot(0, "room", (person(1, RED, red, _out_and_back(seconds)), twin)),)


def same_layout(seconds: float, seed: int) -> tuple[Shot, ...]:
    """A cut to another room in which somebody else stands and walks in the very same place."""
    red, _, blue, _ = looks(seed)
    way = Route(((0, 0.40), (0.5, 0.52), (1, 0.62)), 0.95, seconds)
    return (
        Shot(0, "room", (person(1, RED, red, way),)),
        Shot(0.5, "street", (person(2, BLUE, blue, way),)),
    )


def _out_and_back(seconds: float) -> Route:
    away, back = 4.0, seconds - 4.0
    way = _at(seconds, (0, 0.6), (2.2, 0.7), (away, 1.2), (back, 1.2), (back + 1.6, 0.7), (seconds, 0.6))
    return Route(way, 0.94, seconds)


TRAPS: dict[str, Callable[[float, int], tuple[Shot, ...]]] = {
    "in-turn": in_turn,
    "brief-visit": brief_visit,
    "long-exit": long_exit,
    "look-alike": look_alike,
    "same-layout": same_layout,
}
