"""A patch: one entity's mask as a map of log odds over a window of the frame, and what one does with it.

Masks live in windows so that work scales with the entity and not with the frame.
"""

from __future__ import annotations

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
Bool = NDArray[np.bool_]
Window = tuple[int, int, int, int]
HALF = 128


class Patch(msgspec.Struct, frozen=True):
    """A mask over the window whose top left pixel is (x0, y0).

    prob: [h, w] uint8 = 128 + 32 x the pixel's log odds, clipped: linear in logits, so that interpolation is right,
    and 128 or more is the entity's.
    """

    x0: int
    y0: int
    prob: np.ndarray  # U8; msgspec takes no generic aliases

    @classmethod
    def of_logits(cls, x0: int, y0: int, logits: F32) -> Patch:
        """A patch of logits [h, w] float32."""
        return cls(x0, y0, to_levels(logits))

    @property
    def window(self) -> Window:
        h, w = self.prob.shape
        return self.x0, self.y0, self.x0 + w, self.y0 + h

    @property
    def mask(self) -> Bool:
        """[h, w] bool over the window."""
        return self.prob >= HALF

    @property
    def area(self) -> int:
        """Pixels of the mask."""
        return int(np.count_nonzero(self.prob >= HALF))

    def box(self) -> F32 | None:
        """Tight box of the mask, xyxy float32 pixels; None where it is empty."""
        mask = self.mask
        ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if not len(xs):
            return None
        return np.array([self.x0 + xs[0], self.y0 + ys[0], self.x0 + xs[-1] + 1, self.y0 + ys[-1] + 1], np.float32)

    def at_edge(self, size: tuple[int, int]) -> bool:
        """Whether the mask touches the border of a frame of `size` (H, W): more of the thing may be beyond it."""
        box = self.box()
        return box is not None and bool(min(box[0], box[1]) <= 2 or box[2] >= size[1] - 2 or box[3] >= size[0] - 2)

    def on(self, window: Window) -> U8:
        """The probabilities over another window, 0 where this patch says nothing."""
        x0, y0, x1, y1 = window
        out = np.zeros((y1 - y0, x1 - x0), np.uint8)
        shared = intersect(self.window, window)
        if shared is not None:
            a, b, c, d = shared
            out[b - y0 : d - y0, a - x0 : c - x0] = self.prob[b - self.y0 : d - self.y0, a - self.x0 : c - self.x0]
        return out

    def without(self, other: Bool, window: Window) -> Patch:
        """This patch less the pixels of `other`, a mask over `window`."""
        shared = intersect(self.window, window)
        if shared is None:
            return self
        a, b, c, d = shared
        prob = self.prob.copy()
        view = prob[b - self.y0 : d - self.y0, a - self.x0 : c - self.x0]
        view[other[b - window[1] : d - window[1], a - window[0] : c - window[0]]] = 0
        return Patch(self.x0, self.y0, prob)

    def joined(self, other: Patch) -> Patch:
        """What either holds."""
        windows = np.array([self.window, other.window])
        x0, y0, x1, y1 = (int(v) for v in (*windows[:, :2].min(axis=0), *windows[:, 2:].max(axis=0)))
        return Patch(x0, y0, np.maximum(self.on((x0, y0, x1, y1)), other.on((x0, y0, x1, y1))))

    def within(self, window: Window) -> Patch:
        """This patch inside the window only."""
        shared = intersect(self.window, window)
        if shared is None:
            return Patch(self.x0, self.y0, np.zeros((1, 1), np.uint8))
        return Patch(shared[0], shared[1], self.on(shared))

    def moved(self, dx: float, dy: float) -> Patch:
        """The mask shifted by as many pixels, fractions too; it may reach beyond the frame."""
        x0, y0 = int(np.floor(self.x0 + dx)), int(np.floor(self.y0 + dy))
        h, w = self.prob.shape
        come = np.array([[1, 0, self.x0 + dx - x0], [0, 1, self.y0 + dy - y0]])
        return Patch(x0, y0, cv2.warpAffine(self.prob, come, (w + 1, h + 1), flags=cv2.INTER_LINEAR))

    def scaled(self, kx: float, ky: float) -> Patch:
        """The mask in a frame of `kx` times the width and `ky` times the height."""
        x0, y0, x1, y1 = self.window
        a, b, c, d = int(np.floor(x0 * kx)), int(np.floor(y0 * ky)), int(np.ceil(x1 * kx)), int(np.ceil(y1 * ky))
        left, top = round(a / kx), round(b / ky)
        levels = self.on((left, top, max(left + 1, round(c / kx)), max(top + 1, round(d / ky))))
        how = cv2.INTER_AREA if kx < 1 else cv2.INTER_LINEAR
        return Patch(a, b, cv2.resize(levels, (c - a, d - b), interpolation=how))

    def trim(self) -> Patch:
        """The same probabilities in the smallest window that holds all over 1/8, with one pixel of margin."""
        some = self.prob > HALF // 4
        ys, xs = np.flatnonzero(some.any(axis=1)), np.flatnonzero(some.any(axis=0))
        if not len(xs):
            return Patch(self.x0, self.y0, np.zeros((1, 1), np.uint8))
        h, w = self.prob.shape
        y0, y1, x0, x1 = max(0, ys[0] - 1), min(h, ys[-1] + 2), max(0, xs[0] - 1), min(w, xs[-1] + 2)
        return Patch(self.x0 + int(x0), self.y0 + int(y0), np.ascontiguousarray(self.prob[y0:y1, x0:x1]))

    def solid(self) -> Patch:
        """The mask closed: gaps narrower than a sixth of it and holes inside it are filled (a car has none)."""
        h, w = self.prob.shape
        k = max(3, min(h, w) // 6 | 1)
        framed = cv2.copyMakeBorder(self.mask.astype(np.uint8), k, k, k, k, cv2.BORDER_CONSTANT, value=0)
        closed = cv2.morphologyEx(framed, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (k, k)))
        outlines, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        filled = cv2.drawContours(closed, outlines, -1, 1, cv2.FILLED)[k:-k, k:-k]
        return Patch(self.x0, self.y0, np.where(filled > 0, np.maximum(self.prob, HALF), self.prob).astype(np.uint8))

    def main_part(self, *, keep: float = 0.2) -> Patch:
        """Without specks: parts smaller than `keep` of the largest are dropped."""
        mask = self.mask.astype(np.uint8)
        if len(cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]) < 2:  # four times as quick
            return self
        _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        areas = stats[1:, cv2.CC_STAT_AREA]
        small = np.flatnonzero(areas < keep * areas.max()) + 1
        if not len(small):
            return self
        prob = self.prob.copy()
        prob[np.isin(labels, small)] = 0
        return Patch(self.x0, self.y0, prob)


