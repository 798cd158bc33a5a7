"""Profile `sam2`'s part in following: SAM 2's memory carries masks from frame to frame, in place of optical flow and of
the mask networks' redrawing; a detection's box is what it is prompted with.

An entity's `slot` is its object in the segmenter, -1 where it has none yet: then flow carries its mask, and with it
the entity is begun there at the frame's end. Slots are a matter of this process: where a feed comes from elsewhere (a
restart, another worker) it is begun anew from its last masks.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.crops import F32, U8, shrink
from engines.work import Call
from kernels.iou import box_iou
from stream.entity import Entity
from stream.lookback import LEAST_SHARE, MOST_SHARE
from stream.outline import Outline, Outliner
from stream.patch import Bool, Patch, Window, intersect, to_levels, window_of
from stream.view import FollowState, View

LEAST = 24
"""Pixels of a mask that can be followed."""
MARGIN = 2
"""Cells of the logits round a mask that its window takes in."""
PAST_SIDE = 640
"""Longer side in pixels of the frames that are kept for looking back."""
HOLDS = 0.5
"""IoU of a mask's box with a detection's, from which the mask needs no new prompt."""


class Seen(Protocol):
    """An object on a frame, which `grid` x `grid` cells cover: see `engines.sam2.seen.Seen`."""

    @property
    def score(self) -> float: ...
    @property
    def grid(self) -> int: ...
    @property
    def corner(self) -> tuple[int, int]: ...
    @property
    def logits(self) -> NDArray[np.floating]: ...
    @property
    def counts(self) -> str | None: ...
    @property
    def area(self) -> int: ...
    @property
    def box(self) -> Window: ...


class Segments(Protocol):
    """What `engines.sam2.segmenter.Segmenter` offers, to one thread a feed. Its frames are its own.

    quick: it runs on a GPU, so that a new object is followed back through all frames of the look-back.
    """

    name: str
    backend: str
    sha256: str
    quick: bool

    @property
    def free(self) -> int: ...
    def taking_part(self) -> AbstractContextManager[None]: ...
    def look(self, picture: Any, full: tuple[int, int] | None = None) -> Any: ...
    def outlines(self, frame: Any, boxes: Sequence[F32], within: Sequence[Window]) -> Sequence[Seen]: ...
    def begin(self, frame: Any, mask: Bool) -> int: ...
    def follow(self, frame: Any, slots: Sequence[int]) -> Sequence[Seen]: ...
    def forget(self, slots: Sequence[int]) -> None: ...
    def calls(self) -> list[Call]: ...


@dataclass(slots=True)
class Held:
    """What of a feed the segmenter holds, and after which frame. busy: a chunk of the feed is being followed.

    past: the last frames of this shot, oldest first, small and with their times, no older than the look-back.
    """

    last_us: int = -1
    slots: set[int] = field(default_factory=set)
    busy: bool = False
    past: deque[tuple[int, U8]] = field(default_factory=deque)


class SamFeeds:
    """Whose objects are in the segmenter. Each feed's chunks come one after the other, those of several feeds at once.

    outliner: lite's, whose pose network says whether there is a person, and how they stand.
    """

    def __init__(self, segmenter: Segments, outliner: Outliner, *, look_back_us: int = 2_000_000) -> None:
        self._segmenter, self._outliner, self._look_back_us = segmenter, outliner, look_back_us
        self._held: dict[str, Held] = {}
        self._lock = threading.Lock()

    @contextmanager
    def following(self, feed: str) -> Iterator[SamMasks]:
        """A feed's masks while a chunk of it is followed."""
        with self._lock:
            # The one used last is last, so that the first is the one to let go of.
            held = self._held[feed] = self._held.pop(feed, Held())
            held.busy = True
        try:
            with self._segmenter.taking_part():
                yield SamMasks(self, self._segmenter, self._outliner, held, self._look_back_us)
        finally:
            held.busy = False

    def release(self, feed: str) -> None:
        """The feed is over, away, or goes on elsewhere: nothing of it is held any longer."""
        with self._lock:
            held = self._held.pop(feed, None)
        if held is not None:
            self._segmenter.forget(sorted(held.slots))

    def begin(self, frame: Any, mask: Bool) -> int:
        """A new object's slot. -1 where there is none, not even of a feed that nobody works on: of those, the one that
        was used longest ago is let go of, for it may be another worker's by now."""
        with self._lock:
            if not self._segmenter.free:
                idle = (feed for feed, held in self._held.items() if held.slots and not held.busy)
                other = next(idle, None)
                if other is None:
                    return -1
                self._segmenter.forget(sorted(self._held.pop(other).slots))
            return self._segmenter.begin(frame, mask)


