"""Where a new shot begins, causally: hard cuts at their frame, fades and dissolves once the new shot is there.

A hard cut is a frame that PySceneDetect's content score calls different and of which little is to be found in the frame
before, under any light and after any motion within reach. That leaves out flashes, shake, pans and passing things.

A frame without contrast (black, white, any one colour) is no shot: what comes out of it is compared with what went in.
The same again was a flash; another picture is a new shot from there on (the fade's boundary, as soon as something is to
be seen). Where it lasts longer than a flash, it belongs to the shot that comes.

A dissolve is known when its middle is the sum of what was before and what is now (`blocks.mixed`). Its boundary is told
at the frame at which that is known, in or just behind its last part, and not back at its middle: a boundary makes
following begin anew, and that can only be now; ghosts of both shots would be followed if it came earlier.
"""

from __future__ import annotations

import cv2
import msgspec
import numpy as np
from scenedetect import FrameTimecode
from scenedetect.detectors import ContentDetector

from engines.crops import U8, shrink
from stream.blocks import LONG, camera, coarse, detail, found, mixed, thumb
from stream.patch import F32

WIDTH = 128
"""Pixels of the longer side at which frames are compared."""
_WINDOW = 4
_TICK_US = 120_000
_TICKS = 16
"""Thumbs kept of the shot, one a tick: two seconds."""
_BLANK, _SEEN = 1.2, 2.5
"""Grey levels of deviation below which a picture is blank, and from which it is seen again."""
_FAINT = 1.5
"""Grey levels of deviation below which the detail of a thumb is noise for a good part."""


class CutState(msgspec.Struct):
    image: np.ndarray | None = None
    """Last frame, small, [h, w, 3] uint8 BGR."""
    scores: list[float] = msgspec.field(default_factory=list)
    """Content scores of the last few frames of this shot."""
    fit: float = 1.0
    """How much of a frame is found in the one before, of late: little where all is noise or water."""
    grey: np.ndarray | None = None
    """Thumb of the last frame that was not blank; none while the shot has shown nothing yet."""
    blank_us: int = -1
    """Since when frames are blank."""
    thumbs: list[np.ndarray] = msgspec.field(default_factory=list)
    """One a tick, of this shot."""
    colours: list[np.ndarray] = msgspec.field(default_factory=list)
    """`coarse` pictures of the same frames."""
    path: list[tuple[float, float]] = msgspec.field(default_factory=list)
    """Where the camera was at them, (down, right) in pixels of a thumb, from the shot's first."""
    thumb_us: int = -1
    ticks: int = 0

    @property
    def blank(self) -> bool:
        """Whether the last frame shows nothing."""
        return self.grey is None or self.blank_us >= 0


class _Score(ContentDetector):  # type: ignore[misc]
    """PySceneDetect's content score of two frames: mean change of hue, saturation and lightness. It remembers the
    first, so each pair (feeds are scanned side by side) takes one of its own."""

    def between(self, a: U8, b: U8) -> float:
        t = FrameTimecode(0, fps=30.0)
        self._calculate_frame_score(t, a)
        return float(self._calculate_frame_score(t, b))


