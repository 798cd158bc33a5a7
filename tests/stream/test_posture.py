"""Words for one pose, on hand-made bodies."""

from __future__ import annotations

import numpy as np
import pytest

from engines.crops import F32
from stream import posture

STAND = {11: (-10, 0), 12: (10, 0), 13: (-12, 20), 14: (12, 20), 15: (-12, 40), 16: (12, 40), 23: (-8, 50), 24: (8, 50),
         25: (-8, 92), 26: (8, 92), 27: (-8, 132), 28: (8, 132), 0: (0, -20)}  # fmt: skip
"""A person who stands, torso 50 long, y downward."""


def body(moved: dict[int, tuple[float, float]] | None = None, unseen: tuple[int, ...] = (), scale: float = 1.0) -> F32:
    made = np.zeros((33, 3), np.float32)
    for i, at in {**STAND, **(moved or {})}.items():
        made[i] = (200 + scale * at[0], 100 + scale * at[1], 0.0 if i in unseen else 0.9)
    return made


ARM = {15: (-14.0, -40.0)}
SIT = {25: (-8.0, 58.0), 26: (30.0, 58.0), 27: (-8.0, 100.0), 28: (30.0, 100.0)}
CROUCH = {25: (-25.0, 48.0), 26: (25.0, 48.0), 27: (-10.0, 80.0), 28: (10.0, 80.0)}
LIE = {i: (y, x / 4) for i, (x, y) in STAND.items()}
BEND = {11: (35.0, 30.0), 12: (40.0, 34.0), 0: (55.0, 40.0)}


@pytest.mark.parametrize("scale", [0.5, 1.0, 4.0])
@pytest.mark.parametrize(
    ("moved", "word"),
    [({}, "standing"), (ARM, "arm-raised"), (SIT, "sitting"), (CROUCH, "crouching"), (LIE, "lying"), (BEND, "bending")],
)
def test_a_body_fits_its_word(moved: dict[int, tuple[float, float]], word: str, scale: float) -> None:
    found = posture.fits(body(moved, scale=scale))
    assert found[word] > 0.8, found
    others = {w: f for w, f in found.items() if w not in (word, "standing" if moved == ARM else word)}
    assert max(others.values()) < 0.5, found


def test_what_is_not_seen_is_not_said() -> None:
    assert posture.fits(None) == {}
    assert posture.fits(body(unseen=(11, 12))) == {}
    half = posture.fits(body(unseen=(15, 16, 25, 26)))
    assert set(half) == {"lying", "bending"}
    assert posture.fits(body(scale=0.01)) == {}, "too small to tell"


def test_one_arm_is_enough() -> None:
    assert posture.fits(body(ARM, unseen=(16,)))["arm-raised"] == 1
    assert posture.fits(body({16: (14.0, 20.0)}))["arm-raised"] == 0
