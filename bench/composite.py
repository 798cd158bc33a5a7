"""Composite scenes: cut-outs of the sample clips over other clips' empty ground, moved, hidden and brought back.

Networks see real textures, and the truth is exact by construction: what is pasted and stays in sight. A scene is a
`producers.synthetic.Scene` whose actors are cut-outs; the seed writes who does what (`PLOTS[seed % len(PLOTS)]`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache, partial
from pathlib import Path

import cv2
import numpy as np

from bench.cutouts import F32, U8, Sprite, clean_plate
from engines.crops import shrink
from producers.scenes import ways
from producers.scenes.camera import Camera
from producers.scenes.scripts import Actor, Route, Shot, Size
from producers.scenes.shapes import Patch
from producers.scenes.ways import Way
from producers.synthetic import Scene

PLOTS = ("re-entry", "late-entry", "crossing", "trunk", "exit", "dogs", "cars", "pan", "cut", "everybody")
STEPS_A_SECOND = 24
ADULT = 0.62
"""Height of an adult, share of the frame's."""


@dataclass(frozen=True, slots=True)
class Ground:
    """A clip's empty part: the median of frames `first` to `last`, cropped to `crop` (x0, y0, x1, y1 in shares)."""

    clip: str
    first: int
    last: int
    crop: tuple[float, float, float, float]


GROUNDS = (
    Ground("01_dog", 76, 84, (0.44, 0.42, 1.0, 0.98)),
    Ground("bedroom", 104, 108, (0.3333, 0.25, 1.0, 0.9167)),
    Ground("05_default_juggle", 0, 6, (0.0, 0.40, 0.45, 0.85)),
    Ground("14_social_dog_training", 29, 29, (0.64, 0.12, 1.0, 0.48)),
    Ground("19_cyclist", 176, 176, (0.39, 0.10, 0.90, 0.61)),
)
_TRUNK_XY = (
    (190, 0), (309, 0), (318, 180), (326, 360), (331, 480), (340, 600), (352, 660), (330, 692), (240, 700), (190, 690),
    (204, 640), (208, 480), (206, 360), (199, 180),
)  # fmt: skip


def composite(
    sprites: Sequence[Sprite], samples: Path, seed: int, *, seconds: float, size: Size, fps: Fraction
) -> Scene:
    """The composite scene of a seed."""
    return Scene("composite", seconds, size, fps, seed, _Script(sprites, samples, seed, seconds).shots())


class _Script:
    def __init__(self, sprites: Sequence[Sprite], samples: Path, seed: int, seconds: float) -> None:
        self.samples, self.seconds, self.plot = samples, seconds, PLOTS[seed % len(PLOTS)]
        self.rng = np.random.default_rng((seed, 815))
        self.people = [s for s in sprites if s.cut.category == "person"]
        self.dogs = [s for s in sprites if s.cut.category == "dog"]
        self.cars = [s for s in sprites if s.cut.category == "car"]

    def shots(self) -> tuple[Shot, ...]:
        people, dogs, cars = (self._some(kind) for kind in (self.people, self.dogs, self.cars))
        three = people[: int(self.rng.integers(2, 4))]
        match self.plot:
            case "re-entry":
                return (self._shot(three, [ways.returns]),)
            case "late-entry":
                return (self._shot(three, [ways.comes_late, ways.comes_late]),)
            case "crossing":
                return (self._shot(three, [ways.crosses, ways.crosses]),)
            case "trunk":
                return (self._shot(people[:2], [ways.passes], trunk=True),)
            case "exit":
                return (self._shot(three, [ways.leaves, ways.returns]),)
            case "dogs":
                return (self._shot([*dogs, *people[:1]], [ways.returns, ways.crosses]),)
            case "cars":
                return (self._shot([*cars, *people[:1]], [ways.returns, ways.comes_late, ways.crosses]),)
            case "pan":
                return (self._shot(three, [ways.comes_late, ways.returns], wide=1.4),)
            case "cut":
                half = float(self.rng.uniform(0.4, 0.6))
                again = self._shot([people[0], people[2]], [ways.stays, ways.comes_late], start=half, numbers=[1, 3])
                return (self._shot(people[:2], [ways.stays, ways.leaves]), again)
            case _:
                return (self._shot([*people[:3], dogs[0]], [ways.crosses, ways.returns, ways.stays, ways.comes_late]),)

    def _some(self, kind: Sequence[Sprite]) -> list[Sprite]:
        return [kind[i] for i in self.rng.permutation(len(kind))]

    def _shot(
        self,
        cast: Sequence[Sprite],
        busy: Sequence[Way],
        *,
        start: float = 0.0,
        wide: float = 1.0,
        trunk: bool = False,
        numbers: Sequence[int] | None = None,
    ) -> Shot:
        free = [g for g in GROUNDS if g.clip not in {s.cut.clip for s in cast}]
        ground = free[int(self.rng.integers(len(free)))]
        places = ways.homes(self.rng, len(cast), free=0.5 if trunk else None)
        places = [places[i] for i in self.rng.permutation(len(cast))]
        lanes = self.rng.permutation(np.linspace(0.86, 0.98, len(cast)))
        if trunk:
            lanes = np.sort(lanes)  # who passes is behind it
        actors = []
        for i, (sprite, x, lane) in enumerate(zip(cast, places, lanes, strict=True)):
            path = (busy[i] if i < len(busy) else ways.stays)(self.rng, x)
            if sprite.cut.category == "car":  # longer than people are wide
                path = tuple((t, -0.35 if at < 0 else 1.35 if at > 1 else at) for t, at in path)
            y = float(lane) if wide == 1.0 else 0.62 + (float(lane) - 0.62) * 0.8
            grow = float(self.rng.uniform(0.94, 1.06)) * (1 + 0.8 * (float(lane) - 0.92))
            alone = sum(s.cut.category == sprite.cut.category for s in cast) == 1
            said = sprite.cut.expression if sprite.cut.category == "person" or not alone else ""
            actors.append(
                paste(
                    numbers[i] if numbers else i + 1, sprite, Route(path, y, self.seconds),
                    height=ADULT * sprite.cut.tall * grow / wide * (1.1 if wide > 1 else 1.0),
                    mirrored=bool(self.rng.integers(2)), first=int(self.rng.integers(40)),
                    expression=said or f"the {sprite.cut.category}",
                )
            )  # fmt: skip
        camera = Camera(wide, ((0, 0.42, 0.64, 1), (0.15, 0.42, 0.64, 1), (0.85, 0.58, 0.64, 1), (1, 0.58, 0.64, 1)))
        posts = ((0.925, partial(trunk_patch, self.samples)),) if trunk else ()
        return Shot(start, partial(_ground, self.samples, ground), tuple(actors), posts, camera if wide > 1 else None)


