"""Chunks: self-contained pieces of a feed, as they lie in the topic `video.chunks`.

The topic carries three kinds of messages, all keyed by feed and all numbered by one `seq` without holes:
a chunk of video, a gap (a live source was away), and the feed's end. Headers follow CloudEvents 1.0 binary
mode; the value of a chunk is the encoded video itself (fragmented MP4), the other two have an empty value.
"""

from __future__ import annotations

import zlib
from fractions import Fraction
from typing import Literal, TypeVar

import msgspec

SCHEMA_VERSION = "1"
Policy = Literal["block", "latest", "degrade"]
CHUNK, GAP, END = "strefer.chunk", "strefer.feed.gap", "strefer.feed.ended"


class ChunkHeader(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker must know of a chunk before it decodes it.

    Exact presentation times: frame i of the chunk, whose container timestamp is `pts`, is shown at
    `origin_us + round((start_pts + pts - pts_of_first_frame) * time_base * 1e6)`, all integers and fractions.
    """

    feed: str
    seq: int
    start_us: int
    duration_us: int
    codec: str
    width: int
    """Pixels as coded, before `rotation`."""
    height: int
    frames: int
    crc32: int
    origin_us: int = 0
    """Feed time at which this source (file, loop, connection) began."""
    start_pts: int = 0
    """Ticks of `time_base` from the source's first presented frame to this chunk's first presented frame."""
    time_base: str = "1/1000000"
    rate: str = "0/1"
    """Average frame rate as a fraction, 0/1 where unknown."""
    rotation: int = 0
    """Degrees clockwise, a multiple of 90, by which decoded frames are turned to be upright."""
    reencoded: bool = False
    """True where the producer had to re-encode (a GOP over the limit, or a codec no chunk can hold)."""
    source: str = ""
    captured_wall_us: int | None = None
    """Wall-clock time (Unix microseconds) at which a live chunk, or one played in real time, begins; None for files."""
    policy: Policy = "block"
    """What a worker does when chunks of this feed wait: see `stream.pressure`."""

    def pts_us(self, ticks: int) -> int:
        """Feed time of a frame `ticks` of `time_base` after the chunk's first presented frame."""
        exact = (self.start_pts + ticks) * Fraction(self.time_base) * 1_000_000
        return self.origin_us + round(exact)


class GapHeader(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of a live feed that never arrived."""

    feed: str
    seq: int
    start_us: int
    end_us: int
    reason: str


class EndHeader(msgspec.Struct, frozen=True, kw_only=True):
    """The feed is over, for now: a later chunk of the same feed starts it again."""

    feed: str
    seq: int
    at_us: int
    reason: Literal["end", "stopped", "error"]


class Chunk(msgspec.Struct, frozen=True):
    header: ChunkHeader
    data: bytes

    def verify(self) -> None:
        """Raise ValueError where the bytes are not those the producer sent."""
        crc = zlib.crc32(self.data)
        if crc != self.header.crc32:
            raise ValueError(f"crc32 is {crc:#010x}, the header says {self.header.crc32:#010x}")


Header = ChunkHeader | GapHeader | EndHeader
_KINDS: dict[str, type[Header]] = {CHUNK: ChunkHeader, GAP: GapHeader, END: EndHeader}
_NAMES = {kind: name for name, kind in _KINDS.items()}
H = TypeVar("H", bound=Header)


def encode_header(header: Header) -> dict[str, str]:
    """Message headers (CloudEvents binary mode) of a header."""
    name = _NAMES[type(header)]
    return {
        "ce_specversion": "1.0",
        "ce_type": name,
        "ce_source": f"/feeds/{header.feed}",
        "ce_id": f"{header.feed}/{header.seq}",
        "content-type": "video/mp4" if name == CHUNK else "application/octet-stream",
        "strefer_schema": SCHEMA_VERSION,
        "strefer_header": msgspec.json.encode(header).decode(),
    }


def decode_header(headers: dict[str, str]) -> Header:
    """The typed header of a message. Raises ValueError where kind, schema version or fields are wrong."""
    kind = _KINDS.get(headers.get("ce_type", ""))
    if kind is None:
        raise ValueError(f"ce_type is {headers.get('ce_type')!r}, wanted one of {sorted(_KINDS)}")
    if headers.get("strefer_schema") != SCHEMA_VERSION:
        raise ValueError(f"schema version is {headers.get('strefer_schema')!r}, this worker reads {SCHEMA_VERSION!r}")
    try:
        return msgspec.json.decode(headers.get("strefer_header", ""), type=kind)
    except msgspec.MsgspecError as e:
        raise ValueError(f"strefer_header does not fit {kind.__name__}: {e}") from None
