"""Pairs of random but fixed clips, with the events they rest on: what a rewriter is given in tests."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from random import Random
from typing import NamedTuple

from instruct.clip import Window
from instruct.facts import Facts
from instruct.make import Tally, pairs_of
from instruct.pair import Pair, Unit
from stream.events import Event
from tests.instruct.streams import ACTIONS, SIZE, Actor, Told, _bodies
from tests.instruct.test_truth import KEEP_ALL, clips

_WHO = ("the person in a white top", "the brown dog", "the cat")


class Given(NamedTuple):
    pair: Pair
    facts: Facts


@lru_cache(maxsize=1)
def windows(streams: int = 14) -> tuple[Window, ...]:
    """Clips in which two or three entities come, act and go."""
    out: list[Window] = []
    for seed in range(streams):
        rng = Random(seed)
        actors = [_actor(i + 1, who, rng) for i, who in enumerate(_WHO[: 2 + seed % 2])]
        if seed == 1:  # two who never meet
            there: list[tuple[int, int, int, int] | None] = [(4, 4, 12, 12)] * 60
            actors[0].boxes, actors[0].doing = there + [None] * 90, ["jumps"] * 60 + [""] * 90
            actors[1].boxes, actors[1].doing = [None] * 90 + there, [""] * 90 + ["stays in place"] * 60
        told = Told(150, actors, [60] if seed % 3 == 0 else [])
        told.events = [Event("feed", seed, n, body) for n, body in enumerate(_bodies(told, 20))]
        out += clips(told, 15_000_000)
    return tuple(out)


def units(window: Window, seed: int = 0) -> list[Unit]:
    return pairs_of(window, replace(KEEP_ALL, seed=seed), Tally())


@lru_cache(maxsize=1)
def pool() -> tuple[Given, ...]:
    """All pairs of all clips, drawn with a few seeds, so that every template is among them."""
    return tuple(
        Given(p, facts)
        for w in windows()
        for facts in [Facts(w.events, w.start_us, w.end_us, w.size[1])]
        for seed in range(4)
        for unit in units(w, seed)
        for p in unit
    )


def _actor(entity: int, expression: str, rng: Random) -> Actor:
    category = next(c for c in ("person", "dog", "cat") if c in expression)
    boxes: list[tuple[int, int, int, int] | None] = [None] * (rng.choice((0, 0, 8, 15)) * entity)
    doing = [""] * len(boxes)
    x, y, w, h = rng.randrange(SIZE[1] - 9), rng.randrange(SIZE[0] - 9), rng.randint(3, 8), rng.randint(3, 8)
    while len(boxes) < 150:
        n, there, act = rng.randint(25, 70), rng.random() < 0.75, rng.choice(("", *ACTIONS))
        boxes += [(x, y, x + w, y + h) if there else None] * n
        doing += [act if there else ""] * n
    return Actor(entity, category, expression, boxes[:150], doing[:150])
