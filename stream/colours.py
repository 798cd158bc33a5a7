"""Colour names of masks: which of twelve plain words a person would use for what is seen of a part."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.crops import F32, U8
from stream.patch import HALF, Patch

NAMES = ("black", "grey", "white", "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "beige")
_SYNONYMS = {
    "gray": "grey", "silver": "grey", "dark": "black", "golden": "yellow", "blonde": "yellow", "violet": "purple",
    "navy": "blue", "cyan": "blue", "turquoise": "blue", "maroon": "red", "crimson": "red", "magenta": "pink",
    "tan": "beige", "cream": "beige", "khaki": "beige", "light": "white", "teal": "green", "olive": "green",
    "gold": "yellow", "blond": "yellow", "scarlet": "red", "burgundy": "red", "lavender": "purple", "lilac": "purple",
    "indigo": "blue", "aqua": "blue", "ginger": "orange", "brunette": "brown", "bronze": "brown",
}  # fmt: skip
_ALIKE = {
    ("grey", "white"): 0.5, ("grey", "black"): 0.5, ("red", "orange"): 0.5, ("red", "pink"): 0.5,
    ("brown", "orange"): 0.5,
    ("brown", "beige"): 0.5, ("beige", "white"): 0.5, ("beige", "yellow"): 0.4, ("yellow", "orange"): 0.4,
    ("purple", "pink"): 0.5, ("purple", "blue"): 0.5, ("blue", "black"): 0.3, ("blue", "grey"): 0.3,
    ("brown", "red"): 0.4,
    ("brown", "black"): 0.3, ("grey", "beige"): 0.4, ("green", "grey"): 0.2, ("pink", "beige"): 0.3,
}  # fmt: skip


def canonical(word: str) -> str | None:
    """The plain colour a word names, None where it names none."""
    word = _SYNONYMS.get(word, word)
    return word if word in NAMES else None


def histogram(rgb: NDArray[np.uint8]) -> F32:
    """Shares of the named colours among pixels [N, 3] uint8 RGB: [12] float32 that sum to 1 (all 0 where N is 0)."""
    if not len(rgb):
        return np.zeros(len(NAMES), np.float32)
    hsv = cv2.cvtColor(rgb.reshape(1, -1, 3), cv2.COLOR_RGB2HSV)[0].astype(np.int32)
    hue, sat, val = hsv[:, 0] * 2, hsv[:, 1], hsv[:, 2]
    names = np.full(len(hue), NAMES.index("red"))
    for upto, name in (
        (14, "red"),
        (40, "orange"),
        (66, "yellow"),
        (165, "green"),
        (255, "blue"),
        (300, "purple"),
        (340, "pink"),
    ):
        names[(hue < upto) & (names == NAMES.index("red")) & ~((name != "red") & (hue < 14))] = NAMES.index(name)
    warm = (hue < 45) | (hue > 345)
    names[warm & (val < 150) & (sat > 60) & (hue >= 10) & (hue < 45)] = NAMES.index("brown")
    names[warm & (val >= 150) & (sat > 35) & (sat <= 105) & (hue >= 10)] = NAMES.index("beige")
    names[(warm | (hue > 320)) & ((hue < 10) | (hue > 320)) & (val >= 165) & (sat > 40) & (sat <= 130)] = NAMES.index(
        "pink"
    )
    pale = (sat <= 35) | ((sat <= 55) & (val < 90))
    names[pale & (val >= 185)] = NAMES.index("white")
    names[pale & (val < 185)] = NAMES.index("grey")
    names[(val < 55) | ((val < 80) & (sat < 80))] = NAMES.index("black")
    counts = np.bincount(names, minlength=len(NAMES)).astype(np.float32)
    shares: F32 = counts / counts.sum()
    return shares


@lru_cache
def _weights(colour: str) -> F32:
    """[12] what each named colour counts for when this one is asked for."""
    alike = [max(_ALIKE.get((name, colour), 0.0), _ALIKE.get((colour, name), 0.0)) for name in NAMES]
    return np.array([1.0 if name == colour else k for name, k in zip(NAMES, alike, strict=True)], np.float32)


def likeness(shares: F32, colour: str) -> float:
    """How well measured shares [12] fit a colour word, in [0, 1]; near colours count in part."""
    total = float(shares @ _weights(colour))
    return 1 - (1 - min(1.0, total)) ** 2  # a garment is seldom over two thirds of one word; 1 - 0.33^2 is 0.9


def parts(rgb: U8, patch: Patch, landmarks: F32 | None) -> dict[str, F32]:
    """Colour shares of an entity's parts in a frame [H, W, 3]: `whole`, and of a person `top`, `bottom`, `head`.

    Parts of a person come from the pose's shoulders, hips and knees where they are seen, else from thirds of the box.
    """
    box = patch.box()
    if box is None:
        return {}
    x0, y0, x1, y1 = (int(v) for v in box)
    step = max(1, int(np.sqrt((x1 - x0) * (y1 - y0) / 6_000)))
    region = rgb[y0:y1:step, x0:x1:step]
    mask = patch.on((x0, y0, x1, y1))[::step, ::step] >= HALF + 48
    rows = np.arange(mask.shape[0])[:, None] * step + y0
    out = {"whole": histogram(region[mask])}
    bands = _bands(landmarks, y0, y1)
    for name, (low, high) in bands.items():
        out[name] = histogram(region[mask & (rows >= low) & (rows < high)])
    return out


def _bands(landmarks: F32 | None, y0: int, y1: int) -> dict[str, tuple[float, float]]:
    high = y1 - y0
    if landmarks is not None and landmarks[[11, 12, 23, 24], 2].min() > 0.5:
        shoulder, hip = float(landmarks[[11, 12], 1].mean()), float(landmarks[[23, 24], 1].mean())
        if hip - shoulder > 0.12 * high:
            torso = hip - shoulder
            return {
                "head": (y0, shoulder - 0.1 * torso),
                "top": (shoulder, hip - 0.15 * torso),
                "bottom": (hip, hip + torso),
            }
    return {
        "head": (y0, y0 + 0.14 * high),
        "top": (y0 + 0.2 * high, y0 + 0.45 * high),
        "bottom": (y0 + 0.52 * high, y0 + 0.8 * high),
    }