class SamMasks:
    """One feed's masks while a chunk of it is followed: an `Outliner` that draws by prompts, and a memory. `look` at a
    frame, `carry` into it, and `keep` it at its end."""

    def __init__(
        self, feeds: SamFeeds, segmenter: Segments, outliner: Outliner, held: Held, window_us: int = 0
    ) -> None:
        self._feeds, self._segmenter, self._outliner, self._held = feeds, segmenter, outliner, held
        self._window_us = window_us
        self._frame: Any = None
        self._drawn: dict[int, tuple[Patch, Seen]] = {}
        self._ahead: dict[tuple[bytes, Window], Seen] = {}

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
        size = (int(rgb.shape[0]), int(rgb.shape[1]))
        window = window_of(box, size, grow=grow)
        seen = self._ahead.get((box.tobytes(), window))
        if seen is None:
            (seen,) = self._segmenter.outlines(self._frame, [box], [window])
        patch = patch_of(seen, size, window)
        pose = self.pose(rgb, box, category, prior)
        if pose is not None:
            return Outline(patch, pose.presence, pose.landmarks)
        return Outline(patch, float(1 / (1 + np.exp(-np.clip(seen.score, -50, 50)))))

    def ahead(self, rgb: U8, boxes: Sequence[F32], *, grow: float) -> None:
        """See `Outliner.ahead`: all in one batch."""
        windows = [window_of(box, rgb.shape[:2], grow=grow) for box in boxes]
        keys = [(box.tobytes(), window) for box, window in zip(boxes, windows, strict=True)]
        self._ahead |= zip(keys, self._segmenter.outlines(self._frame, boxes, windows), strict=True)

    def pose(self, rgb: U8, box: F32, category: str, prior: Patch | None) -> Outline | None:
        """See `Outliner.pose`."""
        return self._outliner.pose(rgb, box, category, prior)

    def look(self, state: FollowState, view: View) -> None:
        """Take a frame in hand. Where it does not follow the feed's last one here, the feed is forgotten first."""
        past = self._held.past
        if self._held.last_us + view.step_us != view.pts_us:
            self._forget(self._held.slots)
            past.clear()
            for e in state.entities:
                e.slot = -1
        if view.cut:
            past.clear()
        self._drawn.clear()
        self._ahead.clear()
        self._frame = self._segmenter.look(view.rgb if view.picture is None else view.picture, view.full)
        if self._segmenter.quick:
            h, w = view.size
            k = min(1.0, PAST_SIDE / max(h, w))
            past.append((view.pts_us, shrink(view.rgb, (round(w * k), round(h * k)))))
            while past[0][0] < view.pts_us - self._window_us:
                past.popleft()

    def carry(self, state: FollowState, view: View) -> None:
        """Masks of this frame, of all who are followed: also of those who were hidden, whom memory may find again."""
        followed: dict[int, Entity] = {}
        for e in state.entities:
            if e.slot >= 0 and followed.setdefault(e.slot, e) is not e:
                e.slot = -1  # one that was split off another: it begins anew
        for e, seen in zip(followed.values(), self._segmenter.follow(self._frame, list(followed)), strict=True):
            patch = patch_of(seen, view.size) if seen.score > 0 else None
            e.patch = patch if patch is not None and patch.area >= LEAST else None
            e.shape = None
            if e.patch is not None:
                self._drawn[e.slot] = e.patch, seen

    def ready(self, e: Entity) -> Seen | None:
        """The entity's run lengths as they came from the device; None where its mask was changed since, or has none."""
        patch, seen = self._drawn.get(e.slot, (None, None))
        return seen if seen is not None and patch is e.patch and seen.counts is not None and seen.area else None

    def trace_back(self, patch: Patch, from_us: int, size: tuple[int, int]) -> list[tuple[int, Patch]] | None:
        """As `lookback.trace_back`, by memory (Strefer's backward pass, within the look-back); None where the frames
        are not here, or the segmenter is too slow for it. patch: the mask at `from_us`; size: (H, W) of the frame."""
        frames = [(pts_us, rgb) for pts_us, rgb in self._held.past if pts_us <= from_us]
        if not frames or frames[-1][0] != from_us or patch.area < LEAST:
            return None
        h, w = size
        slot = self._feeds.begin(self._segmenter.look(frames.pop()[1]), patch.on((0, 0, w, h)) >= 128)
        if slot < 0:
            return None
        found: list[tuple[int, Patch]] = []
        try:
            for pts_us, rgb in reversed(frames):
                (seen,) = self._segmenter.follow(self._segmenter.look(rgb), [slot])
                before = patch_of(seen, size)
                share = before.area / patch.area
                if seen.score <= 0 or before.area < LEAST or not LEAST_SHARE <= share <= MOST_SHARE:
                    break
                found.append((pts_us, before))
        finally:
            self._segmenter.forget([slot])
        return found

    def holds(self, e: Entity, box: F32) -> bool:
        """Whether the mask that was carried is what a detection shows."""
        tight = e.patch.box() if e.patch is not None else None
        return e.slot >= 0 and tight is not None and float(box_iou(tight[None], box[None])[0, 0]) >= HOLDS

    def keep(self, state: FollowState, view: View) -> None:
        """At a frame's end: forget who has gone, begin who is new."""
        self._forget(self._held.slots - {e.slot for e in state.entities})
        for e in state.entities:
            if e.slot >= 0 or e.patch is None or e.patch.area < LEAST:
                continue
            h, w = view.size
            e.slot = self._feeds.begin(self._frame, e.patch.on((0, 0, w, h)) >= 128)
            if e.slot < 0:
                break  # flow carries it, as in lite
            self._held.slots.add(e.slot)
        self._held.last_us = view.pts_us

    def _forget(self, slots: set[int]) -> None:
        if slots:
            self._segmenter.forget(sorted(slots))
            self._held.slots -= slots


