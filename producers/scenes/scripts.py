"""What happens in each scene: who is where at which time. Times and places are shares of the whole (0..1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from producers.scenes.camera import Camera
from producers.scenes.car import car_sprite, place
from producers.scenes.person import Look, Pose, draw_person
from producers.scenes.shapes import F32, Colour, Patch, capsule, checks, cloth, plain, stripes

Size = tuple[int, int]
Path = tuple[tuple[float, float], ...]
"""(time, x) knots, both shares; straight between them."""
BLUR_S = 0.35
"""Turning round and stopping take about this long."""


@dataclass(frozen=True, slots=True)
class Route:
    """A way along the ground line `y` (share of the height, where the feet or wheels are)."""

    path: Path
    y: float
    seconds: float

    def x(self, t: float) -> float:
        """Share of the width at `t` seconds, corners rounded."""
        times, places = np.array(self.path).T
        return float(np.interp(t + np.linspace(-BLUR_S / 2, BLUR_S / 2, 7), times * self.seconds, places).mean())

    def travelled(self, t: float) -> float:
        """Way gone by `t` seconds, shares of the width, turning round included."""
        times, places = np.array(self.path).T
        gone = np.concatenate(([0.0], np.abs(np.diff(places)).cumsum()))
        return float(np.interp(t + np.linspace(-BLUR_S / 2, BLUR_S / 2, 7), times * self.seconds, gone).mean())

    def speed(self, t: float) -> float:
        """Shares of the width a second, signed."""
        return (self.x(t + 0.05) - self.x(t - 0.05)) / 0.1


@dataclass(frozen=True, slots=True)
class Actor:
    """An entity of the scene: what it is, and how to draw it at a time (None: not in the picture)."""

    entity: int
    category: str
    description: str
    depth: float
    """Greater is nearer: it hides what is farther."""
    draw: Callable[[float, Size], Patch | None]
    expressions: tuple[str, ...] = ()
    """Referring expressions that are true of this entity and of no other of the scene; () for the description alone."""


@dataclass(frozen=True, slots=True)
class Shot:
    """A piece of the scene between two cuts."""

    start: float
    """Share of the scene's length at which it begins."""
    backdrop: str | Callable[[Size], F32]
    """"room", "street", or what draws [H, W, 3] 0..255 of a size."""
    actors: tuple[Actor, ...]
    occluders: tuple[tuple[float, Callable[[Size], Patch]], ...] = ()
    """(depth, drawing) of static foreground that is no entity."""
    camera: Camera | None = None
    """What moves over the world; None: the world is the frame. Everything is drawn in the world's size."""


def person(
    entity: int, words: str, look: Look, route: Route, *, height: float = 0.60, expressions: tuple[str, ...] = ()
) -> Actor:
    def draw(t: float, size: Size) -> Patch | None:
        width, tall = size[0], size[1] * height
        speed = route.speed(t) * width / tall  # body heights a second
        phase = route.travelled(t) * width / tall / 0.43 * np.pi
        pose = Pose(
            x=route.x(t) * width,
            y=route.y * size[1],
            height=tall,
            facing=float(np.clip(speed / 0.25, -1, 1)),
            phase=phase,
            stride=float(np.clip(abs(speed) / 0.5, 0, 1)),
        )
        return draw_person(look, pose, size)

    return Actor(entity, "person", words, route.y, draw, expressions)


def car(
    entity: int,
    words: str,
    colour: Colour,
    route: Route,
    *,
    length: float,
    seed: int,
    faces_left: bool,
    expressions: tuple[str, ...] = (),
) -> Actor:
    sprites: dict[Size, tuple[F32, F32]] = {}

    def draw(t: float, size: Size) -> Patch | None:
        if size not in sprites:
            sprites[size] = car_sprite(colour, int(length * size[0]), seed)
        return place(sprites[size], route.x(t) * size[0], route.y * size[1], mirrored=not faces_left, size=size)

    return Actor(entity, "car", words, route.y, draw, expressions)


def pillar(size: Size, *, at: float = 0.5, radius: float = 0.105) -> Patch:
    """A stone pillar from the ceiling to the floor, its middle and radius in shares of the width."""
    width, height = size
    patch = Patch.empty(0, 0, width, height)
    x, radius = at * width, radius * width
    capsule(patch, (x, -2 * radius), (x, 0.93 * height), (radius, radius), (176, 168, 150), cloth(5, 6.0, 0.12))
    patch.rgb[int(0.94 * height) :], patch.alpha[int(0.94 * height) :] = 0, 0
    return patch


SKIN = ((214, 164, 132), (150, 104, 76), (232, 190, 160), (112, 76, 54))
HAIR = ((58, 38, 24), (26, 22, 20), (176, 130, 70), (96, 56, 32))