def paste(
    entity: int,
    sprite: Sprite,
    route: Route,
    *,
    height: float,
    mirrored: bool = False,
    first: int = 0,
    expression: str = "",
) -> Actor:
    """A cut-out on its way. height: of the thing, share of the frame's. expression: its own where none is given."""

    @lru_cache(maxsize=512)
    def scaled(step: int, tall_px: int) -> tuple[F32, F32]:
        """Premultiplied RGB and coverage of one of its frames at a size."""
        k = tall_px / sprite.height
        rgba = sprite.frame(step)
        h, w = rgba.shape[:2]
        alpha = rgba[..., 3].astype(np.float32) / 255
        both = np.dstack([rgba[..., :3] * alpha[..., None], alpha]).astype(np.float32)
        small = cv2.resize(both, (max(1, round(w * k)), max(1, round(h * k))), interpolation=cv2.INTER_AREA)
        if mirrored:
            small = small[:, ::-1]
        return np.ascontiguousarray(small[..., :3]), np.ascontiguousarray(small[..., 3])

    n = max(1, 2 * len(sprite.rgba) - 2)

    def draw(t: float, size: Size) -> Patch | None:
        tall_px = round(height * size[1])
        k = tall_px / sprite.height
        rgb, alpha = scaled((first + round(t * STEPS_A_SECOND)) % n, tall_px)
        foot = sprite.foot[0] * k
        x = route.x(t) * size[0] - (alpha.shape[1] - foot if mirrored else foot)
        y = route.y * size[1] - sprite.foot[1] * k
        return moved(rgb, alpha, x, y, size)

    said = (expression or sprite.cut.expression,)
    return Actor(entity, sprite.cut.category, said[0], route.y, draw, said)


def moved(rgb: F32, alpha: F32, x: float, y: float, size: Size) -> Patch | None:
    """A picture with its top left corner at (x, y), parts of a pixel included, cut to the frame."""
    left, top = int(np.floor(x)), int(np.floor(y))
    h, w = alpha.shape
    shift = np.array([[1, 0, x - left], [0, 1, y - top]], np.float32)
    rgb, alpha = (cv2.warpAffine(p, shift, (w + 1, h + 1)) for p in (rgb, alpha))
    x0, y0, x1, y1 = max(-left, 0), max(-top, 0), min(size[0] - left, w + 1), min(size[1] - top, h + 1)
    if x0 >= x1 or y0 >= y1:
        return None
    return Patch(left + x0, top + y0, rgb[y0:y1, x0:x1], alpha[y0:y1, x0:x1])


@lru_cache(maxsize=16)
def _ground(samples: Path, ground: Ground, size: Size) -> F32:
    plate = clean_plate(samples / f"{ground.clip}.mp4", ground.first, ground.last)
    h, w = plate.shape[:2]
    x0, y0, x1, y1 = ground.crop
    part = np.ascontiguousarray(plate[round(y0 * h) : round(y1 * h), round(x0 * w) : round(x1 * w)])
    how = cv2.INTER_AREA if part.shape[1] > size[0] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(part, size, interpolation=how), np.float32)


@lru_cache(maxsize=4)
def trunk_patch(samples: Path, size: Size) -> Patch:
    """A tree trunk in the middle of the frame, from its top to the ground."""
    plate = clean_plate(samples / "12_hideandseek.mp4", 106, 106)
    points = np.array(_TRUNK_XY)
    left, right = int(points[:, 0].min()), int(points[:, 0].max()) + 1
    alpha = np.zeros(plate.shape[:2], np.uint8)
    cv2.fillPoly(alpha, [points.astype(np.int32)], 255)
    k = 0.95 * size[1] / 720
    cut: U8 = np.dstack([plate, cv2.GaussianBlur(alpha, (0, 0), 1.5)])[:705, left:right]
    small = shrink(np.ascontiguousarray(cut), (round(cut.shape[1] * k * 1.5), round(cut.shape[0] * k)))
    cover = small[..., 3].astype(np.float32) / np.float32(255)
    x0 = (size[0] - small.shape[1]) // 2
    return Patch(x0, 0, small[..., :3] * cover[..., None], cover)
