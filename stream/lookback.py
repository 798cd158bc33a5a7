"""Look-back: an entity that is new, or back, is followed backward to when it could be seen first, within the window.

Strefer tracks from its one start frame in both directions; a stream can only look back a little. Frame by frame the
mask is shifted to where its pixels were (`shift`) and drawn anew there by its network, as far as that agrees. It is
given up where its pixels are not found, where the ground round it explains them as well and its way has broken off,
and where what it covers is what is seen there later without it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from stream import look as looks
from stream.flow import Flow, flow_image
from stream.outline import Outliner
from stream.patch import U8, Bool, Patch, iou
from stream.shift import shift_of

LEAST_SHARE, MOST_SHARE = 0.2, 2.0
"""Of the area of the mask that is followed back: less or more than that is something else."""
LEAST = 24
"""Pixels of a mask that can be followed back, in the small images."""
REACH = 12
"""Pixels of the small images by which a step may differ from the one before; twice as many at the first."""
AGREES, TRUST = 0.5, 0.85
"""IoU from which a network's mask is believed to be the one that was shifted, and its share in what is kept."""
DIFFERS, NOISE = 40.0, 8.0
"""Levels by which a thing's pixels may differ from a frame to the next, and by which one always may."""
HOLD = 0.9
"""Share of the difference that its ground's motion leaves, over which its own motion explains it no better."""
WORSE = 1.2
"""Share of the same, over which what no network has seen is not followed."""
BREAKS, BREAKS_SHARE = 3.0, 0.6
"""Pixels, and share of its speed, by which its motion against the ground must change at once to be none of its own."""
BARE, BARE_SHARE = 10.0, 0.5
"""Levels within which two sights of the ground are the same, and share of a mask that may be ground."""
LEAST_SPEED = 1.5
"""Pixels a frame against the ground, over which it moves for certain."""
ALIKE = 0.7
"""How alike what is clear of the frame's edge must stay to what is followed."""
RIM = 12
"""Pixels round a mask that are its ground."""
_EVEN = (3, 3)
"""Pixels over which sights of the ground are averaged before they are compared."""

Way = NDArray[np.floating]
"""[2]: a shift (x, y) in pixels of the small images."""


class Past(msgspec.Struct):
    """The last frames of this shot, oldest first: times and small images [h, w, 3]. Bounded by `window_us`."""

    window_us: int = 2_000_000
    times: list[int] = msgspec.field(default_factory=list)
    images: list[np.ndarray] = msgspec.field(default_factory=list)

    def add(self, pts_us: int, image: U8) -> None:
        self.times.append(pts_us)
        self.images.append(image)
        while self.times[0] < pts_us - self.window_us:
            del self.times[0], self.images[0]

    def clear(self) -> None:
        self.times, self.images = [], []


@dataclass(frozen=True, slots=True)
class Followed:
    """What is followed back. first: its mask at `first_us`; newest: its mask in the newest frame, None where it has
    none. size: (H, W) of the frame that both are in."""

    category: str
    first: Patch
    first_us: int
    newest: Patch | None
    size: tuple[int, int]


def trace_back(past: Past, what: Followed, outliner: Outliner | None) -> list[tuple[int, Patch]]:
    """Masks before `what.first_us`, newest first. outliner: draws them anew; None: they are only shifted."""
    if what.first_us not in past.times:
        return []
    start, images = past.times.index(what.first_us), past.images
    (h, w), (small_h, small_w) = what.size, images[0].shape[:2]
    kx, ky = w / small_w, h / small_h

    def small(mask: Patch) -> Patch:
        return mask.scaled(1 / kx, 1 / ky).within((0, 0, small_w, small_h))

    first = small(what.first)
    if not first.area:
        return []
    trace = _Trace(images[start], first, what.category, outliner)
    if what.newest is not None and start + 1 < len(images) and (newest := small(what.newest)).area:
        bare = _Bare(images[-1], newest)
        for i in range(len(images) - 1, start, -1):
            bare.go(_ground(bare.mask, flow_image(images[i]), flow_image(images[i - 1])))
        trace.bare.append(bare)
    found: list[tuple[int, Patch]] = []
    for i in range(start, 0, -1):
        mask = trace.step(images[i], images[i - 1])
        full = mask.scaled(kx, ky).within((0, 0, w, h)) if mask is not None else None
        if full is None or not full.area:
            break
        found.append((past.times[i - 1], full))
    return found


