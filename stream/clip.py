"""Video clipper: segments, causally. They end at cuts, fades and dissolves (`cuts`), on drift, and at their longest."""

from __future__ import annotations

import msgspec

from engines.crops import U8
from stream.cuts import Cuts, CutState
from stream.drift import Drift, DriftState
from stream.events import Body, SegmentClosed, SegmentOpened, SegmentReason


class ClipState(msgspec.Struct):
    segment: int = 0
    start_us: int = -1
    cuts: CutState = msgspec.field(default_factory=CutState)
    drift: DriftState = msgspec.field(default_factory=DriftState)


class Clipper:
    """Opens and closes segments: at the start, at cuts, on drift, at the longest length, at gaps and at the end.

    No segment is shorter than `shortest_us`, but for the last one before a gap or the feed's end, and none is longer
    than `longest_us`. A shot that ends earlier is merged with the next: no segment opens at that cut, the running one
    goes on with what it shows now. `step` tells of the cut all the same, since whoever was in sight is not any more.
    Where frames are far apart, a segment that reaches its longest length ends between two of them.
    """

    def __init__(
        self,
        *,
        cuts: Cuts | None = None,
        drift: Drift | None = None,
        shortest_us: int = 500_000,
        longest_us: int = 30_000_000,
    ) -> None:
        if not 0 < shortest_us <= longest_us:
            raise ValueError(f"shortest_us {shortest_us}: more than 0 and at most longest_us, {longest_us}, is allowed")
        self._cuts, self._drift = cuts or Cuts(), drift or Drift()
        self._shortest_us, self._longest_us = shortest_us, longest_us

    def step(self, state: ClipState, rgb: U8, pts_us: int) -> tuple[bool, list[Body]]:
        """Whether this frame ([H, W, 3], of any size) is the first of a new shot, and the segment events it causes."""
        cut, image, score = self._cuts.step(state.cuts, rgb, pts_us)
        if state.start_us < 0:
            return cut, self._turn(state, pts_us, "start")
        events: list[Body] = []
        age_us = pts_us - state.start_us
        if not (cut and self._shortest_us <= age_us <= self._longest_us):
            events = self._split(state, pts_us + 1)
            age_us = pts_us - state.start_us
        if cut:
            state.drift = DriftState()  # what was before the cut is no measure, whether a segment ends here or not
        drifted = self._drift.step(state.drift, image, score, pts_us, age_us / self._longest_us)
        if (cut or drifted) and age_us >= self._shortest_us:
            events += self._turn(state, pts_us, "cut" if cut else "drift")
        return cut, events

    def close(self, state: ClipState, end_us: int, reason: SegmentReason) -> list[Body]:
        """The feed ends or pauses at `end_us`: close the open segment."""
        if state.start_us < 0:
            return []
        events = self._split(state, end_us)
        events.append(SegmentClosed(segment=state.segment, start_us=state.start_us, end_us=end_us, reason=reason))
        state.start_us, state.cuts, state.drift = -1, CutState(), DriftState()
        return events

    def _split(self, state: ClipState, until_us: int) -> list[Body]:
        """End what would be longer than the longest segment by `until_us`."""
        events: list[Body] = []
        while until_us - state.start_us > self._longest_us:
            events += self._turn(state, state.start_us + self._longest_us, "length")
        return events

    def _turn(self, state: ClipState, at_us: int, reason: SegmentReason) -> list[Body]:
        events: list[Body] = []
        if state.start_us >= 0:
            events.append(SegmentClosed(segment=state.segment, start_us=state.start_us, end_us=at_us, reason=reason))
        state.segment, state.start_us = state.segment + 1, at_us
        self._drift.begin(state.drift)
        events.append(SegmentOpened(segment=state.segment, start_us=at_us, reason=reason))
        return events
