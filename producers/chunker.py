"""Packets of one video track -> pieces: whole GOPs, remuxed; what cannot be is re-encoded into short closed GOPs.

A piece ends at the first safe cut (see `gop`) after three quarters of the target. Where no safe cut comes within the
limit, decoding starts at the last one and frames are re-encoded as they come until the next: memory holds at most
one limit's worth of packets, whatever the file. The first piece, and every piece of a codec outside TRUSTED, is
decoded once to see that it gives a frame for each packet at its time; where it does not, its frames are re-encoded.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from typing import TypeAlias

import av
import structlog
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from producers.encode import ChunkEncoder
from producers.gop import CutFinder
from producers.piece import Piece, chunk_time_base
from producers.remux import RemuxError, check, packet_ticks, remux

TARGET_S = 1.0
EARLIEST = 0.75
"""Share of the target from which a safe cut is taken."""
MAX_PENDING_BYTES = 64 << 20
HOLDABLE = {"h264", "hevc", "vp9", "av1", "mjpeg", "mpeg4", "mpeg1video", "mpeg2video"}
"""Codecs that go into MP4 and come out of it in every player's decoder; all others are re-encoded throughout."""
TRUSTED = {"h264", "hevc", "vp9", "av1", "mjpeg"}
"""Codecs whose packets each give one frame, once the first piece has shown it for this source."""
VideoPacket: TypeAlias = "Packet[VideoStream]"


class Chunker:
    """Cuts one video track of an open container.

    Args:
        limit_s: longest GOP that is kept whole.
        live: join at a key frame (drop what comes before), and after one GOP over the limit go on re-encoding,
            since the next ones will be as long.
        proven: the rotation that an earlier pass over the same file found, whose chunks were all right (a loop need
            not check them again); None for a first pass.
    """

    def __init__(
        self,
        track: VideoStream,
        *,
        limit_s: float,
        live: bool = False,
        target_s: float = TARGET_S,
        proven: int | None = None,
    ) -> None:
        assert track.time_base is not None
        self.track, self.limit_s, self.live, self.target_s = track, limit_s, live, target_s
        self.rotation, self._proven = proven or 0, proven is not None
        self.proven = True
        """False as soon as a piece failed its check: the next pass must check again."""
        self.time_base = chunk_time_base(track.time_base)
        self._scale = int(track.time_base / self.time_base)
        self._unchecked = True
        self._unholdable = track.codec_context.codec.canonical_name not in HOLDABLE
        # AVI stores decoding times only: with reordered frames their sorted sequence is what is shown
        self._sorted_times = (
            "avi" in track.container.format.name and track.codec_context.codec.canonical_name in TRUSTED
        )
        self._decoding: _Transcoder | None = None
        self._pending: list[VideoPacket] = []
        self._shown = (0, 0)  # earliest and latest pts pending
        self._bytes = 0
        self._whole_s = 0.0  # length of the whole GOPs pending

    def pieces(self, packets: Iterable[VideoPacket]) -> Iterator[Piece]:
        """Pieces in order. `packets` in decoding order, as demuxed; when the iterable raises, what came before is
        yielded first, then the exception goes on."""
        failure: Exception | None = None
        stream, finder = _with_next(packets), CutFinder(self.track)
        if self._unholdable:
            self._decoding = self._transcoder()
        while True:
            try:
                packet, following = next(stream)
            except StopIteration:
                break
            except (av.error.FFmpegError, OSError) as e:
                failure = e
                break
            safe = finder.safe_before(packet, following) if packet.pts is not None else False
            if packet.pts is None and self._decoding is None:  # only its decoder knows when it is shown
                self._decoding = self._transcoder()
                yield from self._decoding.feed(self._pop())
            if not self._started and not safe:
                if self.live:
                    continue
                self._decoding = self._transcoder()  # a file that begins in mid-GOP: the decoder knows what to show
            yield from self._take(packet, safe=safe)
        yield from self._end_piece(last=True)
        if failure is not None:
            raise failure

    @property
    def _started(self) -> bool:
        return bool(self._pending) or self._decoding is not None

    def _take(self, packet: VideoPacket, *, safe: bool) -> Iterator[Piece]:
        stays = self._decoding is not None and (self.live or self._unholdable)
        if safe and not stays and (self._decoding is not None or self._long_enough()):
            yield from self._end_piece(last=False)
        if self._decoding is not None:
            yield from self._decoding.feed([packet])
            return
        assert packet.pts is not None
        low, high = self._shown if self._pending else (packet.pts, packet.pts)
        self._shown = min(low, packet.pts), max(high, packet.pts)
        self._pending.append(packet)
        self._bytes += packet.size
        if self._length(packet) > self.limit_s or self._bytes > MAX_PENDING_BYTES:
            self._decoding = self._transcoder()
            yield from self._decoding.feed(self._pop())

    def _long_enough(self) -> bool:
        """At a safe cut: whether to take it. A GOP as long as the last must not fit into the target any more."""
        length, gop = self._length(None), self._length(None) - self._whole_s
        self._whole_s = length
        return length >= EARLIEST * self.target_s and length + gop > self.target_s + 1e-6

    def _length(self, newest: VideoPacket | None) -> float:
        """Seconds that the pending packets are shown."""
        if not self._pending or self.track.time_base is None:
            return 0.0
        ticks = self._shown[1] - self._shown[0] + packet_ticks(newest or self._pending[-1], self.track)
        return float(ticks * self.track.time_base)

    def _pop(self) -> list[VideoPacket]:
        pending, self._pending, self._bytes, self._whole_s = self._pending, [], 0, 0.0
        return pending

    def _end_piece(self, *, last: bool) -> Iterator[Piece]:
        if self._decoding is not None:
            yield from self._decoding.finish()
            self._decoding = None
        packets = self._pop()
        if not packets:
            return
        piece = self._remuxed(packets, last=last)
        if piece is not None:
            yield piece
            return
        again = self._transcoder()
        yield from again.feed(packets)
        yield from again.finish()

    def _remuxed(self, packets: list[VideoPacket], *, last: bool) -> Piece | None:
        """The packets as a piece, None where only re-encoding gives the right frames."""
        codec = self.track.codec_context.codec.canonical_name
        if any(p.is_discard or p.is_corrupt or p.has_sidedata("new_extradata") for p in packets):
            return None
        try:
            piece = remux(self.track, packets, rotation=self.rotation)
            if not self._proven and (self._unchecked or codec not in TRUSTED or last):
                assert self.track.time_base is not None
                turned = check(piece, packets, self.track.time_base)
                if turned != self.rotation:
                    self.rotation = turned
                    piece = remux(self.track, packets, rotation=turned)
                self._unchecked = False
        except RemuxError as e:
            self.proven = False
            structlog.get_logger().info("re-encoding a chunk", codec=codec, cause=str(e))
            return None
        return piece

    def _transcoder(self) -> _Transcoder:
        return _Transcoder(self.track, self._scale, self.target_s, sort_times=self._sorted_times)


