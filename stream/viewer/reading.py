"""Answers that are long and read at a viewer's pace: only so many at a time, and each within a time.

What is being read cannot be let go of, so that readers who never end would hold any number of chunks.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from stream.viewer.frames import BusyError, Shown

MOST = 64
WITHIN_S = 60.0
"""For a chunk of a few seconds: who is slower than this cannot watch."""
_LOOK_EVERY_S = 0.01


class Readings:
    """Counts what is being read. For one event loop."""

    def __init__(self, most: int = MOST, within_s: float = WITHIN_S) -> None:
        self._most, self._within_s = most, within_s
        self.now = 0

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """A reading, ended when its time is over. Raises BusyError where there are too many."""
        if self.now >= self._most:
            raise BusyError(f"{self.now} chunks are being read")
        self.now += 1
        try:
            async with asyncio.timeout(self._within_s):
                yield
        finally:
            self.now -= 1


async def begun(shown: Shown) -> None:
    """Wait for a chunk's first JPEG, or until there is none."""
    while not shown.parts and not shown.done:
        await asyncio.sleep(_LOOK_EVERY_S)


async def parts(shown: Shown) -> AsyncIterator[bytes]:
    """A chunk's JPEGs as they come."""
    at = 0
    while True:
        done = shown.done  # asked first: what comes before it is said is then seen
        if at < len(shown.parts):
            yield shown.parts[at]
            at += 1
        elif done:
            return
        else:
            await asyncio.sleep(_LOOK_EVERY_S)
