"""Profile `sam2`'s part in following: SAM 2's memory carries masks from frame to frame, in place of optical flow and of
the mask networks' redrawing; a detection's box is what it is prompted with.

An entity's `slot` is its object in the segmenter, -1 where it has none yet: then flow carries its mask, and with it
the entity is begun there at the frame's end. Slots are a matter of this process: where a feed comes from elsewhere (a
restart, another worker) it is begun anew from its last masks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import cv2
import numpy as np

from engines.crops import F32, U8
from kernels.iou import box_iou
from stream.entity import Entity
from stream.outline import Outline, Outliner
from stream.patch import Bool, Patch, intersect, to_levels, window_of
from stream.view import FollowState, View

LEAST = 24
"""Pixels of a mask that can be followed."""
MARGIN = 2
"""Cells of the logits round a mask that its window takes in."""
HOLDS = 0.5
"""IoU of a mask's box with a detection's, from which the mask needs no new prompt."""


class Seen(Protocol):
    """An object on a frame. logits: [h, w] float32 over the whole frame. score: over 0 where it is to be seen."""

    @property
    def logits(self) -> F32: ...
    @property
    def score(self) -> float: ...


class Segments(Protocol):
    """What `engines.sam2.segmenter.Segmenter` offers."""

    name: str
    backend: str
    sha256: str

    @property
    def free(self) -> int: ...
    def look(self, rgb: U8) -> None: ...
    def outline(self, box: F32) -> Seen: ...
    def begin(self, mask: Bool) -> int: ...
    def follow(self, slots: Sequence[int]) -> Sequence[Seen]: ...
    def forget(self, slots: Sequence[int]) -> None: ...


@dataclass(slots=True)
class _Feed:
    """What of a feed the segmenter holds, and after which frame."""

    last_us: int = -1
    slots: set[int] = field(default_factory=set)


class SamMasks:
    """An `Outliner` that draws by prompts, and a memory: `look` at a frame, `carry` into it, and `keep` it at its end.

    outliner: lite's, whose pose network says whether there is a person, and how they stand.
    """

    def __init__(self, segmenter: Segments, outliner: Outliner) -> None:
        self._segmenter, self._outliner = segmenter, outliner
        self._feeds: dict[str, _Feed] = {}

    def kind(self, category: str) -> str:
        """`pose`: like the pose network it tells each one from the next, whatever the category."""
        return "pose"

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
        """See `Outliner.outline`; `rgb` is the frame that was looked at."""
        seen = self._segmenter.outline(box)
        size = (int(rgb.shape[0]), int(rgb.shape[1]))
        patch = patch_of(seen.logits, size, window_of(box, size, grow=grow))
        pose = self.pose(rgb, box, category, prior)
        if pose is not None:
            return Outline(patch, pose.presence, pose.landmarks)
        return Outline(patch, float(1 / (1 + np.exp(-np.clip(seen.score, -50, 50)))))

    def pose(self, rgb: U8, box: F32, category: str, prior: Patch | None) -> Outline | None:
        """See `Outliner.pose`."""
        return self._outliner.pose(rgb, box, category, prior)

    def look(self, state: FollowState, view: View) -> None:
        """Take a frame in hand. Where it does not follow the feed's last one here, the feed is forgotten first."""
        held = self._feeds.get(view.feed)
        if held is None or held.last_us + view.step_us != view.pts_us:
            self.release(view.feed)
            held = _Feed()
            for e in state.entities:
                e.slot = -1
        # The one used last is last, so that the first is the one to let go of.
        self._feeds.pop(view.feed, None)
        self._feeds[view.feed] = held
        self._segmenter.look(view.rgb)

    def carry(self, state: FollowState, view: View) -> None:
        """Masks of this frame, of all who are followed: also of those who were hidden, whom memory may find again."""
        followed: dict[int, Entity] = {}
        for e in state.entities:
            if e.slot >= 0 and followed.setdefault(e.slot, e) is not e:
                e.slot = -1  # one that was split off another: it begins anew
        for e, seen in zip(followed.values(), self._segmenter.follow(list(followed)), strict=True):
            patch = patch_of(seen.logits, view.size) if seen.score > 0 else None
            e.patch = patch if patch is not None and patch.area >= LEAST else None
            e.shape = None

    def holds(self, e: Entity, box: F32) -> bool:
        """Whether the mask that was carried is what a detection shows."""
        tight = e.patch.box() if e.patch is not None else None
        return e.slot >= 0 and tight is not None and float(box_iou(tight[None], box[None])[0, 0]) >= HOLDS

    def keep(self, state: FollowState, view: View) -> None:
        """At a frame's end: forget who has gone, begin who is new."""
        held = self._feeds[view.feed]
        gone = held.slots - {e.slot for e in state.entities}
        self._segmenter.forget(sorted(gone))
        held.slots -= gone
        for e in state.entities:
            if e.slot >= 0 or e.patch is None or e.patch.area < LEAST:
                continue
            if not self._segmenter.free and not self._make_room(view.feed):
                break  # flow carries it, as in lite
            h, w = view.size
            e.slot = self._segmenter.begin(e.patch.on((0, 0, w, h)) >= 128)
            held.slots.add(e.slot)
        held.last_us = view.pts_us

    def release(self, feed: str) -> None:
        """The feed is over, away, or goes on elsewhere: nothing of it is held any longer."""
        held = self._feeds.pop(feed, None)
        if held is not None:
            self._segmenter.forget(sorted(held.slots))

    def _make_room(self, but: str) -> bool:
        """Let go of the feed that was used longest ago, for it may be another worker's by now."""
        other = next((feed for feed, held in self._feeds.items() if feed != but and held.slots), None)
        if other is not None:
            self.release(other)
        return other is not None


def patch_of(logits: F32, size: tuple[int, int], within: tuple[int, int, int, int] | None = None) -> Patch:
    """The part of a frame of `size` (H, W) in which logits [h, w] that cover it are over 0, at the frame's own size.

    As `interpolate(..., align_corners=False)` would bring them there. within: a window that the mask may not leave.
    """
    h, w = size
    ky, kx = h / logits.shape[0], w / logits.shape[1]
    ys, xs = np.flatnonzero((logits > 0).any(axis=1)), np.flatnonzero((logits > 0).any(axis=0))
    if not len(ys):
        return Patch(0, 0, np.zeros((1, 1), np.uint8))
    x0, x1 = int(max(0, (xs[0] - MARGIN) * kx)), int(min(w, np.ceil((xs[-1] + 1 + MARGIN) * kx)))
    y0, y1 = int(max(0, (ys[0] - MARGIN) * ky)), int(min(h, np.ceil((ys[-1] + 1 + MARGIN) * ky)))
    window = (x0, y0, x1, y1) if within is None else intersect((x0, y0, x1, y1), within)
    if window is None:
        return Patch(0, 0, np.zeros((1, 1), np.uint8))
    x0, y0, x1, y1 = window
    come = np.array([[1 / kx, 0, (x0 + 0.5) / kx - 0.5], [0, 1 / ky, (y0 + 0.5) / ky - 0.5]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    levels = cv2.warpAffine(
        np.clip(logits, -8, 8), come, (x1 - x0, y1 - y0), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    return Patch(x0, y0, to_levels(levels))
