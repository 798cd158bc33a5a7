"""Video clipper: segments, causally. A cut is PySceneDetect's content score standing out from the frames before it."""

from __future__ import annotations

import cv2
import msgspec
import numpy as np
from scenedetect import FrameTimecode
from scenedetect.detectors import ContentDetector

from engines.crops import U8, shrink
from stream.events import Body, SegmentClosed, SegmentOpened, SegmentReason

_WIDTH = 256
_WINDOW = 4


class ClipState(msgspec.Struct):
    segment: int = 0
    start_us: int = -1
    last_us: int = -1
    scores: list[float] = msgspec.field(default_factory=list)
    """Content scores of the last few frames of this segment."""
    image: np.ndarray | None = None
    """Last frame, small, [h, w, 3] uint8 BGR."""
    before: np.ndarray | None = None
    """The last picture before the last cut, by which a flash is known."""
    anchor: np.ndarray | None = None
    """Slow colour histogram of the segment, for drift."""


class _Score(ContentDetector):  # type: ignore[misc]
    """PySceneDetect's content score of two frames: mean change of hue, saturation and lightness."""

    def between(self, a: U8, b: U8) -> float:
        t = FrameTimecode(0, fps=30.0)
        self._last_frame = None
        self._calculate_frame_score(t, a)
        return float(self._calculate_frame_score(t, b))


class Clipper:
    """Opens and closes segments: at the start, at cuts, on drift, at the longest length, at gaps and at the end.

    Source of the rule: PySceneDetect's AdaptiveDetector (score over its neighbours), with the frames before only,
    so that a cut is known at its own frame.
    """

    def __init__(
        self,
        *,
        threshold: float = 27.0,
        adaptive_ratio: float = 3.0,
        adaptive_floor: float = 12.0,
        drift: float = 0.55,
        shortest_us: int = 500_000,
        longest_us: int = 30_000_000,
        flash_us: int = 300_000,
    ) -> None:
        self._threshold, self._ratio, self._floor = threshold, adaptive_ratio, adaptive_floor
        self._drift, self._shortest_us, self._longest_us = drift, shortest_us, longest_us
        self._flash_us = flash_us
        self._score = _Score()

    def step(self, state: ClipState, rgb: U8, pts_us: int) -> tuple[bool, list[Body]]:
        """Whether this frame ([H, W, 3], of any size) starts a new shot (a cut), and the segment events it causes."""
        h, w = rgb.shape[:2]
        k = min(1.0, _WIDTH / max(h, w))
        small = shrink(rgb, (max(8, round(w * k)), max(8, round(h * k))))
        image = np.ascontiguousarray(small[:, :, ::-1])
        if state.image is None or state.image.shape != image.shape or state.start_us < 0:
            changed = state.image is not None and state.start_us >= 0
            events = self._turn(state, pts_us, "cut" if changed else "start")
            self._remember(state, image, pts_us)
            return changed, events
        score = self._score.between(state.image, image)
        usual = float(np.mean(state.scores)) if state.scores else 0.0
        stands_out = score >= self._floor and score >= self._ratio * max(usual, 1.0)
        # In a shot of strong motion a high score alone is no cut: it must stand out there too, if less.
        flashed = (
            state.before is not None
            and pts_us - state.start_us < self._flash_us
            and state.before.shape == image.shape
            and self._score.between(state.before, image) < self._floor
        )
        cut = stands_out or (score >= self._threshold and score >= 1.7 * usual)
        long_enough = pts_us - state.start_us >= self._shortest_us
        events = []
        if cut and flashed:
            cut = False  # the picture of before the flash is back
        elif cut and not long_enough:
            cut = score >= 2 * self._threshold  # a flash or a very short shot: only the plainest change counts
        state.scores = [*state.scores, score][-_WINDOW:]
        if cut:
            state.before = state.image
            events = self._turn(state, pts_us, "cut")
        elif long_enough and pts_us - state.start_us >= self._longest_us:
            events = self._turn(state, pts_us, "length")
        elif long_enough and self._drifted(state, image):
            events = self._turn(state, pts_us, "drift")
        self._remember(state, image, pts_us)
        return cut, events

    def close(self, state: ClipState, end_us: int, reason: SegmentReason) -> list[Body]:
        """The feed ends or pauses at `end_us`: close the open segment."""
        if state.start_us < 0:
            return []
        body = SegmentClosed(segment=state.segment, start_us=state.start_us, end_us=end_us, reason=reason)
        state.start_us, state.image, state.anchor, state.scores = -1, None, None, []
        return [body]

    def _turn(self, state: ClipState, pts_us: int, reason: SegmentReason) -> list[Body]:
        events: list[Body] = []
        if state.start_us >= 0:
            events.append(SegmentClosed(segment=state.segment, start_us=state.start_us, end_us=pts_us, reason=reason))
        state.segment += 1
        state.start_us, state.anchor, state.scores = pts_us, None, []
        events.append(SegmentOpened(segment=state.segment, start_us=pts_us, reason=reason))
        return events

    def _remember(self, state: ClipState, image: U8, pts_us: int) -> None:
        state.image, state.last_us = image, pts_us

    def _drifted(self, state: ClipState, image: U8) -> bool:
        """The colours of the picture have moved far from those at the segment's start, without a cut."""
        hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
        hist = cv2.calcHist([hsv], [0, 1, 2], None, [12, 4, 4], [0, 180, 0, 256, 0, 256]).astype(np.float32).reshape(-1)
        hist /= max(1.0, float(hist.sum()))
        if state.anchor is None:
            state.anchor = hist
            return False
        return float(np.minimum(state.anchor, hist).sum()) < 1 - self._drift