class _Trace:
    """One entity on its way back through the small images. mask: where it is in the frame that was reached.

    bare: later frames. shift: its last step; way: its steps against the ground, averaged, None at the start.
    """

    def __init__(self, image: U8, mask: Patch, category: str, outliner: Outliner | None) -> None:
        self.mask, self._category, self._outliner = mask, category, outliner
        self.bare = [_Bare(image, mask)]
        self._area, self._look = mask.area, looks.measure(image, mask, None)
        self._shift: Way = np.zeros(2)
        self._way: Way | None = None

    def step(self, now: U8, before: U8) -> Patch | None:
        """Its mask in `before`, the frame in front of `now`, which was reached; None where it is not found there."""
        grey, earlier = flow_image(now), flow_image(before)
        shift = shift_of(self.mask, grey, earlier, self._shift, REACH if self._way is not None else 2 * REACH)
        if shift is None:
            return None
        ground = _ground(self.mask, grey, earlier)
        own, still = (_difference(self.mask, now, before, way) for way in (shift, ground))
        if own > DIFFERS or (own > HOLD * still and self._breaks(shift - ground, now, sure=own > NOISE)):
            return None
        self._way = shift - ground if self._way is None else 0.7 * self._way + 0.3 * (shift - ground)
        self._shift = shift
        shifted = self.mask.moved(*shift).within((0, 0, now.shape[1], now.shape[0])).trim()
        drawn = self._drawn(shifted, before)
        if drawn is None and own > max(NOISE, WORSE * still):
            return None
        for sight in self.bare:
            sight.go(ground)
        self.mask = (drawn or shifted).main_part(keep=0.1).trim()
        return self.mask if self._is_it(before) else None

    def _drawn(self, mask: Patch, rgb: U8) -> Patch | None:
        """What the category's network makes of the mask that was shifted here; None where it sees something else."""
        box = mask.box()
        if self._outliner is None or box is None or self._outliner.kind(self._category) == "cut":
            return None
        seen = self._outliner.outline(rgb, box, self._category, mask, grow=0.15, second_opinion=False).patch
        if iou(seen, mask) <= AGREES:
            return None
        levels = np.float32(TRUST) * seen.prob + np.float32(1 - TRUST) * mask.on(seen.window)
        return Patch(seen.x0, seen.y0, levels.astype(np.uint8))

    def _breaks(self, step: Way, image: U8, *, sure: bool) -> bool:
        """Whether a step has nothing to do with the way so far: it is another thing's (`sure`: something has changed
        there), or, at the frame's edge, where ground is all there is once the thing has left, the ground's."""
        if self._way is None:
            return False
        speed = float(np.hypot(*self._way))
        stops = speed > LEAST_SPEED and float(np.hypot(*step)) < 0.5 * speed
        if stops and self.mask.at_edge(image.shape[:2]):
            return True
        return sure and float(np.hypot(*(step - self._way))) > max(BREAKS, BREAKS_SHARE * speed)

    def _is_it(self, image: U8) -> bool:
        """Whether what the mask covers can be the thing: large enough, of its colours, and no ground."""
        area, at_edge = self.mask.area, self.mask.at_edge(image.shape[:2])  # what is beyond the edge cannot be asked
        if not max(LEAST, 0 if at_edge else LEAST_SHARE * self._area) <= area <= MOST_SHARE * self._area:
            return False
        if not at_edge and looks.similarity(looks.measure(image, self.mask, None), self._look) < ALIKE:
            return False
        ground = np.any([sight.shows(self.mask, image) for sight in self.bare], axis=0)
        return int(ground.sum()) <= BARE_SHARE * area


class _Bare:
    """A later frame, in which ground may be bare that the thing hides, or is thought to hide, in earlier ones."""

    def __init__(self, image: U8, mask: Patch) -> None:
        self.mask, self._image = mask, _even(image)
        h, w = image.shape[:2]
        covered = mask.on((0, 0, w, h)) >= 128
        self._covered = cv2.dilate(covered.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        self._way = np.zeros(2)

    def go(self, ground: Way) -> None:
        """The ground's shift from the frame that was compared last to the one before it."""
        self._way = self._way + ground

    def shows(self, mask: Patch, image: U8) -> Bool:
        """[N]: which of the mask's pixels in `image`, an earlier frame, look as here, where nothing is before them."""
        x, y = _pixels(mask)
        h, w = self._covered.shape
        there_x, there_y = np.rint(x - self._way[0]).astype(int), np.rint(y - self._way[1]).astype(int)
        inside = (there_x >= 0) & (there_y >= 0) & (there_x < w) & (there_y < h)
        there_x, there_y = np.where(inside, there_x, 0), np.where(inside, there_y, 0)
        change = np.abs(_even(image)[y, x] - self._image[there_y, there_x]).mean(axis=1)
        same: Bool = inside & (change < BARE) & ~self._covered[there_y, there_x]
        return same


def _ground(mask: Patch, now: U8, before: U8) -> Way:
    """The shift of what is round the mask, from `now` to `before`, grey images [h, w]."""
    x0, y0, x1, y1 = mask.window
    h, w = now.shape
    x0, y0, x1, y1 = max(0, x0 - RIM), max(0, y0 - RIM), min(w, x1 + RIM), min(h, y1 + RIM)
    free = mask.on((x0, y0, x1, y1)) < 64
    steps = Flow(now, before, (h, w)).field[y0:y1, x0:x1][free]
    return np.median(steps, axis=0) if len(steps) else np.zeros(2)


def _difference(mask: Patch, now: U8, before: U8, shift: Way) -> float:
    """Mean difference in levels between the mask's pixels in `now` and, shifted, in `before`, of those inside it."""
    x, y = _pixels(mask)
    there_x, there_y = np.rint(x + shift[0]).astype(int), np.rint(y + shift[1]).astype(int)
    inside = (there_x >= 0) & (there_y >= 0) & (there_x < now.shape[1]) & (there_y < now.shape[0])
    if not inside.any():
        return 255.0
    change = now[y[inside], x[inside]].astype(np.int16) - before[there_y[inside], there_x[inside]]
    return float(np.abs(change).mean())


def _pixels(mask: Patch) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """x and y of the mask's pixels, [N] each."""
    y, x = np.nonzero(mask.mask)
    return x + mask.x0, y + mask.y0


def _even(image: U8) -> NDArray[np.int16]:
    return np.asarray(cv2.blur(image, _EVEN), np.int16)
