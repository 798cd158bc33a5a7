"""Close-ups: a second look of the detector at a part of the frame, enlarged, for what is small in it.

A detector that takes in 416 pixels sees a child at the far end of a street as ten of them. Cutting the frame into
tiles finds such things (SAHI: Akyon et al., arXiv 2202.06934) at the price of all tiles; here it is one close-up a
look: the tiles in turn, those in which nothing moves left out, and in between the places where one has found something.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np

from engines.crops import F32, U8
from engines.detections import Detections
from stream.detect import Detect, covered, merge

PLACES = 4
"""Most places that are looked at in turn."""
DOUBTFUL = frozenset({"sports ball", "frisbee", "kite"})
"""What small detectors take any small thing for."""


class Place(msgspec.Struct):
    """A box [4] xyxy pixels in which a close-up found what the whole frame does not show; when it was last looked at,
    and how many in a row found nothing."""

    box: np.ndarray
    looked: int = -1
    misses: int = 0


class CloseUpState(msgspec.Struct):
    places: list[Place] = msgspec.field(default_factory=list)
    looks: int = 0
    turn: int = 0
    """How many of the looks were for something new."""


@dataclass(frozen=True, slots=True)
class CloseUp:
    """`step` once a look.

    sure: score from which a detection counts; new: from which one does that no close-up found before; faint: from which
    the whole frame's are worth one. side: of a close-up, and small: longest side of what it may find, in shares of the
    frame's longer side. patience: close-ups in a row without a find before a place is given up.
    """

    detect: Detect
    sure: float = 0.35
    new: float = 0.5
    faint: float = 0.15
    side: float = 0.4
    small: float = 0.15
    patience: int = 3

    def step(self, state: CloseUpState, rgb: U8, found: Detections, moving: Detections) -> Detections:
        """What is found in a frame [H, W, 3], and what a close-up adds to it."""
        size = (int(rgb.shape[0]), int(rgb.shape[1]))
        sure = [i for i in range(len(found)) if found.scores[i] >= self.sure and found.categories[i] not in DOUBTFUL]
        named = found.boxes[sure]
        state.places = [p for p in state.places if p.misses < self.patience and not _share(p.box, named)]
        state.looks += 1
        if state.places and state.looks % 2:
            more = self._again(state, rgb, size)
        else:
            tile = self._next(state, size, found, [i for i in range(len(found)) if i not in sure], moving)
            more = self._look(rgb, tile, self.new) if tile is not None else Detections.none()
            more = more.take([i for i in range(len(more)) if _share(more.boxes[i], moving.boxes)
                              and _add(state, more.boxes[i], named)])  # fmt: skip
        rest = [i for i in range(len(found)) if i in sure or not _share(found.boxes[i], more.boxes)]
        return merge(found.take(rest), more)

    def _again(self, state: CloseUpState, rgb: U8, size: tuple[int, int]) -> Detections:
        """A close-up of the place that has waited longest."""
        place = min(state.places, key=lambda p: p.looked)
        place.looked = state.looks
        more = self._look(rgb, self._round(place.box, size), self.sure)
        more = more.take([i for i in range(len(more)) if _share(place.box, more.boxes[i : i + 1])][:1])
        place.misses = 0 if len(more) else place.misses + 1
        if len(more):
            place.box = more.boxes[0].astype(np.float32)
        return more

    def _next(
        self, state: CloseUpState, size: tuple[int, int], found: Detections, unsure: list[int], moving: Detections
    ) -> F32 | None:
        """Where to look for something new: round what was found and is doubted, or at the next tile with motion."""
        moves = [i for i in unsure if found.scores[i] >= self.faint and _share(found.boxes[i], moving.boxes)]
        small = [i for i in moves if self._small(found.boxes[i : i + 1], size)[0]]
        tiles = [t for t in self._tiles(size) if _share(t, moving.boxes, least=0.05)]
        state.turn += 1
        if small and (state.turn % 2 or not tiles):
            return self._round(found.boxes[small[state.turn // 2 % len(small)]], size)
        return tiles[state.turn // (2 if small else 1) % len(tiles)] if tiles else None

    def _small(self, boxes: F32, size: tuple[int, int]) -> list[bool]:
        sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0)
        return [bool(side <= self.small * max(size)) for side in sides]

    def _tiles(self, size: tuple[int, int]) -> list[F32]:
        """Boxes that cover a frame of `size` (H, W), overlapping by what they may find."""
        h, w = size
        side = self.side * max(size)
        step = side - self.small * max(size)
        xs, ys = (np.linspace(0, max(0.0, n - side), 1 + int(np.ceil(max(0.0, n - side) / step))) for n in (w, h))
        return [np.array([x, y, min(w, x + side), min(h, y + side)], np.float32) for y in ys for x in xs]

    def _round(self, box: F32, size: tuple[int, int]) -> F32:
        """The close-up with a box in its middle, as far as the frame allows."""
        h, w = size
        wide, high = min(w, self.side * max(size)), min(h, self.side * max(size))
        x = float(np.clip((box[0] + box[2] - wide) / 2, 0, w - wide))
        y = float(np.clip((box[1] + box[3] - high) / 2, 0, h - high))
        return np.array([x, y, x + wide, y + high], np.float32)

    def _look(self, rgb: U8, tile: F32, least: float) -> Detections:
        """The small things found in a part of the frame; what its edge cuts is left out, but for the frame's own."""
        h, w = rgb.shape[:2]
        x0, y0, x1, y1 = (round(float(v)) for v in tile)
        found = self.detect.look(np.ascontiguousarray(rgb[y0:y1, x0:x1]))
        boxes = (found.boxes + np.array([x0, y0, x0, y0], np.float32)).astype(np.float32)
        edges, frame = np.array([x0, y0, x1, y1]), np.array([0, 0, w, h])
        cut = ((np.abs(boxes - edges) < 3) & (edges != frame)).any(axis=1)
        small = self._small(boxes, (h, w))
        return Detections(boxes, found.scores, found.categories).take(
            [i for i in range(len(found)) if found.scores[i] >= least and small[i] and not cut[i]]
        )


def _add(state: CloseUpState, box: F32, named: np.ndarray) -> bool:
    """Whether a box is a new place to look at: neither one already nor what needs no close-up."""
    known = np.concatenate([named.reshape(-1, 4), *[p.box[None] for p in state.places]])
    new = len(state.places) < PLACES and not _share(box, known, least=0.3)
    if new:
        state.places.append(Place(box.astype(np.float32), state.looks))
    return new


def _share(box: F32, others: np.ndarray, *, least: float = 0.5) -> bool:
    """Whether over that share of the smaller one is common to a box and one of some others [N, 4]."""
    return covered(box[None], others)[0] > least
