"""A clothed human figure that stands or walks, drawn from capsules in the proportions of an adult."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi, sin

from producers.scenes.shapes import Colour, Patch, Texture, capsule, cloth, disc, plain


@dataclass(frozen=True, slots=True)
class Look:
    """What tells one person from another."""

    shirt: Colour
    trousers: Colour
    skin: Colour
    hair: Colour
    shoes: Colour = (40, 36, 34)
    pattern: Texture = plain
    long_hair: bool = False
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Pose:
    """Where and how: feet at (x, y) in frame pixels, `height` pixels tall, `facing` -1 (left) .. 1 (right),
    `phase` of the gait in radians, `stride` 0 (standing) .. 1 (full steps)."""

    x: float
    y: float
    height: float
    facing: float
    phase: float
    stride: float


Point = tuple[float, float]


def draw_person(look: Look, pose: Pose, size: tuple[int, int]) -> Patch | None:
    """The figure as a patch cut to a frame of `size` (width, height); None where it is wholly outside."""
    h, (frame_width, frame_height) = pose.height, size
    left, right = max(int(pose.x - 0.36 * h), 0), min(int(pose.x + 0.36 * h) + 1, frame_width)
    top, bottom = max(int(pose.y - 1.04 * h), 0), min(int(pose.y + 0.06 * h) + 1, frame_height)
    if left >= right or top >= bottom:
        return None
    patch = Patch.empty(left, top, right - left, bottom - top)
    _Figure(patch, look, pose).draw()
    return patch


class _Figure:
    """One drawing of one person: joints first, then limbs from far to near."""

    def __init__(self, patch: Patch, look: Look, pose: Pose) -> None:
        self.patch, self.look, self.pose = patch, look, pose
        h = pose.height
        bob = 0.012 * h * pose.stride * cos(2 * pose.phase)
        self.hip: Point = (pose.x, pose.y - 0.50 * h + bob)
        self.chest: Point = (pose.x + 0.012 * h * pose.facing * pose.stride, pose.y - 0.745 * h + bob)
        self.head: Point = (self.chest[0] + 0.012 * h * pose.facing, pose.y - 0.925 * h + bob)
        self.denim = cloth(look.seed + 1, max(h / 110, 1.0), 0.22)
        weave = cloth(look.seed + 2, max(h / 120, 1.0), 0.15)
        self.fabric: Texture = lambda along, across: look.pattern(along, across) * weave(along, across)

    def draw(self) -> None:
        far, near = self.pose.phase + pi, self.pose.phase
        spread = 0.035 * self.pose.height * (1 if self.pose.facing >= 0 else -1)
        self._arm(near + pi, spread, dim=0.82)
        self._leg(far, spread, dim=0.80)
        self._leg(near, -spread, dim=1.0)
        self._torso()
        self._head()
        self._arm(near, -spread, dim=1.0)

    def _leg(self, phase: float, offset: float, *, dim: float) -> None:
        h, p = self.pose.height, self.pose
        swing = 0.46 * p.stride * sin(phase)
        bend = 0.10 + 0.75 * p.stride * max(0.0, cos(phase)) * 0.8
        hip = (self.hip[0] + offset, self.hip[1])
        knee = _polar(hip, 0.235 * h, swing * p.facing)
        ankle = _polar(knee, 0.225 * h, (swing - bend * p.stride) * p.facing)
        toe = (ankle[0] + 0.075 * h * (p.facing if abs(p.facing) > 0.2 else 0.2), ankle[1] + 0.012 * h)
        trousers, shoes = _dim(self.look.trousers, dim), _dim(self.look.shoes, dim)
        capsule(self.patch, ankle, toe, (0.030 * h, 0.020 * h), shoes)
        capsule(self.patch, knee, ankle, (0.042 * h, 0.030 * h), trousers, self.denim)
        capsule(self.patch, hip, knee, (0.062 * h, 0.043 * h), trousers, self.denim)

    def _arm(self, phase: float, offset: float, *, dim: float) -> None:
        h, p = self.pose.height, self.pose
        swing = -0.50 * p.stride * sin(phase) + 0.04
        shoulder = (self.chest[0] + 2.1 * offset, self.chest[1] - 0.035 * h)
        outward = 0.10 if offset > 0 else -0.10
        elbow = _polar(shoulder, 0.165 * h, swing * p.facing + outward)
        wrist = _polar(elbow, 0.145 * h, (swing + 0.28 * (0.4 + p.stride)) * p.facing + outward * 0.3)
        skin = _dim(self.look.skin, dim)
        disc(self.patch, _polar(wrist, 0.022 * h, swing * p.facing), 0.027 * h, skin)
        capsule(self.patch, elbow, wrist, (0.029 * h, 0.022 * h), skin)
        capsule(self.patch, shoulder, elbow, (0.040 * h, 0.034 * h), _dim(self.look.shirt, dim), self.fabric)

    def _torso(self) -> None:
        h, look = self.pose.height, self.look
        belt = (self.hip[0], self.hip[1] + 0.005 * h)
        capsule(self.patch, (belt[0], belt[1] - 0.01 * h), belt, (0.080 * h, 0.078 * h), look.trousers, self.denim)
        neck = (self.chest[0], self.chest[1] - 0.095 * h)
        capsule(self.patch, neck, self.head, (0.034 * h, 0.030 * h), _dim(look.skin, 0.9))
        chest = (self.chest[0], self.chest[1] + 0.015 * h)
        capsule(
            self.patch, chest, (self.hip[0], self.hip[1] - 0.045 * h), (0.100 * h, 0.080 * h), look.shirt, self.fabric
        )

    def _head(self) -> None:
        h, look, facing = self.pose.height, self.look, self.pose.facing
        x, y = self.head
        back = x - 0.014 * h * facing
        if look.long_hair:
            capsule(
                self.patch,
                (back, y - 0.01 * h),
                (back - 0.022 * h * facing, y + 0.11 * h),
                (0.058 * h, 0.042 * h),
                look.hair,
                cloth(look.seed + 3, 1.2, 0.3),
            )
        capsule(
            self.patch, (x, y - 0.016 * h), (x + 0.006 * h * facing, y + 0.026 * h), (0.052 * h, 0.043 * h), look.skin
        )
        hair = cloth(look.seed + 4, 1.2, 0.3)
        capsule(
            self.patch,
            (back, y - 0.030 * h),
            (back - 0.020 * h * facing, y - 0.002 * h),
            (0.051 * h, 0.040 * h),
            look.hair,
            hair,
        )
        # the face comes over the hair's front: forehead, eyes, mouth
        front = x + 0.020 * h * facing
        capsule(self.patch, (front, y - 0.008 * h), (front, y + 0.022 * h), (0.036 * h, 0.034 * h), look.skin)
        for side in (-0.016, 0.016):
            disc(self.patch, (front + 0.008 * h * facing + side * h, y - 0.004 * h), max(0.0060 * h, 0.7), (30, 24, 22))
        mouth = front + 0.008 * h * facing
        capsule(
            self.patch,
            (mouth - 0.010 * h, y + 0.028 * h),
            (mouth + 0.010 * h, y + 0.028 * h),
            (max(0.0040 * h, 0.5),) * 2,
            _dim((170, 80, 80), 0.95),
        )


def _polar(origin: Point, length: float, angle: float) -> Point:
    """The point `length` below `origin`, swung by `angle` radians towards positive x."""
    return origin[0] + length * sin(angle), origin[1] + length * cos(angle)


def _dim(colour: Colour, factor: float) -> Colour:
    return int(colour[0] * factor), int(colour[1] * factor), int(colour[2] * factor)
