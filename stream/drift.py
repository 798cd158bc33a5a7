"""Drift: a segment's picture becomes another one without a cut. Colours and motion, in units of a second.

Hierarchical and causal. Frames make units; units that are like the segment are merged into its summary; one that is
not waits for the next: a second in a row splits the segment, a return merges what waited (somebody walked by). The
longer the segment, the less it takes, so that one that must be split soon is split where it changes most.
"""

from __future__ import annotations

import math

import cv2
import msgspec
import numpy as np

from engines.crops import U8
from stream.patch import F32

_SAMPLE_US = 100_000
"""Colours change slowly: ten looks a second are enough."""
_AWAY = 2
"""Units in a row that make a segment of their own."""


class DriftState(msgspec.Struct):
    colours: np.ndarray | None = None
    """Mean histogram [192] float32 of the segment's units."""
    pace: float = 0.0
    """How often the motion of the segment's frames doubles: mean of log2(1 + content score). One jump is no motion."""
    units: int = 0
    unit_us: int = -1
    """Start of the running unit."""
    sum: np.ndarray | None = None
    """Histograms of the running unit's samples, added up."""
    samples: int = 0
    sample_us: int = -1
    change: float = 0.0
    """`pace` of the running unit's frames, added up."""
    frames: int = 0
    away: list[tuple[np.ndarray, float]] = msgspec.field(default_factory=list)
    """Units that wait for a second one, each histogram and pace."""


class Drift:
    """`step` tells whether the segment has drifted away from what it was. Holds nothing of any feed.

    far: distance of a unit, in shares of the colours that it does not have in common with the segment, plus half of how
    many times four-fold its motion is more or less.
    """

    def __init__(self, *, far: float = 0.55, unit_us: int = 1_000_000) -> None:
        self._far, self._unit_us = far, unit_us

    def step(self, state: DriftState, image: U8, score: float, pts_us: int, age: float) -> bool:
        """One frame: its small BGR image, its content score; age: the segment's, in shares of the longest one."""
        if state.unit_us < 0:
            state.unit_us = pts_us
        elif pts_us - state.unit_us >= self._unit_us:
            drifted = self._unit(state, age)
            state.unit_us, state.sum, state.samples, state.change, state.frames = pts_us, None, 0, 0.0, 0
            if drifted:
                return True
        if state.sum is None or pts_us - state.sample_us >= _SAMPLE_US:
            histogram = _histogram(image)
            state.sum = histogram if state.sum is None else state.sum + histogram
            state.samples, state.sample_us = state.samples + 1, pts_us
        state.change, state.frames = state.change + math.log2(1 + score), state.frames + 1
        return False

    def begin(self, state: DriftState) -> None:
        """Another segment: what waited is what it is like so far."""
        waited = state.away
        state.colours, state.pace, state.units, state.away = None, 0.0, 0, []
        for colours, pace in waited:
            _merge(state, colours, pace)

    def _unit(self, state: DriftState, age: float) -> bool:
        assert state.sum is not None
        colours = state.sum.astype(np.float32) / np.float32(state.samples)
        pace = state.change / state.frames
        if state.colours is not None:
            apart = 1 - float(np.minimum(colours, state.colours).sum())
            apart += 0.25 * abs(pace - state.pace)
            if apart >= self._far * min(1.0, 1.6 - 1.2 * age):
                state.away = [*state.away, (colours, pace)]
                return len(state.away) >= _AWAY
        for waited in state.away:
            _merge(state, *waited)
        state.away = []
        _merge(state, colours, pace)
        return False


def _merge(state: DriftState, colours: F32, pace: float) -> None:
    state.units += 1
    if state.colours is None:
        state.colours, state.pace = colours, pace
        return
    share = 1 / state.units
    state.colours = state.colours + (colours - state.colours) * np.float32(share)
    state.pace += (pace - state.pace) * share


def _histogram(image: U8) -> F32:
    """Shares of hue, saturation and lightness, [192] float32."""
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    counts = cv2.calcHist([hsv], [0, 1, 2], None, [12, 4, 4], [0, 180, 0, 256, 0, 256]).reshape(-1)
    return counts / np.float32(hsv.shape[0] * hsv.shape[1])  # type: ignore[no-any-return]
