"""What an entity looks like, measured; and how alike two looks are.

Colour first (LAB a,b histograms of the mask's upper and lower half tell people apart best: docs/lite.md has the
figures), then the re-identification network where clothes are alike.
"""

from __future__ import annotations

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from engines.crops import U8
from stream.entity import MOST, Entity, Look
from stream.patch import Patch

BINS = 12
MEMORY = 8
"""How many sights a look averages at most: later ones count 1 / MEMORY."""


def measure(rgb: U8, patch: Patch, embed: NDArray[np.float32] | None) -> Look | None:
    """The look of a mask in a frame [H, W, 3] uint8 RGB; None where it is too small to tell."""
    box = patch.box()
    if box is None or patch.area < 64:
        return None
    x0, y0, x1, y1 = (int(v) for v in box)
    step = max(1, int(np.sqrt((x1 - x0) * (y1 - y0) / 10_000)))  # about 10,000 pixels say enough
    lab = cv2.cvtColor(np.ascontiguousarray(rgb[y0:y1:step, x0:x1:step]), cv2.COLOR_RGB2LAB)
    mask = patch.on((x0, y0, x1, y1))[::step, ::step] >= 160  # well inside: borders carry the background's colour
    half = lab.shape[0] // 2
    colour, light = [], []
    for part, inside in ((lab[:half], mask[:half]), (lab[half:], mask[half:])):
        pixels = part[inside]
        counts = np.bincount(_bins(pixels), minlength=BINS * BINS).astype(np.float32)
        colour.append(np.sqrt(counts / max(1.0, counts.sum())))
        light.append(pixels[:, 0].mean() / 255 if len(pixels) else 0.5)
    empty = np.zeros(0, np.float32)
    aspect = float((box[3] - box[1]) / max(1.0, float(box[2] - box[0])))
    return Look(np.array(colour), np.array(light, np.float32), empty if embed is None else embed, aspect)


def of_most(rgb: U8, e: Entity) -> Look | None:
    """The colours of an entity, where most of it is to be seen."""
    return measure(rgb, e.patch, None) if e.patch is not None and e.shows(MOST) else None


def _bins(lab: NDArray[np.uint8]) -> NDArray[np.int32]:
    """The colour bin of LAB pixels [..., 3] uint8."""
    a = np.clip((lab[..., 1].astype(np.int32) - 80) * BINS // 96, 0, BINS - 1)
    b = np.clip((lab[..., 2].astype(np.int32) - 80) * BINS // 96, 0, BINS - 1)
    return a * BINS + b


def whose(rgb: U8, a: Look, b: Look) -> NDArray[np.float32]:
    """Log odds [h, w] that pixels [h, w, 3] uint8 RGB are of `a`'s colours rather than `b`'s."""
    bins = _bins(cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2LAB))
    shares = [np.square(v.colour).mean(axis=0) + np.float32(0.004) for v in (a, b)]
    odds: NDArray[np.float32] = np.log(shares[0] / shares[1]).astype(np.float32)
    return odds[bins]


def blend(old: Look | None, new: Look) -> Look:
    """The running average of an entity's looks."""
    if old is None:
        return new
    k = np.float32(1 / min(old.count + 1, MEMORY))
    embed = new.embed if not len(old.embed) else old.embed
    if len(new.embed) and len(old.embed):
        embed = old.embed + k * (new.embed - old.embed)
        embed = embed / np.float32(max(1e-6, float(np.linalg.norm(embed))))
    return Look(
        (old.colour + k * (new.colour - old.colour)).astype(np.float32),
        (old.light + k * (new.light - old.light)).astype(np.float32),
        embed.astype(np.float32),
        old.aspect + float(k) * (new.aspect - old.aspect),
        old.count + 1,
    )


def of_colours(part: Look, whole: Look) -> float:
    """How far the colours of what may be a part are those of one half of the whole, in [0, 1]: a head and shoulders are
    unlike the whole half by half, and like its upper half."""
    shares = np.sqrt(np.square(part.colour).mean(axis=0))
    return float((whole.colour @ shares).max())


def colours_only(a: Look) -> Look:
    """The look without the network's part: for two that have it and are to be compared by colours alone."""
    return msgspec.structs.replace(a, embed=np.zeros(0, np.float32))


def similarity(a: Look | None, b: Look | None) -> float:
    """How alike two looks are, in [0, 1]: Bhattacharyya coefficient of the colours, lightness, network."""
    if a is None or b is None:
        return 0.5
    norms = [np.maximum(1e-6, np.linalg.norm(v.colour, axis=1)) for v in (a, b)]
    colour = float(((a.colour * b.colour).sum(axis=1) / (norms[0] * norms[1])).mean())
    light = float(1 - np.abs(a.light - b.light).mean())
    score = 0.75 * colour + 0.25 * max(0.0, 1 - 2.5 * (1 - light))
    if len(a.embed) and len(b.embed):
        score = 0.7 * score + 0.3 * max(0.0, float(a.embed @ b.embed))
    return max(0.0, min(1.0, score))
