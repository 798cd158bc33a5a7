"""Two profiles held against each other: what got slower, and whether that is more than noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from stream.profiling.results import Profile

DRAWS = 2000
SEED = 0
LEAST = 0.02
"""A change below this is not told, however sure: machines differ by as much from one hour to the next."""


LEAST_PARTS = 6
"""Fewer parts of a run tell nothing of its noise."""
FRAME = "a frame"
"""The whole of it, by throughput: what the stages add up to, side by side as they run."""


@dataclass(frozen=True, slots=True)
class Change:
    """Of a stage's median, in microseconds: second over first, and the bounds in which it lies with 99 % by the runs'
    own noise. It is told as a change where the bounds do not hold 1, and it is 2 % or more."""

    name: str
    first: float
    second: float
    ratio: float
    low: float
    high: float

    @property
    def verdict(self) -> Literal["slower", "faster", "same"]:
        if self.low > 1 and self.ratio >= 1 + LEAST:
            return "slower"
        if self.high < 1 and self.ratio <= 1 - LEAST:
            return "faster"
        return "same"


def compare(first: Profile, second: Profile) -> list[Change]:
    """Throughput, then the stages that both have, the largest of the second first. Bounds by the bootstrap (Efron,
    1979) over the medians of parts of each run: calls that follow one another are no independent draws, and machines
    drift."""
    rng = np.random.default_rng(SEED)
    before, after = _parts(first), _parts(second)
    return [
        _change(name, before[name], parts, rng)
        for name, parts in after.items()
        if name in before and min(len(parts), len(before[name])) >= LEAST_PARTS
    ]


def differences(first: Profile, second: Profile) -> list[str]:
    """What else differs, so that they can hardly be compared: one line each."""
    facts = [(name, getattr(first, name), getattr(second, name)) for name in (
        "source", "profile", "engines", "size", "feeds", "objects", "lanes",
    )]  # fmt: skip
    names = sorted({*first.machine, *second.machine} - {"load"})  # which no two runs have alike
    facts += [(name, first.machine.get(name, "none"), second.machine.get(name, "none")) for name in names]
    return [f"{name}: {a} / {b}" for name, a, b in facts if a != b]


def _parts(profile: Profile) -> dict[str, list[float]]:
    return {FRAME: profile.frame_us, **{stage.name: stage.blocks for stage in profile.stages}}


def _change(name: str, a: list[float], b: list[float], rng: np.random.Generator) -> Change:
    first, second = (np.maximum(parts, 1e-3) for parts in (a, b))
    draws = _medians(second, rng) / _medians(first, rng)
    low, high = (float(v) for v in np.percentile(draws, (0.5, 99.5)))
    one, two = float(np.median(first)), float(np.median(second))
    return Change(name, one, two, two / one, low, high)


def _medians(blocks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    drawn: np.ndarray = np.median(rng.choice(blocks, (DRAWS, len(blocks))), axis=1)
    return drawn