class Cuts:
    """`step` tells whether a frame is the first of a new shot. Holds nothing of any feed."""

    def __init__(
        self,
        *,
        floor: float = 5.0,
        plain: float = 12.0,
        ratio: float = 3.0,
        certain: float = 27.0,
        known: float = 0.28,
        hardly: float = 0.4,
        mixed: float = 0.88,
        gone: float = 0.14,
        still: float = 5.0,
        flash_us: int = 450_000,
    ) -> None:
        self._floor, self._plain, self._ratio = floor, plain, ratio
        self._certain, self._known, self._hardly, self._flash_us = certain, known, hardly, flash_us
        self._mixed, self._gone, self._still = mixed, gone, still

    def step(self, state: CutState, rgb: U8, pts_us: int) -> tuple[bool, U8, float]:
        """One frame [H, W, 3]: whether a new shot begins with it, its small BGR image, and its content score."""
        h, w = rgb.shape[:2]
        k = min(1.0, WIDTH / max(h, w))
        image = np.ascontiguousarray(shrink(rgb, (max(8, round(w * k)), max(8, round(h * k))))[:, :, ::-1])
        grey = thumb(image)
        last, state.image = state.image, image
        if last is None or last.shape != image.shape:
            self._begin(state, None if grey.std() < _BLANK else grey)
            return last is not None, image, 0.0
        score = _Score().between(last, image)
        cut = self._is_new(state, image, grey, score, pts_us)
        if cut:
            self._begin(state, None if state.blank_us >= 0 else grey)
        else:
            state.scores = [*state.scores, score][-_WINDOW:]
        return cut, image, score

    def _is_new(self, state: CutState, image: U8, grey: U8, score: float, pts_us: int) -> bool:
        contrast = float(grey.std())
        if state.grey is None:  # a shot that has shown nothing yet: it begins with what is seen first
            if contrast >= _BLANK:
                self._begin(state, grey)
            return False
        was_blank = state.blank_us >= 0
        if contrast < _BLANK or (was_blank and contrast < min(_SEEN, 0.5 * float(state.grey.std()))):
            state.blank_us = state.blank_us if was_blank else pts_us
            return pts_us - state.blank_us >= self._flash_us
        state.blank_us = -1
        if was_blank or score >= self._floor:
            fit = _found(grey, state.grey)
            if fit is None:
                if self._is_plain(state, grey, score, was_blank):
                    return True
            elif fit < 0.4 * state.fit and fit < (self._known if score < self._certain else self._hardly):
                return True
            elif not was_blank:
                state.fit = 0.7 * state.fit + 0.3 * fit
        else:
            state.fit = 0.7 * state.fit + 0.3
        state.grey = grey
        return self._dissolved(state, image, grey, pts_us)

    def _is_plain(self, state: CutState, grey: U8, score: float, was_blank: bool) -> bool:
        """Where nothing has texture: the score stands out from those before, or what is back is unlike what went."""
        assert state.grey is not None
        if was_blank:
            return _alike(grey, state.grey) < 0.5
        usual = float(np.mean(state.scores)) if state.scores else 0.0
        return score >= self._plain and score >= self._ratio * max(usual, 1.0)

    def _dissolved(self, state: CutState, image: U8, grey: U8, pts_us: int) -> bool:
        """Spans of 2, 4, 8 and 16 ticks in turn, the long ones less often: they change more slowly."""
        if state.thumbs and pts_us - state.thumb_us < _TICK_US:
            return False
        now, y, x = detail(grey), 0.0, 0.0
        if state.thumbs:
            dy, dx, sure = camera(now, detail(state.thumbs[-1]))
            y, x = state.path[-1][0] + dy, state.path[-1][1] + (dx if sure >= 0.4 else LONG)
        state.thumbs = [*state.thumbs, grey][-_TICKS - 1 :]
        state.colours = [*state.colours, coarse(image)][-_TICKS - 1 :]
        state.path = [*state.path, (y, x)][-_TICKS - 1 :]
        state.thumb_us = pts_us
        state.ticks += 1
        for half in (1, 2, 4, 8):
            if state.ticks % max(1, half // 2) or len(state.thumbs) <= 2 * half:
                continue
            first = -1 - 2 * half
            ys, xs = zip(*state.path[first:], strict=True)
            if max(xs) - min(xs) > self._still or max(ys) - min(ys) > self._still:
                continue  # the camera has gone elsewhere: no wonder that nothing is the same
            if mixed(state.colours[first], state.colours[-1 - half], state.colours[-1]) < self._mixed:
                continue
            if self._is_gone(now, state.thumbs[first], self._gone) and (
                half == 1 or self._is_gone(now, state.thumbs[first + 1], 0.35)  # or else the first was but a flash
            ):
                return True
        return False

    def _is_gone(self, now: F32, then: U8, at_most: float) -> bool:
        """That no more than a little of the picture of then is to be seen now."""
        before = detail(then)
        if before.std() < max(_FAINT, now.std() / 4):
            return False  # all but dark: there is nothing to be found in it
        fit = found(now, before)
        return fit is not None and fit < at_most

    def _begin(self, state: CutState, grey: U8 | None) -> None:
        state.scores, state.fit, state.grey, state.blank_us = [], 1.0, grey, -1
        state.thumbs, state.colours, state.path, state.thumb_us, state.ticks = [], [], [], -1, 0


def _found(now: U8, before: U8) -> float | None:
    """How much of either is in the other: what comes into the picture hides as much as it shows."""
    if _alike(now, before) >= 0.95:
        return 1.0
    a, b = detail(now), detail(before)
    there = found(a, b)
    back = found(b, a) if there is not None and there < 0.5 else None
    return there if back is None or there is None else max(there, back)


def _alike(a: U8, b: U8) -> float:
    """Correlation of two thumbs as they lie."""
    return float(cv2.matchTemplate(a, b, cv2.TM_CCOEFF_NORMED)[0, 0])
