"""From box to mask: which network outlines which category, and what stands in where none does.

A person is BlazePose's (its crop separates the one at the centre from the next one), the other VOC categories are
DeepLabV3's, everything else is cut out by colour and motion (GrabCut: Rother et al., SIGGRAPH 2004).
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from engines import deeplab, pose
from engines.crops import F32, U8, Crop
from engines.deeplab import SegmentationNet
from engines.pose import PoseNet
from stream.entity import SOLID, Entity
from stream.patch import HALF, Patch, to_levels, window_of

COST = {"pose": 4, "segment": 6, "cut": 6}
"""What an outline costs, in units of about 2 ms on two cores."""

_GRABCUT_SIDE = 72
"""Pixels of the longer side at which GrabCut works."""


@dataclass(frozen=True, slots=True)
class Outline:
    """A mask proposed for a box. presence: in [0, 1], how sure the network is that there is such a thing at all.
    landmarks: [33, 3] float32 in frame pixels, people only."""

    patch: Patch
    presence: float
    landmarks: F32 | None = None


class Outliner:
    """Masks for boxes of one frame, by whichever networks are there."""

    def __init__(self, pose_net: PoseNet | None, segment_net: SegmentationNet | None) -> None:
        self._pose, self._segment = pose_net, segment_net

    def kind(self, category: str) -> str:
        """`pose`, `segment` or `cut`: what outlines this category here."""
        if category == "person" and self._pose is not None:
            return "pose"
        return "segment" if self._segment is not None and category in deeplab.CATEGORIES else "cut"

    def ahead(self, rgb: U8, boxes: Sequence[F32], *, grow: float) -> None:
        """What `outline` will be asked for next, so grown: for who draws many at once. Here each is drawn then."""

    def outline(
        self,
        rgb: U8,
        box: F32,
        category: str,
        prior: Patch | None,
        *,
        grow: float,
        hide: Sequence[Patch] = (),
        second_opinion: bool = True,
    ) -> Outline:
        """The mask of what `box` (xyxy) holds, inside the box grown by `grow` of its size on each side.

        prior: where the entity's mask is thought to be (carried by flow), None for a new one.
        hide: masks of others in front of it, painted over so that the network does not draw them instead.
        second_opinion: whether a second network is asked where the pose network is not sure.
        """
        window = window_of(box, rgb.shape[:2], grow=grow + (0.25 if hide else 0.0))
        kind = self.kind(category)
        if kind == "pose" and self._pose is not None:
            # Behind others the box is a guess: a wider crop finds the rest of the body.
            crop = Crop.around(box, factor=pose.FACTOR * (1.3 if hide else 1.0))
            image = crop.cut(rgb, pose.SIZE)
            if hide:
                image = _painted_over(image, crop.cut(_union(hide, rgb.shape[:2]), pose.SIZE))
            seen = self._pose.see(image, crop)
            levels = seen.crop.uncut(to_levels(seen.logits), window, border=0)
            if seen.presence < 0.5:
                levels = self._doubted(rgb, box, levels, window, prior, ask=second_opinion)
            patch = Patch(window[0], window[1], levels)
            for other in hide:
                patch = patch.without(other.mask, other.window)
            return Outline(patch, seen.presence, seen.landmarks)
        if kind == "segment" and self._segment is not None:
            crop = Crop.around(box, factor=deeplab.FACTOR)
            logits = self._segment.logits(rgb, crop, category)
            # DeepLab's margins are soft: doubled they compare with the pose network's logits.
            levels = crop.uncut(to_levels(logits * 2), window, border=0)
            patch = Patch(window[0], window[1], levels)
            filled = patch.area / max(1.0, float((box[2] - box[0]) * (box[3] - box[1])))
            if filled > 0.12:
                return Outline(patch, min(1.0, filled * 2))
            if prior is not None and prior.area and category not in SOLID:
                return Outline(prior, 0.2)  # the network lost it for once: what flow carried is better than a guess
        return Outline(_cut_out(rgb, box, window, prior), 0.5)

    def pose(self, rgb: U8, box: F32, category: str, prior: Patch | None) -> Outline | None:
        """What the pose network says of a person; None of anything else, and where there is no such network."""
        if category != "person" or self._pose is None:
            return None
        return self.outline(rgb, box, category, prior, grow=0.15, second_opinion=False)

    def holds(self, e: Entity, box: F32) -> bool:
        """Whether an entity's mask is already what a detection shows. Flow drifts: each detection is drawn anew."""
        return False

    def _doubted(
        self, rgb: U8, box: F32, levels: U8, window: tuple[int, int, int, int], prior: Patch | None, *, ask: bool
    ) -> U8:
        """Where the pose network sees no person (a back, a crouch), the carried mask and DeepLab have a say."""
        votes = levels.astype(np.int16) - HALF
        if self._segment is not None and ask:
            crop = Crop.around(box, factor=deeplab.FACTOR)
            votes += crop.uncut(to_levels(self._segment.logits(rgb, crop, "person")), window, border=0)
            votes -= HALF
        if prior is not None:
            known = prior.on(window).astype(np.int16)
            votes += np.where(known > 0, known - HALF, -HALF // 2) // (2 if ask else 1)
        agreed: U8 = np.clip(votes + HALF, 0, 255).astype(np.uint8)
        return agreed


def _painted_over(image: U8, covered: U8) -> U8:
    """A crop [S, S, 3] with what others cover ([S, S], 1 where they do) filled from its surroundings."""
    covered = cv2.dilate(covered, np.ones((3, 3), np.uint8))
    if not covered.any() or covered.all():
        return image
    k = image.shape[0] // 5
    # Mean colour of the free pixels near by: a blur of the picture over a blur of what is free.
    free = (1 - covered).astype(np.float32)
    weight = cv2.blur(free, (k, k))
    near = cv2.blur(image * free[..., None], (k, k)) / np.maximum(weight, 1e-3)[..., None]
    fill = np.where(weight[..., None] > 0.02, near, image[covered == 0].mean(axis=0))
    out = image.copy()
    out[covered > 0] = fill[covered > 0].astype(np.uint8)
    return out


def _union(patches: Sequence[Patch], size: tuple[int, ...]) -> U8:
    """[H, W] uint8, 1 where any of the masks is (or nearly is)."""
    out = np.zeros((int(size[0]), int(size[1])), np.uint8)
    for patch in patches:
        x0, y0, x1, y1 = patch.window
        out[y0:y1, x0:x1] |= (patch.prob >= HALF // 2).astype(np.uint8)
    return out


def _cut_out(rgb: U8, box: F32, window: tuple[int, int, int, int], prior: Patch | None) -> Patch:
    """GrabCut at low resolution, started from the carried mask or else from an ellipse in the box."""
    x0, y0, x1, y1 = window
    region = rgb[y0:y1, x0:x1]
    k = min(1.0, _GRABCUT_SIDE / max(region.shape[:2]))
    w, h = max(8, round(region.shape[1] * k)), max(8, round(region.shape[0] * k))
    small = cv2.resize(region, (w, h), interpolation=cv2.INTER_AREA)
    hint = np.full((h, w), cv2.GC_PR_BGD, np.uint8)
    if prior is not None and prior.area:
        known = cv2.resize(prior.on(window), (w, h), interpolation=cv2.INTER_AREA)
        hint[known >= 64] = cv2.GC_PR_FGD
        hint[known >= 224] = cv2.GC_FGD
        hint[cv2.dilate(known, np.ones((9, 9), np.uint8)) < 32] = cv2.GC_BGD
    else:
        bx = (np.asarray(box, np.float32) - np.array([x0, y0, x0, y0], np.float32)) * k
        centre = (int((bx[0] + bx[2]) / 2), int((bx[1] + bx[3]) / 2))
        axes = (max(1, int((bx[2] - bx[0]) * 0.45)), max(1, int((bx[3] - bx[1]) * 0.45)))
        cv2.ellipse(hint, centre, axes, 0, 0, 360, cv2.GC_PR_FGD, -1)
    hint[[0, -1], :] = hint[:, [0, -1]] = cv2.GC_BGD
    if not np.any((hint == cv2.GC_PR_FGD) | (hint == cv2.GC_FGD)):
        return Patch(x0, y0, np.zeros(region.shape[:2], np.uint8))
    cv2.setRNGSeed(0)  # GrabCut's k-means draws from OpenCV's global generator: same input, same mask
    with contextlib.suppress(cv2.error):  # too few pixels of one class for a colour model: the hint has to do
        cv2.grabCut(small, hint, None, np.zeros((1, 65)), np.zeros((1, 65)), 2, cv2.GC_INIT_WITH_MASK)
    mask = np.isin(hint, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.float32)
    levels = cv2.resize(mask, (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR)
    return Patch(x0, y0, to_levels((levels - np.float32(0.5)) * 4))
