"""Where a compressed video may be cut so that both sides decode alone.

A cut before a packet is safe where nothing after it, in decoding or presentation order, needs anything before it:

- the packet is a key frame; for H.264 an IDR picture (a recovery point, as open GOPs and intra refresh have, is none),
  for HEVC any IRAP picture (ITU-T H.265, 3.71);
- it has no leading pictures: the packet after it is not shown before it. Leading pictures directly follow theirs, and
  trailing ones never refer to what came before (ITU-T H.265, 8.1.3);
- nothing before it is shown after it.
"""

from __future__ import annotations

from collections.abc import Iterator

from av.packet import Packet
from av.video.stream import VideoStream

H264_VCL, H264_IDR = range(1, 6), 5
HEVC_VCL, HEVC_IRAP = range(32), range(16, 24)


class CutFinder:
    """Tells safe cuts of one video track, packet by packet in decoding order."""

    def __init__(self, track: VideoStream) -> None:
        self._codec = track.codec_context.codec.canonical_name
        self._prefix = _length_prefix(self._codec, track.codec_context.extradata or b"")
        self._newest_pts: int | None = None

    def safe_before(self, packet: Packet[VideoStream], following: Packet[VideoStream] | None) -> bool:
        """Whether to cut before `packet`; call once for every packet, in order. Packets must have a pts."""
        assert packet.pts is not None
        newest = self._newest_pts
        self._newest_pts = packet.pts if newest is None else max(newest, packet.pts)
        if not packet.is_keyframe or (newest is not None and newest >= packet.pts):
            return False
        if following is not None and following.pts is not None and following.pts < packet.pts:
            return False
        if self._codec == "h264":
            return self._picture_type(packet, H264_VCL) == H264_IDR
        if self._codec == "hevc":
            return self._picture_type(packet, HEVC_VCL) in HEVC_IRAP
        return True

    def _picture_type(self, packet: Packet[VideoStream], picture: range) -> int | None:
        """NAL unit type of the packet's first picture slice."""
        data = bytes(packet)
        for at in _nal_units(data, self._prefix):
            kind = data[at] & 0x1F if self._codec == "h264" else (data[at] >> 1) & 0x3F
            if kind in picture:
                return kind
        return None


def _length_prefix(codec: str, extradata: bytes) -> int:
    """Bytes of each NAL unit's length field, 0 where start codes part them (Annex B)."""
    if codec == "h264" and len(extradata) > 4 and extradata[0] == 1:
        return (extradata[4] & 3) + 1
    if codec == "hevc" and len(extradata) > 21 and extradata[:3] not in (b"\0\0\0", b"\0\0\1"):
        return (extradata[21] & 3) + 1
    return 0


def _nal_units(data: bytes, prefix: int) -> Iterator[int]:
    """Offsets of the NAL units' headers."""
    at = 0
    if prefix:
        while at + prefix < len(data):
            yield at + prefix
            at += prefix + int.from_bytes(data[at : at + prefix], "big")
        return
    while (at := data.find(b"\0\0\1", at)) >= 0 and at + 3 < len(data):
        yield at + 3
        at += 3
