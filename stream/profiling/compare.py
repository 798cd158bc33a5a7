"""Two profiles held against each other: what got slower, and whether that is more than noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from stream.profiling.results import Profile, Stage

DRAWS = 2000
SEED = 0
LEAST = 0.02
"""A change below this is not told, however sure: machines differ by as much from one hour to the next."""


@dataclass(frozen=True, slots=True)
class Change:
    """Of a stage's median: second over first, and the bounds in which it lies with 99 % by the runs' own noise. It is
    told as a change where the bounds do not hold 1, and it is 2 % or more."""

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
    """Stages that both have, the largest of the second first. Bounds by the bootstrap (Efron, 1979) over the medians of
    parts of each run: calls that follow one another are no independent draws, and machines drift."""
    rng = np.random.default_rng(SEED)
    before = {stage.name: stage for stage in first.stages}
    return [
        _change(before[stage.name], stage, rng)
        for stage in second.stages
        if stage.name in before and stage.blocks and before[stage.name].blocks
    ]


def differences(first: Profile, second: Profile) -> list[str]:
    """What else differs, so that they can hardly be compared: one line each."""
    facts = [(name, getattr(first, name), getattr(second, name)) for name in (
        "source", "profile", "engines", "size", "feeds", "objects", "lanes",
    )]  # fmt: skip
    names = sorted({*first.machine, *second.machine} - {"load"})  # which no two runs have alike
    facts += [(name, first.machine.get(name, "none"), second.machine.get(name, "none")) for name in names]
    return [f"{name}: {a} / {b}" for name, a, b in facts if a != b]


def _change(a: Stage, b: Stage, rng: np.random.Generator) -> Change:
    first, second = (np.maximum(stage.blocks, 1e-3) for stage in (a, b))
    draws = _medians(second, rng) / _medians(first, rng)
    low, high = (float(v) for v in np.percentile(draws, (0.5, 99.5)))
    one, two = float(np.median(first)), float(np.median(second))
    return Change(a.name, one, two, two / one, low, high)


def _medians(blocks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    drawn: np.ndarray = np.median(rng.choice(blocks, (DRAWS, len(blocks))), axis=1)
    return drawn
