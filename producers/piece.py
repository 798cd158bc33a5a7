"""A piece of one source: what a chunk holds before it has a feed and a number."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

MOVIE_FLAGS = "empty_moov+default_base_moof+frag_custom"
"""Fragmented MP4 of one fragment: a browser's media source can append it as it is."""


class BrokenSourceError(RuntimeError):
    """The source broke off; what could be read of it has been yielded."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Closed GOPs in a fragmented MP4.

    first_pts and end_pts are ticks of `time_base` on the source's own clock: of the first presented frame, and
    of the moment the last one is over. `rotation` is degrees clockwise to be upright.
    """

    data: bytes
    codec: str
    width: int
    height: int
    frames: int
    first_pts: int
    end_pts: int
    time_base: Fraction
    rate: Fraction
    rotation: int
    reencoded: bool

    @property
    def seconds(self) -> float:
        return float((self.end_pts - self.first_pts) * self.time_base)


def chunk_time_base(time_base: Fraction) -> Fraction:
    """The time base of chunks: 1/den, den doubled until it is at least 10,000, as FFmpeg's MP4 muxer would.
    Every tick of `time_base` is a whole number of its ticks, so no time is ever rounded."""
    den = time_base.denominator
    while den < 10_000:
        den *= 2
    return Fraction(1, den)


def clockwise(counterclockwise: int) -> int:
    """FFmpeg's rotation (degrees counterclockwise, -180..180) as 0, 90, 180 or 270 clockwise."""
    return round(-counterclockwise / 90) % 4 * 90