def patch_of(seen: Seen, size: tuple[int, int], within: Window | None = None) -> Patch:
    """The part of a frame of `size` (H, W) in which logits are over 0, at the frame's own size.

    As `interpolate(..., align_corners=False)` would bring them there. within: a window that the mask may not leave.
    """
    h, w = size
    (left, top), logits = seen.corner, seen.logits.astype(np.float32)
    ys, xs = np.flatnonzero((logits > 0).any(axis=1)) + top, np.flatnonzero((logits > 0).any(axis=0)) + left
    if not len(ys):
        return Patch(0, 0, np.zeros((1, 1), np.uint8))
    x0, x1 = _pixels(xs, (left, left + logits.shape[1]), seen.grid, w)
    y0, y1 = _pixels(ys, (top, top + logits.shape[0]), seen.grid, h)
    window = intersect((x0, y0, x1, y1), (0, 0, w, h) if within is None else within)
    if window is None:
        return Patch(0, 0, np.zeros((1, 1), np.uint8))
    x0, y0, x1, y1 = window
    ky, kx = h / seen.grid, w / seen.grid
    come = np.array([[1 / kx, 0, (x0 + 0.5) / kx - 0.5 - left], [0, 1 / ky, (y0 + 0.5) / ky - 0.5 - top]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    levels = cv2.warpAffine(
        np.clip(logits, -8, 8), come, (x1 - x0, y1 - y0), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    return Patch(x0, y0, to_levels(levels))


def _pixels(over: NDArray[np.intp], kept: tuple[int, int], grid: int, size: int) -> tuple[int, int]:
    """From which pixel to which, of `size` that `grid` cells cover, cells `over` 0 and MARGIN round them reach, as far
    as the `kept` cells tell on both sides: beyond them nothing is known."""
    k = size / grid
    low, high = max(0.0, (over[0] - MARGIN) * k), min(float(size), np.ceil((over[-1] + 1 + MARGIN) * k))
    if kept[0] > 0:
        low = max(low, np.ceil((kept[0] + 0.5) * k - 0.5))
    if kept[1] < grid:
        high = min(high, np.floor((kept[1] - 0.5) * k - 0.5) + 1)
    return int(low), int(high)
