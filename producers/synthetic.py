"""Synthetic scenes: deterministic video whose every mask and identity is known exactly.

scene = make_scene("synthetic:two-people?seconds=8&size=640x360&fps=30&seed=1")
for rgb, pts_us, truth in scene.frames():
    truth.masks[1]  # [H, W] bool: the pixels of entity 1 that can be seen
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from urllib.parse import parse_qsl

import msgspec
import numpy as np
from numpy.typing import NDArray

from engines.errors import UserError
from producers.scenes.backdrop import backdrop
from producers.scenes.camera import see_ground, see_patch
from producers.scenes.referring import referring
from producers.scenes.scripts import SCENES, Actor, Shot
from producers.scenes.shapes import F32, Patch
from producers.scenes.traps import TRAPS

PREFIX = "synthetic:"
EVERY_SCENE = {**SCENES, **TRAPS, "referring": referring}
"""The fixed scripts, and the one that the seed writes."""
NOISE_LEVELS = 1.6
"""Standard deviation of the camera's noise, levels of 0..255."""
U8 = NDArray[np.uint8]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """What is truly in one frame.

    masks: by entity, [H, W] bool: pixels of which the entity has at least half and nothing nearer hides it; an
        entity of which nothing is seen is missing.
    shot: 0, 1, … grows at each cut.
    """

    frame: int
    pts_us: int
    shot: int
    masks: dict[int, Mask]


class SceneEntity(msgspec.Struct, frozen=True):
    entity: int
    category: str
    description: str
    expressions: tuple[str, ...] = ()
    """Referring expressions that are true of it and of no other entity of the scene."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A scene ready to be drawn. `size` is (width, height) in pixels."""

    name: str
    seconds: float
    size: tuple[int, int]
    fps: Fraction
    seed: int
    shots: tuple[Shot, ...]

    @property
    def spec(self) -> str:
        """The address of this very scene, every option spelt out."""
        width, height = self.size
        return f"{PREFIX}{self.name}?seconds={self.seconds:g}&size={width}x{height}&fps={self.fps}&seed={self.seed}"

    @property
    def frame_count(self) -> int:
        return max(int(self.seconds * self.fps), 1)

    @property
    def entities(self) -> tuple[SceneEntity, ...]:
        """All who appear, by number."""
        everyone = {a.entity: a for shot in self.shots for a in shot.actors}
        return tuple(
            SceneEntity(a.entity, a.category, a.description, a.expressions or (a.description,))
            for _, a in sorted(everyone.items())
        )

    def frames(self) -> Iterator[tuple[U8, int, GroundTruth]]:
        """(RGB [H, W, 3] uint8, presentation time in us, truth) of every frame, from the beginning."""
        grounds = [_ground(shot, self.size, self.seed) for shot in self.shots]
        width, height = self.size
        noise = np.random.default_rng(self.seed).normal(0, NOISE_LEVELS, (height + 64, width + 64)).astype(np.float32)
        for i in range(self.frame_count):
            at_s = float(i / self.fps)
            number = max(k for k, shot in enumerate(self.shots) if at_s >= shot.start * self.seconds)
            picture, masks = _draw(self.shots[number], grounds[number], at_s, at_s / self.seconds, self.size)
            dy, dx = np.random.default_rng((self.seed, i)).integers(0, 64, 2)
            picture += noise[dy : dy + height, dx : dx + width, None]
            np.clip(picture, 0, 255, out=picture)
            pts_us = round(Fraction(i * 1_000_000) / self.fps)
            yield (picture + 0.5).astype(np.uint8), pts_us, GroundTruth(i, pts_us, number, masks)