class _Transcoder:
    """Decodes packets of a track and encodes their frames into pieces, as they come."""

    def __init__(self, track: VideoStream, scale: int, target_s: float, *, sort_times: bool) -> None:
        assert track.time_base is not None
        self._track, self._scale, self._sort = track, scale, sort_times
        self._times: list[int] = []  # of the packets whose frames are still to come, a heap
        self._newest: int | None = None
        rate = track.average_rate or track.guessed_rate
        self._step = max(round(1 / (rate * track.time_base)), 1) if rate else 1
        self._encoder = ChunkEncoder(
            time_base=chunk_time_base(track.time_base),
            rate=rate or track.time_base * 0,
            target_s=target_s,
            reencoded=True,
        )
        self._held: tuple[VideoFrame, int] | None = None
        if not track.codec_context.is_open:
            track.thread_type = "AUTO"

    def feed(self, packets: list[VideoPacket]) -> Iterator[Piece]:
        for packet in packets:
            if packet.pts is not None and not packet.is_discard:
                heapq.heappush(self._times, packet.pts)
            yield from self._shown(self._decode(packet))

    def finish(self) -> Iterator[Piece]:
        """The last frames; afterwards the track's decoder is as new."""
        yield from self._shown(self._decode(None))
        context = self._track.codec_context
        depth = context.reorder_depth
        context.flush_buffers()
        context.reorder_depth = depth  # FFmpeg forgets it on a flush and would then drop reordered frames
        if self._held is not None:
            frame, pts = self._held
            yield from self._encoder.encode(frame, pts * self._scale, self._step * self._scale)
        yield from self._encoder.flush()

    def _decode(self, packet: VideoPacket | None) -> list[VideoFrame]:
        try:
            return self._track.codec_context.decode(packet)
        except av.error.InvalidDataError as e:
            structlog.get_logger().warning("skipped data that cannot be decoded", cause=e.strerror)
            return []

    def _shown(self, frames: list[VideoFrame]) -> Iterator[Piece]:
        """Encode each frame once the next one tells how long it is shown."""
        for frame in frames:
            pts = self._time(frame)
            if self._held is not None:
                before, at = self._held
                yield from self._encoder.encode(before, at * self._scale, (pts - at) * self._scale)
            self._held = (frame, pts)

    def _time(self, frame: VideoFrame) -> int:
        """The frame's own time; the sorted packet times where the container has no display order; never not growing."""
        pts = heapq.heappop(self._times) if self._sort and self._times else frame.pts
        if pts is None:
            pts = self._newest + self._step if self._newest is not None else 0
        if self._newest is not None and pts <= self._newest:
            pts = self._newest + 1
        while self._times and self._times[0] <= pts:
            heapq.heappop(self._times)
        self._newest = pts
        return pts


def _with_next(packets: Iterable[VideoPacket]) -> Iterator[tuple[VideoPacket, VideoPacket | None]]:
    """Each packet with the one after it, None after the last; packets without data are left out."""
    held: VideoPacket | None = None
    try:
        for packet in packets:
            if packet.size == 0:
                continue
            if held is not None:
                yield held, packet
            held = packet
    except (av.error.FFmpegError, OSError):
        if held is not None:
            yield held, None
        raise
    if held is not None:
        yield held, None
