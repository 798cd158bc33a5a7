"""Generated videos whose cuts, fades and dissolves are known, and the judge of who finds them.

Scenes are noise of several scales in a palette of their own, with shapes and moving things, seen by a camera that
pans slowly. What is no boundary is put inside the shots: flashes, shake, fast pans, a thing that fills the picture,
slow light.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
SIZE = (180, 320)
KINDS = ("cut", "fade", "dissolve", "flash", "shake", "pan", "fill", "light")
RATES = (10, 25, 30, 60)


@dataclass(frozen=True, slots=True)
class Boundary:
    """A new shot: its first frame, or the first frame of the transition and the first one after it."""

    first: int
    last: int

    @property
    def hard(self) -> bool:
        return self.first == self.last


@dataclass(frozen=True, slots=True)
class Video:
    """frames: [H, W, 3] uint8 RGB, `rate` a second."""

    kind: str
    rate: int
    frames: list[U8]
    boundaries: tuple[Boundary, ...]


@dataclass(frozen=True, slots=True)
class Tally:
    """Boundaries found, told without there being one, and missed."""

    right: int = 0
    wrong: int = 0
    missed: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.right + other.right, self.wrong + other.wrong, self.missed + other.missed)

    @property
    def precision(self) -> float:
        return self.right / max(1, self.right + self.wrong)

    @property
    def recall(self) -> float:
        return self.right / max(1, self.right + self.missed)

    @property
    def f1(self) -> float:
        return 2 * self.right / max(1, 2 * self.right + self.wrong + self.missed)


def judge(told: Sequence[int], video: Video, *, near: int = 1, late_s: float = 0.6) -> Tally:
    """Told frames against the truth, one for one: a cut within `near` frames, a transition from its first frame until
    `late_s` after its last. Any other frame told is wrong, a second one for the same boundary too."""
    free = sorted(told)
    right = 0
    for b in video.boundaries:
        late = near if b.hard else round(late_s * video.rate)
        hit = next((t for t in free if b.first - near <= t <= b.last + late), None)
        if hit is not None:
            free.remove(hit)
            right += 1
    return Tally(right, len(free), len(video.boundaries) - right)


class Scene:
    """One place: `at(t_s)` is its picture, float32 [H, W, 3]."""

    def __init__(self, seed: int, light: float, kind: str, palette: F32) -> None:
        dice = self._dice = np.random.default_rng(seed)
        h, w = SIZE
        self._light, self._kind = light, kind
        self._big = _picture(dice, (3 * h, 3 * w), palette)
        self._things = [_picture(dice, (int(s), int(1.2 * s))) for s in dice.uniform(0.2, 0.45, 2) * h]
        self._ways = dice.uniform(-0.25, 0.25, (2, 2)) * (w, h)
        self._starts = dice.uniform(0.2, 0.6, (2, 2)) * (w, h)
        angle = dice.uniform(0, 2 * np.pi)
        speed = {"pan": dice.uniform(0.7, 1.1)}.get(kind, dice.choice([0.0, 0.03, 0.1])) * w
        self._pan = np.array([np.cos(angle), 0.5 * np.sin(angle)]) * speed
        self._cover = cv2.resize(_picture(dice, (h, w)), (int(1.15 * w), int(1.2 * h)))
        self._cover_from = 1 if dice.random() < 0.5 else -1

    def at(self, t: float, length: float) -> F32:
        """The picture `t` seconds into a shot of `length` seconds."""
        h, w = SIZE
        dice = self._dice
        pan = np.abs((np.array([w, h]) + self._pan * t) % (4 * w, 4 * h) - (2 * w, 2 * h))  # to and fro on the canvas
        shake = dice.uniform(-0.035, 0.035, 2) * w if self._kind == "shake" else np.zeros(2)
        turn = np.deg2rad(dice.uniform(-1.5, 1.5)) if self._kind == "shake" else 0.0
        c, s = np.cos(turn), np.sin(turn)
        m = np.array([[c, -s, pan[0] + shake[0]], [s, c, pan[1] + shake[1]]], np.float32)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        out = cv2.warpAffine(self._big, m, (w, h), flags=flags, borderMode=cv2.BORDER_REFLECT_101).astype(np.float32)
        for thing, start, way in zip(self._things, self._starts, self._ways, strict=True):
            _paste(out, thing, start + way * t - shake)
        if self._kind == "fill":
            _paste(out, self._cover, (self._cover_at(t / length), -0.1 * h))
        light = self._light
        if self._kind == "light":
            light *= 1 + 0.6 * np.sin(np.pi * (t / length - 0.5))
        lit: F32 = out * np.float32(light)
        return lit

    def _cover_at(self, share: float) -> float:
        """x of what comes in, covers all and goes on: out of sight in the first and last sixth of the shot."""
        w = SIZE[1]
        way = np.clip((share - 1 / 6) * 1.5, 0, 1)
        x = w - way * 2.15 * w
        return float(x if self._cover_from > 0 else -0.15 * w - x)


def video(kind: str, seed: int, rate: int, *, light: float = 1.0, shots: int = 5) -> Video:
    """Shots of 1 to 2.6 seconds, longer ones between fades and dissolves.

    kind: how they follow one another, or what happens in them.

    Their colours are like those of the shot before, more or less: a film's mostly are.
    """
    dice = np.random.default_rng([seed, rate, KINDS.index(kind), round(100 * light)])
    gradual = kind in ("fade", "dissolve")
    shortest, longest = (2.4, 4.0) if gradual else (1.8, 2.6) if kind == "fill" else (1.0, 2.6)
    lengths = [int(dice.uniform(shortest, longest) * rate) for _ in range(shots)]
    palette = _palette(dice)
    scenes = []
    for _ in lengths:
        scenes.append(Scene(int(dice.integers(1 << 31)), light * dice.uniform(0.75, 1.0), kind, palette))
        other = np.float32(dice.choice([0.15, 0.5, 1.0]))
        palette = (1 - other) * palette + other * _palette(dice)
    frames: list[F32] = []
    boundaries: list[Boundary] = []
    for n, (scene, length) in enumerate(zip(scenes, lengths, strict=True)):
        shot = [scene.at(i / rate, length / rate) for i in range(length)]
        if kind == "flash":
            _flash(shot, dice, rate)
        if not n:
            frames = shot
        elif not gradual:
            boundaries.append(Boundary(len(frames), len(frames)))
            frames += shot
        elif kind == "fade":
            boundaries.append(_fade(frames, shot, dice, rate))
        else:
            boundaries.append(_dissolve(frames, shot, dice, rate))
    noise = [dice.normal(0, 2.0, (*SIZE, 3)).astype(np.float32) for _ in range(7)]
    grainy = [np.clip(f + noise[i * 3 % 7], 0, 255).astype(np.uint8) for i, f in enumerate(frames)]
    return Video(kind, rate, grainy, tuple(boundaries))


def _fade(frames: list[F32], shot: list[F32], dice: np.random.Generator, rate: int) -> Boundary:
    """The end of `frames` fades to black (or white), a while of that, and `shot` comes out of it."""
    n = max(2, int(dice.uniform(0.25, 0.8) * rate))
    ground = np.float32(255 if dice.random() < 0.25 else 0)
    first = len(frames) - n
    for i in range(n):
        frames[first + i] = ground + (frames[first + i] - ground) * np.float32(1 - (i + 1) / n)
        shot[i] = ground + (shot[i] - ground) * np.float32((i + 1) / n)
    frames += [np.full_like(shot[0], ground)] * int(dice.uniform(0, 1.0) * rate)
    frames += shot
    return Boundary(first, len(frames) - len(shot) + n)


def _dissolve(frames: list[F32], shot: list[F32], dice: np.random.Generator, rate: int) -> Boundary:
    n = max(3, int(dice.uniform(0.3, 1.2) * rate))
    first = len(frames) - n
    for i in range(n):
        a = np.float32((i + 1) / (n + 1))
        frames[first + i] = (1 - a) * frames[first + i] + a * shot[i]
    frames += shot[n:]
    return Boundary(first, first + n)


def _flash(shot: list[F32], dice: np.random.Generator, rate: int) -> None:
    """One or two flashes of 1 to 4 frames, white or coloured, that blind wholly or leave something to be seen."""
    for at in dice.uniform(0.2, 0.8, 2):
        colour = np.full(3, 255.0) if dice.random() < 0.5 else dice.choice([40.0, 255.0], 3)
        blind = np.float32(dice.choice([1.0, 0.85, 0.5]))
        first = int(at * len(shot))
        for i in range(first, min(len(shot) - 2, first + int(dice.integers(1, 5)))):
            shot[i] = (1 - blind) * shot[i] + blind * colour.astype(np.float32)


def _palette(dice: np.random.Generator) -> F32:
    """Three colours [3, 3], from grey to gaudy."""
    colours = dice.uniform(10, 245, (3, 3))
    grey = dice.uniform(0, 0.9)
    palette: F32 = ((1 - grey) * colours + grey * colours.mean(axis=1, keepdims=True)).astype(np.float32)
    return palette


def _picture(dice: np.random.Generator, size: tuple[int, int], palette: F32 | None = None) -> U8:
    """Noise of several scales in a palette of three colours, and shapes on it."""
    h, w = size
    palette = _palette(dice) if palette is None else palette
    fields = [np.zeros((h, w), np.float32) for _ in palette]
    for field in fields:
        for cells in (3, 6, 12, 24, 48, 96):  # as much contrast in every octave, as in natural pictures
            rough = dice.normal(0, 0.45, (cells, cells * w // h + 1)).astype(np.float32)
            field += cv2.resize(rough, (w, h), interpolation=cv2.INTER_CUBIC)
    weights = np.exp(2 * np.stack(fields, axis=-1))
    out = (weights / weights.sum(-1, keepdims=True)) @ palette
    out = np.ascontiguousarray(np.clip(out, 0, 255).astype(np.uint8))
    for _ in range(12):
        x, y, r = int(dice.uniform(0, w)), int(dice.uniform(0, h)), int(dice.uniform(0.02, 0.09) * w)
        colour = dice.uniform(0, 255, 3).tolist()
        if dice.random() < 0.5:
            cv2.circle(out, (x, y), r, colour, -1)
        else:
            cv2.rectangle(out, (x, y), (x + 2 * r, y + r), colour, -1)
    return out


def _paste(out: F32, thing: U8, at: Sequence[float] | NDArray[np.float64]) -> None:
    h, w = out.shape[:2]
    x, y = round(float(at[0])), round(float(at[1]))
    x0, y0, x1, y1 = max(0, x), max(0, y), min(w, x + thing.shape[1]), min(h, y + thing.shape[0])
    if x1 > x0 and y1 > y0:
        out[y0:y1, x0:x1] = thing[y0 - y : y1 - y, x0 - x : x1 - x]
