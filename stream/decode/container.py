"""What a chunk's container says without decoding: each frame's time, the codec, the colour matrix."""

from __future__ import annotations

import io
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

from stream.chunk import Chunk, ChunkHeader
from stream.decode import CorruptChunkError
from stream.decode.colour import conventional_matrix


@dataclass(frozen=True, slots=True)
class Contents:
    """The video track of a chunk.

    pts: [N] ticks of `time_base` of all coded frames in presentation order.
    shown: [N] False for frames an edit list discards; a decoder may or may not give them out.
    """

    codec: str
    pixel_format: str
    matrix: int
    """AVColorSpace of the track, the conventional one where it is not tagged."""
    time_base: Fraction
    pts: tuple[int, ...]
    shown: tuple[bool, ...]

    def times_us(self, header: ChunkHeader) -> NDArray[np.int64]:
        """[frames] int64 feed times of the frames shown. Raises CorruptChunkError where they do not fit the header."""
        pts = [pts for pts, shown in zip(self.pts, self.shown, strict=True) if shown]
        if len(pts) != header.frames:
            raise CorruptChunkError(f"chunk has {len(pts)} frames, its header promises {header.frames}")
        scale = self.time_base / Fraction(header.time_base)
        ticks = [(p - pts[0]) * scale for p in pts]
        if any(t.denominator != 1 for t in ticks):
            raise CorruptChunkError(f"time stamps in {self.time_base} s do not fit the header's {header.time_base} s")
        times = np.array([header.pts_us(int(t)) for t in ticks], np.int64)
        if np.any(np.diff(times) <= 0):
            raise CorruptChunkError("two frames are shown at the same time")
        return times


def contents(chunk: Chunk) -> Contents:
    """Read the container. Raises CorruptChunkError where it is none, is cut off, or has no video or no times."""
    try:
        with av.open(io.BytesIO(chunk.data), mode="r") as container:
            if not container.streams.video:
                raise CorruptChunkError("chunk has no video track")
            track = container.streams.video[0]
            frames: list[tuple[int, bool]] = []
            for packet in container.demux(track):
                if packet.size == 0:
                    continue  # the flush at the end
                if packet.is_corrupt:
                    raise CorruptChunkError(f"packet at {packet.pts} is damaged")
                if packet.pts is None:
                    raise CorruptChunkError("a frame has no time stamp")
                frames.append((packet.pts, not packet.is_discard))
            codec = track.codec_context
            if track.time_base is None or not frames:
                raise CorruptChunkError("chunk has no frames")
            frames.sort()
            return Contents(
                codec.name,
                codec.pix_fmt or "",
                conventional_matrix(int(codec.colorspace), codec.height),
                track.time_base,
                tuple(pts for pts, _ in frames),
                tuple(shown for _, shown in frames),
            )
    except av.error.FFmpegError as e:
        raise CorruptChunkError(f"chunk cannot be read: {e.strerror or e}") from e