def to_levels(logits: F32) -> U8:
    """Logits as uint8 levels: 128 is even odds, 32 a unit."""
    levels: U8 = np.clip(logits * np.float32(32) + np.float32(128), 0, 255).astype(np.uint8)
    return levels


def intersect(a: Window, b: Window) -> Window | None:
    x0, y0, x1, y1 = max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])
    return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None


def window_of(box: NDArray[np.floating], size: tuple[int, int], *, grow: float = 0.0) -> Window:
    """The window of a box (xyxy), grown by `grow` of its size on each side and clipped to `size` (H, W)."""
    dx, dy = grow * (box[2] - box[0]), grow * (box[3] - box[1])
    h, w = size
    x0, y0 = int(np.clip(np.floor(box[0] - dx), 0, w - 1)), int(np.clip(np.floor(box[1] - dy), 0, h - 1))
    x1, y1 = int(np.clip(np.ceil(box[2] + dx), x0 + 1, w)), int(np.clip(np.ceil(box[3] + dy), y0 + 1, h))
    return x0, y0, x1, y1


def shared_area(a: Patch, b: Patch) -> int:
    """Pixels both masks hold."""
    shared = intersect(a.window, b.window)
    if shared is None:
        return 0
    return int(np.count_nonzero((a.on(shared) >= HALF) & (b.on(shared) >= HALF)))


def iou(a: Patch, b: Patch) -> float:
    """Intersection over union of the two masks, 0 where both are empty."""
    both = shared_area(a, b)
    union = a.area + b.area - both
    return both / union if union else 0.0
