"""Back-pressure: what a feed does when its chunks come faster than they are followed. Its producer chose the policy:

- `block`: nothing is dropped, chunks wait in the log.
- `latest`: when more than `LIMIT` chunks wait, all but the newest are skipped.
- `degrade`: work gets less, level by level, and more again when nothing waits: 1 the detector looks less often, 2 only
  every second frame is followed, 3 chunks are skipped as in `latest`.
"""

from __future__ import annotations

import msgspec

from stream.chunk import Policy

LIMIT = 2
"""Chunks that may wait behind the one in work before something is done about it."""
CALM = 4
"""Chunks in a row behind which nothing waited, before a level is taken back."""
SLOWER_LOOKS = 3
"""From level 1 on the detector's interval is this many times as long."""


class Pressure(msgspec.Struct):
    """A feed's back-pressure. level: of `degrade`, 0 to 3. waited: how many chunks waited behind the last one."""

    level: int = 0
    calm: int = 0
    waited: int = 0
    skipping: bool = False


class Skipped(msgspec.Struct, frozen=True):
    """Chunks that were skipped and not told of yet: the first one's seq and time, and why."""

    seq: int
    start_us: int
    reason: str


def meet(pressure: Pressure, policy: Policy, waiting: int) -> bool:
    """Take in how many chunks wait behind the next one; whether that one is to be skipped."""
    pressure.level = _level(pressure, waiting) if policy == "degrade" else 0
    pressure.waited = waiting
    may_skip = policy == "latest" or pressure.level == 3
    # once begun it goes on to the newest: one gap, not many
    pressure.skipping = may_skip and (waiting > LIMIT or (pressure.skipping and waiting > 0))
    return pressure.skipping


def _level(pressure: Pressure, waiting: int) -> int:
    level = pressure.level
    pressure.calm = 0 if waiting else pressure.calm + 1
    if waiting > LIMIT and (waiting >= pressure.waited or not level):  # the level that is does not make up for it
        level = min(3, level + 1)
    elif pressure.calm >= CALM and level:
        level, pressure.calm = level - 1, 0
    return level
