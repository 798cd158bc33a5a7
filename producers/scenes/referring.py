"""Referring scenes written by a seed: several actors mostly of one category, who leave, come back, come late, pass
in front of each other and behind pillars, before a camera that may pan or zoom. Each has expressions true of it alone.

The plot is `PLOTS[seed % len(PLOTS)]`, so that any run of seeds holds all plots alike; all else is drawn from the seed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from producers.scenes import ways
from producers.scenes.camera import Camera
from producers.scenes.scripts import Actor, Route, Shot, car, person, pillar
from producers.scenes.wardrobe import Dressed, car_colours, dress
from producers.scenes.ways import Knots, Way

PLOTS = (
    "re-entry", "late-entry", "crossing", "pillar", "pan", "cut", "crowd", "exit", "cars", "zoom",
)  # fmt: skip


def plot_of(seed: int) -> str:
    return PLOTS[seed % len(PLOTS)]


def referring(seconds: float, seed: int) -> tuple[Shot, ...]:
    """The scene of a seed."""
    return _Script(seconds, seed).shots()


class _Script:
    """One scene being written; `rng` is drawn from in a fixed order."""

    def __init__(self, seconds: float, seed: int) -> None:
        self.seconds, self.seed, self.plot = seconds, seed, plot_of(seed)
        self.rng = np.random.default_rng((seed, 4711))

    def shots(self) -> tuple[Shot, ...]:
        write: dict[str, Callable[[], tuple[Shot, ...]]] = {
            "re-entry": partial(self._people, 3, 4, [ways.returns, ways.crosses_and_returns]),
            "late-entry": partial(self._people, 3, 4, [ways.comes_late, ways.comes_late]),
            "crossing": partial(self._people, 3, 4, [ways.crosses, ways.crosses]),
            "pillar": partial(self._people, 2, 3, [ways.passes], pillars=True),
            "pan": partial(self._people, 2, 4, [ways.returns], camera="pan"),
            "cut": self._cut,
            "crowd": partial(self._people, 6, 8, [ways.returns, ways.comes_late, ways.leaves]),
            "exit": partial(self._people, 3, 5, [ways.leaves, ways.returns]),
            "cars": self._cars,
            "zoom": partial(self._people, 2, 4, [ways.comes_late, ways.crosses], camera="zoom"),
        }
        return write[self.plot]()

    # who does what

    def _people(
        self,
        least: int,
        most: int,
        busy: Sequence[Way],
        *,
        camera: str = "",
        pillars: bool = False,
    ) -> tuple[Shot, ...]:
        n = int(self.rng.integers(least, most + 1))
        places = ways.homes(self.rng, n, free=0.5 if pillars else None)
        paths: list[Knots] = [(busy[i] if i < len(busy) else ways.stays)(self.rng, places[i]) for i in range(n)]
        paths = [paths[i] for i in self.rng.permutation(n)]
        wide = 1.5 if camera else 1.0
        tall = (0.46 if n > 5 else 0.56) / wide * (1.15 if camera else 1.0)
        dressed = dress(self.rng, n, paths if not camera else None)
        actors = self._cast(dressed, paths, tall, wide)
        if self.plot in ("late-entry", "pan") and self.rng.random() < 0.7:
            actors += (self._passing_car(n + 1, wide),)
        backdrop = "street" if any(a.category == "car" for a in actors) else str(self.rng.choice(["room", "street"]))
        posts = ((0.925, partial(pillar, at=0.5, radius=0.085)),) if pillars else ()
        return (Shot(0, backdrop, actors, posts, self._camera(camera, wide) if camera else None),)

    def _cast(self, dressed: Sequence[Dressed], paths: Sequence[Knots], tall: float, wide: float) -> tuple[Actor, ...]:
        """People on lanes of their own, nearer ones lower in the frame and a little taller."""
        lanes = self.rng.permutation(np.linspace(0.84, 0.97, max(2, len(paths)))[: len(paths)])
        actors = []
        for i, (who, way, lane) in enumerate(zip(dressed, paths, lanes, strict=True)):
            y = 0.5 + (float(lane) - 0.5) * (1.0 if wide == 1.0 else 0.8)
            height = tall * who.stature * (0.92 + 0.6 * (float(lane) - 0.84))
            route = Route(way, y, self.seconds)
            actors.append(
                person(i + 1, who.expressions[0], who.look, route, height=height, expressions=who.expressions)
            )
        return tuple(actors)

    def _cut(self) -> tuple[Shot, ...]:
        """Two shots of different places; one person of the first is in the second too."""
        n = int(self.rng.integers(3, 5))
        places = ways.homes(self.rng, n)
        paths = [ways.stays(self.rng, x) for x in places]
        dressed = dress(self.rng, n, None)
        cast = self._cast(dressed, paths, 0.56, 1.0)
        moved = person(
            1, cast[0].description, dressed[0].look, Route(ways.stays(self.rng, 0.3), 0.93, self.seconds), height=0.56,
            expressions=cast[0].expressions,
        )  # fmt: skip
        half = max(2, n // 2)
        at = float(self.rng.uniform(0.4, 0.6))
        return Shot(0, "room", cast[:half]), Shot(at, "street", (moved, *cast[half:]))

    def _cars(self) -> tuple[Shot, ...]:
        n = int(self.rng.integers(3, 5))
        colours = car_colours(self.rng, n)
        lanes = np.linspace(0.74, 0.96, n)
        actors = []
        for i, (name, rgb) in enumerate(colours):
            left = bool(self.rng.integers(2))
            way: Knots = ((0, 0.25), (0.9, 0.75), (1, 0.75))  # crosses
            if i == 0:  # drives out and backs in again
                way = ((0, 0.6), (0.05, 0.6), (0.32, 1.35), (0.55, 1.35), (0.85, 0.7), (1, 0.66))
            elif i == 1:  # comes late
                way = ((0, -0.35), (0.3, -0.35), (0.7, 0.42), (1, 0.5))
            elif i == 2:
                way = ((0, 0.35), (1, 0.3))
            way = tuple((t, x if not left else 1 - x) for t, x in way)
            route = Route(way, float(lanes[i]), self.seconds)
            words = f"the {name} car"
            actors.append(
                car(
                    i + 1, words, rgb, route, length=float(self.rng.uniform(0.27, 0.33)), seed=self.seed * 8 + i,
                    faces_left=left, expressions=(words,),
                )
            )  # fmt: skip
        return (Shot(0, "street", tuple(actors)),)

    def _passing_car(self, entity: int, wide: float) -> Actor:
        (name, rgb), *_ = car_colours(self.rng, 1)
        route = Route(((0, 1.4), (0.35, 1.4), (0.8, 0.5), (1, 0.3)), 0.5 + 0.26 / wide, self.seconds)
        words = f"the {name} car"
        return car(entity, words, rgb, route, length=0.40 / wide, seed=self.seed, faces_left=True, expressions=(words,))

    def _camera(self, kind: str, wide: float) -> Camera:
        """A pan over part of the world, or a slow zoom; both see all homes for most of the time."""
        if kind == "pan":
            a, b = (0.42, 0.58) if self.rng.random() < 0.5 else (0.58, 0.42)
            return Camera(wide, ((0, a, 0.62, 0.8), (0.15, a, 0.62, 0.8), (0.85, b, 0.62, 0.8), (1, b, 0.62, 0.8)))
        a, b = (0.72, 0.95) if self.rng.random() < 0.5 else (0.95, 0.72)
        return Camera(wide, ((0, 0.5, 0.66, a), (0.2, 0.5, 0.66, a), (0.8, 0.5, 0.66, b), (1, 0.5, 0.66, b)))