def looks(seed: int) -> tuple[Look, ...]:
    """Four differently clothed people; the seed changes skin, hair and the cloth's grain, not what is worn."""
    k = seed % 4
    mix = [(SKIN[(i + k) % 4], HAIR[(i + k) % 4]) for i in range(4)]
    return (
        Look((188, 40, 44), (46, 58, 96), *mix[0], pattern=stripes(9), seed=seed + 10),
        Look((58, 122, 70), (168, 146, 112), *mix[1], pattern=plain, long_hair=True, seed=seed + 20),
        Look((60, 90, 180), (40, 40, 46), *mix[2], pattern=checks(12), seed=seed + 30),
        Look((226, 190, 70), (90, 92, 98), *mix[3], pattern=plain, long_hair=True, seed=seed + 40),
    )


RED, GREEN = "the person in the red striped shirt", "the person with long hair in the green shirt"
BLUE, YELLOW = "the person in the blue checked shirt", "the person with long hair in the yellow shirt"


def two_people(seconds: float, seed: int) -> tuple[Shot, ...]:
    """Two people walk past each other, turn round and pass again; the red one is always in front."""
    red, green, *_ = looks(seed)
    there = Route(((0, 0.18), (0.44, 0.82), (0.56, 0.82), (1, 0.20)), 0.95, seconds)
    back = Route(((0, 0.82), (0.44, 0.18), (0.56, 0.18), (1, 0.80)), 0.90, seconds)
    return (Shot(0, "room", (person(1, RED, red, there), person(2, GREEN, green, back, height=0.56))),)


def exit_reentry(seconds: float, seed: int) -> tuple[Shot, ...]:
    """One person leaves at the right and comes back; another stays."""
    red, green, *_ = looks(seed)
    out = Route(((0, 0.48), (0.30, 1.20), (0.55, 1.20), (0.80, 0.62), (1, 0.50)), 0.94, seconds)
    stay = Route(((0, 0.20), (0.4, 0.28), (0.7, 0.17), (1, 0.24)), 0.90, seconds)
    return (Shot(0, "room", (person(1, RED, red, out), person(2, GREEN, green, stay, height=0.57))),)


def late_entry(seconds: float, seed: int) -> tuple[Shot, ...]:
    """One person from the start, a second from 0.35 on, a car from 0.6 on."""
    _, green, blue, _ = looks(seed)
    first = Route(((0, 0.70), (0.5, 0.84), (1, 0.66)), 0.95, seconds)
    second = Route(((0, -0.15), (0.35, -0.15), (0.75, 0.36), (1, 0.30)), 0.93, seconds)
    drive = Route(((0, 1.35), (0.6, 1.35), (0.95, 0.45), (1, 0.45)), 0.80, seconds)
    silver = car(3, "the silver car", (176, 182, 188), drive, length=0.52, seed=seed, faces_left=True)
    return (Shot(0, "street", (person(1, BLUE, blue, first), person(2, GREEN, green, second), silver)),)


def cut(seconds: float, seed: int) -> tuple[Shot, ...]:
    """Half-way the picture cuts from two people in a room to a third person and a car in the street."""
    red, green, blue, _ = looks(seed)
    a = Route(((0, 0.25), (0.5, 0.45), (1, 0.5)), 0.95, seconds)
    b = Route(((0, 0.75), (0.5, 0.68), (1, 0.6)), 0.92, seconds)
    c = Route(((0, 0.2), (0.5, 0.2), (1, 0.42)), 0.95, seconds)
    drive = Route(((0, 0.9), (0.5, 0.9), (1, 0.66)), 0.82, seconds)
    orange = car(4, "the orange car", (206, 110, 40), drive, length=0.5, seed=seed, faces_left=True)
    return (
        Shot(0, "room", (person(1, RED, red, a), person(2, GREEN, green, b))),
        Shot(0.5, "street", (person(3, BLUE, blue, c), orange)),
    )


def crossing_objects(seconds: float, seed: int) -> tuple[Shot, ...]:
    """Two cars pass each other; the blue one is in front."""
    right = Route(((0, 0.22), (0.1, 0.22), (0.9, 0.78), (1, 0.78)), 0.92, seconds)
    left = Route(((0, 0.78), (0.1, 0.78), (0.9, 0.22), (1, 0.22)), 0.80, seconds)
    blue = car(1, "the blue car", (40, 84, 170), right, length=0.38, seed=seed, faces_left=False)
    orange = car(2, "the orange car", (206, 110, 40), left, length=0.36, seed=seed + 1, faces_left=True)
    return (Shot(0, "street", (blue, orange)),)


def behind_pillar(seconds: float, seed: int) -> tuple[Shot, ...]:
    """A person goes behind a pillar, is wholly hidden, comes out again, and does so once more on the way back."""
    *_, blue, yellow = looks(seed)
    way = Route(((0, 0.20), (0.42, 0.82), (0.55, 0.82), (1, 0.20)), 0.91, seconds)
    stay = Route(((0, 0.13), (0.5, 0.10), (1, 0.14)), 0.96, seconds)
    actors = (person(1, YELLOW, yellow, way, height=0.56), person(2, BLUE, blue, stay))
    return (Shot(0, "room", actors, ((0.935, pillar),)),)


SCENES: dict[str, Callable[[float, int], tuple[Shot, ...]]] = {
    "two-people": two_people,
    "exit-reentry": exit_reentry,
    "late-entry": late_entry,
    "cut": cut,
    "crossing-objects": crossing_objects,
    "behind-pillar": behind_pillar,
}
