"""What stands still behind everything, learnt while the camera rests: it sharpens masks no network draws well.

A running mean per pixel over the frames in which no entity covers it and nothing moves there (the idea of Wren et
al., "Pfinder", PAMI 1997, without the covariance). While the camera moves there is no background and nothing is said.
"""

from __future__ import annotations

import cv2
import msgspec
import numpy as np

from engines.crops import U8, shrink
from stream.entity import Entity
from stream.flow import Flow
from stream.patch import HALF, Patch, window_of

_FULL = 60
_TRUSTED = 4


class BackgroundState(msgspec.Struct):
    mean: np.ndarray | None = None
    """[h, w, 3] uint16, LAB times 128."""
    turn: bool = False
    seen: np.ndarray | None = None
    """[h, w] uint8: in how many frames the pixel was free, up to 60."""


class Background:
    """Learns the still scene and says, for a window of the frame, what is not it."""

    def __init__(self, *, camera_px: float = 0.4, differs: float = 16.0) -> None:
        self._camera_px, self._differs = camera_px, differs

    def step(self, state: BackgroundState, rgb: U8, flow: Flow | None, entities: list[Entity]) -> U8 | None:
        """Take a frame ([H, W, 3], of any size) in, with the masks and boxes of the frame before.

        Returns the frame as `sharpen` wants it, [h, w, 3] uint8 LAB; None where there is no background."""
        if flow is None or max(abs(v) for v in flow.camera) > self._camera_px * flow.kx:
            state.mean = state.seen = None
            return None
        h, w = flow.coarse.shape[:2]
        lab: U8 = cv2.cvtColor(shrink(rgb, (w, h)), cv2.COLOR_RGB2LAB)
        state.turn = not state.turn
        if state.mean is not None and state.turn:
            return lab  # every second frame is enough to learn what stands still
        free = (np.abs(flow.coarse).max(axis=2) < 0.5).astype(np.uint8)
        for e in entities:
            self._keep_out(free, e, flow)
        if state.mean is None or state.seen is None or state.mean.shape != lab.shape:
            state.mean, state.seen = np.zeros(lab.shape, np.uint16), np.zeros((h, w), np.uint8)
        # What has changed and rests is a new piece of the scene: learnt afresh, not averaged into the old.
        stale = (free > 0) & (np.abs(lab * np.float32(128) - state.mean).max(axis=2) > 128 * 1.5 * self._differs)
        state.seen[stale] = 0
        n = state.seen.astype(np.float32) + 1
        step = (lab.astype(np.float32) * 128 - state.mean) / np.minimum(n, _FULL)[..., None]
        state.mean = np.where(free[..., None] > 0, state.mean + step, state.mean).astype(np.uint16)
        state.seen = np.minimum(state.seen + free, _FULL).astype(np.uint8)
        return lab

    def _keep_out(self, free: U8, e: Entity, flow: Flow) -> None:
        """Bar an entity's pixels from learning: its whole box while it rests, its mask (and a rim) while it moves."""
        h, w = free.shape
        kx, ky = flow.kx * 2, flow.ky * 2
        window = window_of(e.box / np.array([kx, ky] * 2), (h, w), grow=0.12)
        moves = e.patch is not None and float(np.hypot(*flow.motion(e.patch))) > 1.5 * kx
        if e.patch is None or not moves:
            free[window[1] : window[3], window[0] : window[2]] = 0
            return
        x0, y0, x1, y1 = e.patch.window
        a, b = int(x0 / kx), int(y0 / ky)
        c, d = min(w, max(a + 1, round(x1 / kx))), min(h, max(b + 1, round(y1 / ky)))
        small = cv2.resize(e.patch.prob, (c - a, d - b), interpolation=cv2.INTER_AREA) >= HALF // 2
        padded = np.zeros((h, w), np.uint8)
        padded[b:d, a:c] = small
        free[cv2.dilate(padded, np.ones((5, 5), np.uint8)) > 0] = 0

    def sharpen(
        self,
        state: BackgroundState,
        now: U8 | None,
        patch: Patch,
        box: np.ndarray,
        others: list[Patch],
        flow: Flow | None,
        size: tuple[int, int],
        *,
        rigid: bool,
    ) -> Patch:
        """The patch with limbs it missed and without halos, as far as the background behind is known.

        Only what moves is added: where something stood when the background was learnt and has left, the wall behind
        differs from what was learnt, but it rests. rigid: the thing moves as one piece, so what moves along is it.
        """
        if state.mean is None or state.seen is None or now is None or not patch.area:
            return patch
        h, w = state.seen.shape
        kx, ky = size[1] / w, size[0] / h
        window = window_of(box, size, grow=0.12)
        x0, y0, x1, y1 = (
            int(window[0] / kx),
            int(window[1] / ky),
            int(np.ceil(window[2] / kx)),
            int(np.ceil(window[3] / ky)),
        )
        known = state.seen[y0:y1, x0:x1] >= _TRUSTED
        if known.size == 0 or (known.mean() < 0.5 and not rigid):
            return patch
        delta = np.abs(now[y0:y1, x0:x1].astype(np.float32) - state.mean[y0:y1, x0:x1] / np.float32(128))
        # Shadows change lightness more than colour.
        distance = 0.6 * delta[..., 0] + 1.2 * np.maximum(delta[..., 1], delta[..., 2])
        evidence = np.where(known, np.clip((distance - self._differs) * 4, -48, 80), 0).astype(np.float32)
        field = flow.coarse[y0:y1, x0:x1] if flow is not None else np.zeros((*known.shape, 2), np.float32)
        speed = np.hypot(*flow.motion(patch)) / flow.kx if flow is not None else 0.0
        rests = np.abs(field).max(axis=2) < max(0.3, 0.35 * speed)
        evidence[rests & (evidence > 0)] = 0
        evidence += _moves_along(flow, patch, field, rigid=rigid)
        m = np.array([[1 / kx, 0, (window[0] + 0.5) / kx - 0.5 - x0], [0, 1 / ky, (window[1] + 0.5) / ky - 0.5 - y0]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        wide = (window[2] - window[0], window[3] - window[1])
        full = cv2.warpAffine(evidence, m, wide, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        for other in others:  # what stands out there is somebody else
            full[other.on(window) >= HALF] = 0
        levels = np.maximum(patch.on(window).astype(np.float32), 64)  # a network's firm no is softened: it may be added
        out = Patch(window[0], window[1], np.clip(levels + full, 0, 255).astype(np.uint8))
        grown = cv2.morphologyEx(out.mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
        kept = _touching(grown, patch.on(window) >= HALF)
        return Patch(window[0], window[1], np.where(kept, out.prob, np.minimum(out.prob, HALF - 1)).astype(np.uint8))


def _moves_along(flow: Flow | None, patch: Patch, field: np.ndarray, *, rigid: bool) -> np.ndarray:
    """Evidence [h, w] from motion: for what goes with the mask, against what rests while the mask moves."""
    if flow is None:
        return np.zeros(field.shape[:2], np.float32)
    mx, my = flow.motion(patch)
    mine = np.array([-mx / flow.kx, -my / flow.ky], np.float32)
    speed = float(np.hypot(*mine))
    if speed < 1.0:
        return np.zeros(field.shape[:2], np.float32)
    along = np.hypot(field[..., 0] - mine[0], field[..., 1] - mine[1]) < 0.4 * speed
    # Flow spills over a moving thing's edge by a few pixels: keep to what is well inside.
    along = cv2.erode(along.astype(np.uint8), np.ones((5, 5), np.uint8), borderType=cv2.BORDER_REPLICATE) > 0
    rests = np.hypot(field[..., 0], field[..., 1]) < 0.25 * speed
    gain = 72.0 if rigid else 16.0
    return np.where(along, gain, np.where(rests, -gain / 2, 0.0)).astype(np.float32)


def _touching(mask: U8, core: np.ndarray) -> np.ndarray:
    """The parts of `mask` that hold a good piece of `core`."""
    n, labels = cv2.connectedComponents(mask, connectivity=8)
    inside = np.bincount(labels[core], minlength=n)
    inside[0] = 0
    keep = inside > 0.1 * max(1, inside.max())
    keep[0] = False
    return np.asarray(keep[labels])
