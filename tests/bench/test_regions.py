"""J and F against cases computed by hand, and against TrackEval's own loop."""

from __future__ import annotations

import sys
import types

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools import mask as coco
from trackeval.metrics import JAndF

from bench.regions import BOUND, boundary_f, disc, region_j

Bool = NDArray[np.bool_]


def square(x: int, y: int, side: int = 20, size: int = 100) -> Bool:
    mask = np.zeros((size, size), bool)
    mask[y : y + side, x : x + side] = True
    return mask


@pytest.mark.parametrize(
    ("truth", "said", "j"),
    [
        (square(10, 10), square(10, 10), 1.0),
        (square(10, 10), square(20, 10), 1 / 3),  # 200 of 600 pixels
        (square(10, 10), square(60, 60), 0.0),
        (square(10, 10), square(0, 0, 0), 0.0),
        (square(0, 0, 0), square(0, 0, 0), 1.0),
    ],
)
def test_region(truth: Bool, said: Bool, j: float) -> None:
    assert region_j(truth, said) == pytest.approx(j)


@pytest.mark.parametrize(
    ("truth", "said", "f"),
    [
        (square(40, 40), square(40, 40), 1.0),
        (square(40, 40), square(42, 40), 1.0),  # every boundary pixel within ceil(0.008 * 141.4) = 2
        (square(40, 40), square(70, 70), 0.0),
        (square(40, 40), square(0, 0, 0), 0.0),
        (square(0, 0, 0), square(0, 0, 0), 1.0),
    ],
)
def test_boundary(truth: Bool, said: Bool, f: float) -> None:
    assert boundary_f(truth, said) == pytest.approx(f)


def test_boundary_of_a_square_beside_a_wider_one() -> None:
    """20 x 20 inside 40 x 20: TrackEval's maps are outlines of 21 x 21 and 41 x 21, that is 80 and 120 pixels. Of the
    wider one the near short side (21) and 2 x 22 of the long sides (to 2 beyond the corner) lie within 2 pixels of the
    other; of the narrower one all but what of its right side lies deeper than 2 inside (2 x 3 of 21 stay)."""
    narrow, wide = square(40, 40), np.zeros((100, 100), bool)
    wide[40:60, 40:80] = True
    precision, recall = (21 + 2 * 22) / 120, (80 - (21 - 6)) / 80
    assert boundary_f(narrow, wide) == pytest.approx(2 * precision * recall / (precision + recall))


@pytest.mark.parametrize("seed", range(6))
def test_the_same_as_trackevals_own_loop(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = types.ModuleType("skimage.morphology")
    vars(fake)["disk"] = lambda radius: disc(int(radius))  # all it needs of scikit-image
    monkeypatch.setitem(sys.modules, "skimage", types.ModuleType("skimage"))
    monkeypatch.setitem(sys.modules, "skimage.morphology", fake)
    rng = np.random.default_rng(seed)
    a, b = (cv2.GaussianBlur(rng.standard_normal((90, 160)), (0, 0), 6) > 0.02 for _ in range(2))
    codes = [[coco.encode(np.asfortranarray(m.astype(np.uint8)))] for m in (a, b)]
    theirs = JAndF._compute_f([codes[0]], [codes[1]], 0, 0, BOUND)
    assert boundary_f(a, b) == pytest.approx(float(theirs[0]))
    j = JAndF._compute_j([codes[0]], [codes[1]], 1, 1, 1)
    assert region_j(a, b) == pytest.approx(float(j[0, 0, 0]))
