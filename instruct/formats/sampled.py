"""32 frames that stand for a clip, as Strefer's trainer samples them, and regions shown in one of these.

Of a clip of n frames (its length times the rate) sample k is frame k * (n - 1) / 31, rounded. A region keeps its entity
and gets the mask, exactly as an event holds it, of the nearest sampled frame in which that passes the gates of a mask
in a question. A sampler that rounds otherwise shows a neighbouring frame, never one further away.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import msgspec

from instruct.clip import Window
from instruct.compose import Gates
from instruct.pair import Pair, Region
from stream.events import Masklet, MaskletFrame, MaskletRevised

SAMPLES = 32
_UNKNOWN = Fraction(30)
"""Frames a second where the feed does not tell."""


def per_second(rate: str) -> Fraction:
    """A rate as a number; one that is not known counts as 30 frames a second."""
    return (Fraction(rate) if not rate.endswith("/0") else Fraction(0)) or _UNKNOWN


@lru_cache(64)
def sample_times_us(start_us: int, end_us: int, rate: str) -> tuple[int, ...]:
    """Of a clip's samples [32]."""
    fps = per_second(rate)
    last = max(0, round((end_us - start_us) * fps / 1_000_000) - 1)
    frames = [round(Fraction(k * last, SAMPLES - 1)) for k in range(SAMPLES)]
    return tuple(start_us + round(i * 1_000_000 / fps) for i in frames)


def sample_number(pts_us: int, pair: Pair) -> int:
    """Which of the pair's samples shows a frame, from 0: the nearest one."""
    times = sample_times_us(pair.start_us, pair.end_us, pair.rate)
    return min(range(SAMPLES), key=lambda k: abs(times[k] - pts_us))


@dataclass(frozen=True, slots=True)
class Sampled:
    """A clip's masks in its sampled frames, by entity; those that are good enough to stand in a question."""

    masks: dict[int, list[MaskletFrame]]

    @classmethod
    def of(cls, window: Window) -> Sampled:
        found: dict[int, dict[int, MaskletFrame]] = {}
        for event in window.events:
            if isinstance(event.body, Masklet | MaskletRevised):
                inside = (f for f in event.body.frames if window.start_us <= f.pts_us < window.end_us and f.area)
                found.setdefault(event.body.entity, {}).update((f.pts_us, f) for f in inside)
        return cls({entity: _shown(own, window) for entity, own in found.items() if own})

    def shown(self, pair: Pair) -> Pair | None:
        """The pair with its regions in sampled frames; None where an entity has no mask there."""
        regions = []
        for r in pair.regions:
            masks = self.masks.get(r.entity)
            if not masks:
                return None
            f = min(masks, key=lambda f: abs(f.pts_us - r.pts_us))
            regions.append(Region(r.entity, f.pts_us, f.rle, f.bbox))
        return msgspec.structs.replace(pair, regions=regions)


def _shown(own: dict[int, MaskletFrame], window: Window) -> list[MaskletFrame]:
    """An entity's masks of sampled frames: no further from a sample than half a frame lasts (and a microsecond)."""
    gates, pts = Gates(), sorted(own)
    middle = sorted(f.area for f in own.values())[len(own) // 2]
    least = max(gates.least_area * window.size[0] * window.size[1], gates.least_visible * middle)
    half = 500_000 / per_second(window.rate) + 1
    nearest = {}
    for t in sample_times_us(window.start_us, window.end_us, window.rate):
        i = bisect_left(pts, t)
        at = min(pts[max(0, i - 1) : i + 1], key=lambda p: abs(p - t))
        if abs(at - t) <= half:
            nearest[at] = own[at]
    return [f for f in nearest.values() if f.score >= gates.least_score and f.area >= least]