def make_scene(spec: str) -> Scene:
    """The scene of `synthetic:NAME[?seconds=8&size=640x360&fps=30&seed=1]`. Raises UserError for any other."""
    name, _, query = spec.removeprefix(PREFIX).partition("?")
    if name not in EVERY_SCENE:
        raise UserError(f"there is no synthetic scene {name!r}; there are {', '.join(EVERY_SCENE)}")
    options = {"seconds": "8", "size": "640x360", "fps": "30", "seed": "1"}
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key not in options:
            raise UserError(f"a synthetic scene has no option {key!r}; it has {', '.join(options)}")
        options[key] = value
    try:
        seconds, fps, seed = float(options["seconds"]), Fraction(options["fps"]), int(options["seed"])
        width, height = (int(v) for v in options["size"].split("x"))
    except (ValueError, ZeroDivisionError):
        raise UserError(
            f"cannot read {spec!r}; an example is {PREFIX}{name}?seconds=8&size=640x360&fps=30&seed=1"
        ) from None
    if not (0 < seconds <= 86_400 and 1 <= fps <= 240 and 64 <= width <= 7680 and 64 <= height <= 4320 and seed >= 0):
        raise UserError(
            f"{spec!r} is out of bounds: 0 < seconds <= 86400, fps 1 to 240, size 64x64 to 7680x4320, seed >= 0"
        )
    return Scene(name, seconds, (width, height), fps, seed, EVERY_SCENE[name](seconds, seed))


def _ground(shot: Shot, size: tuple[int, int], seed: int) -> F32:
    """The shot's world without anybody, [H, W, 3]."""
    world = shot.camera.world(size) if shot.camera else size
    return backdrop(shot.backdrop, world, seed) if isinstance(shot.backdrop, str) else shot.backdrop(world)


def _draw(shot: Shot, ground: F32, at_s: float, share: float, size: tuple[int, int]) -> tuple[F32, dict[int, Mask]]:
    """The picture [H, W, 3] float32 and the visible masks at one time (in seconds, and as a share of the scene)."""
    masks = dict[int, Mask]()
    camera = shot.camera
    world = size if camera is None else camera.world(size)
    view = (0.0, 0.0, 1.0) if camera is None else camera.view(share, size)
    picture = ground.copy() if camera is None else see_ground(ground, view, size)
    layers: list[tuple[float, Actor | None, Patch | None]] = [(a.depth, a, a.draw(at_s, world)) for a in shot.actors]
    layers += [(depth, None, draw(world)) for depth, draw in shot.occluders]
    for _, actor, patch in sorted(layers, key=lambda layer: layer[0]):  # far to near
        if patch is not None and camera is not None:
            patch = see_patch(patch, view, size)
        if patch is None:
            continue
        if actor is not None:
            _shadow(picture, patch)
        height, width = patch.alpha.shape
        window = np.s_[patch.top : patch.top + height, patch.left : patch.left + width]
        picture[window] = picture[window] * (1 - patch.alpha[..., None]) + patch.rgb
        solid = patch.alpha >= 0.5
        for mask in masks.values():
            mask[window] &= ~solid
        if actor is not None:
            mask = masks.setdefault(actor.entity, np.zeros(picture.shape[:2], np.bool_))
            mask[window] |= solid
    return picture, {entity: mask for entity, mask in masks.items() if mask.any()}


def _shadow(picture: F32, patch: Patch) -> None:
    """Darken the ground below a figure a little."""
    solid = patch.alpha > 0.5
    if not solid.any():
        return
    columns = np.flatnonzero(solid.any(axis=0))
    bottom = patch.top + int(np.flatnonzero(solid.any(axis=1))[-1])
    x, rx = patch.left + float(columns.mean()), 0.55 * (columns[-1] - columns[0] + 1)
    ry = max(0.12 * rx, 2.0)
    y0, y1 = max(int(bottom - 2 * ry), 0), min(int(bottom + 2 * ry) + 1, picture.shape[0])
    x0, x1 = max(int(x - 1.6 * rx), 0), min(int(x + 1.6 * rx) + 1, picture.shape[1])
    dy, dx = (np.arange(y0, y1)[:, None] - bottom) / ry, (np.arange(x0, x1)[None, :] - x) / rx
    picture[y0:y1, x0:x1] *= (1 - 0.30 * np.exp(-(dx**2 + dy**2)))[..., None].astype(np.float32)
