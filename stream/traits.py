"""Measuring an entity's traits: colours of its parts, size, place and motion."""

from __future__ import annotations

import numpy as np

from engines.crops import F32, U8
from stream import colours, posture
from stream.entity import Entity, Traits

GROWTH_US = 800_000


def observe(traits: Traits, e: Entity, rgb: U8, landmarks: F32 | None) -> None:
    """Take one sight of a visible entity in a frame [H, W, 3] into its traits."""
    if e.patch is None:
        return
    h, w = rgb.shape[:2]
    k = 1 / min(traits.sights + 1, 12)
    x0, y0, x1, y1 = (float(v) for v in e.box)
    high = max(1.0, y1 - y0)
    fast = 1 / min(traits.sights + 1, 4)  # place and motion are of now, colours of always
    traits.x += fast * ((x0 + x1) / 2 / w - traits.x)
    traits.y += fast * ((y0 + y1) / 2 / h - traits.y)
    traits.bottom += fast * (y1 / h - traits.bottom)
    traits.height += k * (high / h - traits.height)
    traits.speed += fast * (float(np.hypot(*e.velocity)) / high - traits.speed)
    traits.width += k * ((x1 - x0) / w - traits.width)
    traits.vx += fast * (e.velocity[0] / high - traits.vx)
    traits.vy += fast * (e.velocity[1] / high - traits.vy)
    traits.growth += fast * (_growth(e) - traits.growth)
    traits.frame = w / h
    votes = sum(e.votes.values())
    traits.named = {name: v / votes for name, v in sorted(e.votes.items())} if votes else {}
    traits.postures = posture.fits(landmarks) or traits.postures
    whole = e.patch.area > 0.5 * e.reference_area
    if whole or not traits.colours:
        seen = colours.parts(rgb, e.patch, landmarks)
        for part, shares in seen.items():
            old = traits.colours.get(part)
            traits.colours[part] = shares if old is None else (old + np.float32(k) * (shares - old)).astype(np.float32)
    traits.sights += 1


def _growth(e: Entity) -> float:
    """Of its box's height, in shares a second, over its last sights; 0 where they are too few."""
    recent = [s for s in e.sights if e.sights[-1].pts_us - s.pts_us <= GROWTH_US]
    if len(recent) < 3 or recent[-1].pts_us - recent[0].pts_us < GROWTH_US // 2:
        return 0.0
    seconds = (recent[-1].pts_us - recent[0].pts_us) / 1e6
    return (recent[-1].h / max(1.0, recent[0].h) - 1) / seconds


def main_colour(traits: Traits, part: str, *, least: float = 0.3) -> str | None:
    """The colour word for a part, None where no word holds `least` of it."""
    shares = traits.colours.get(part)
    if shares is None or not len(shares):
        return None
    best = int(shares.argmax())
    return colours.NAMES[best] if shares[best] >= least else None
