"""Packets into a chunk as they are: nothing is decoded, nothing is encoded, no time is rounded."""

from __future__ import annotations

import io
import itertools
from collections.abc import Sequence
from fractions import Fraction

import av
from av.packet import Packet
from av.video.stream import VideoStream

from producers.piece import MOVIE_FLAGS, Piece, chunk_time_base, clockwise


class RemuxError(ValueError):
    """These packets cannot be put into a chunk that decodes alone to the same frames; re-encode them."""


def remux(track: VideoStream, packets: Sequence[Packet[VideoStream]], *, rotation: int) -> Piece:
    """A piece of `packets` (decoding order, each with a pts, closed at both ends). Raises RemuxError."""
    assert track.time_base is not None
    time_base = chunk_time_base(track.time_base)
    scale = int(track.time_base / time_base)
    pts = [_known(p.pts) * scale for p in packets]
    dts = [d * scale for d in _decode_times(packets, track)]
    context = track.codec_context
    buffer = io.BytesIO()
    options = {"movflags": MOVIE_FLAGS, "video_track_timescale": str(time_base.denominator)}
    try:
        with av.open(buffer, mode="w", format="mp4", options=options) as out:
            # opaque: take the codec's id from the decoder, which need not have an encoder's name
            stream = out.add_stream_from_template(track, opaque=True)
            stream.time_base = time_base
            for packet, shown, decoded in zip(packets, pts, dts, strict=True):
                copy = Packet(bytes(packet))
                copy.stream, copy.time_base = stream, time_base
                copy.pts, copy.dts = shown - dts[0], decoded - dts[0]
                copy.duration = (packet.duration or 0) * scale
                copy.is_keyframe = packet.is_keyframe
                out.mux_one(copy)
    except (av.error.FFmpegError, ValueError) as e:
        raise RemuxError(f"{context.codec.canonical_name}: {e}") from e
    last = max(range(len(pts)), key=pts.__getitem__)
    return Piece(
        data=buffer.getvalue(),
        codec=context.codec.canonical_name,
        width=context.width,
        height=context.height,
        frames=len(packets),
        first_pts=min(pts),
        end_pts=pts[last] + max(packet_ticks(packets[last], track) * scale, 1),
        time_base=time_base,
        rate=track.average_rate or Fraction(0),
        rotation=rotation,
        reencoded=False,
    )


def check(piece: Piece, packets: Sequence[Packet[VideoStream]], time_base: Fraction) -> int:
    """Decode a piece and hold it to its packets: as many frames, at the same times. Gives its rotation, degrees
    clockwise. Raises RemuxError where they differ (hidden frames, fields, time stamps that are no display order)."""
    try:
        with av.open(io.BytesIO(piece.data), mode="r") as container:
            track = container.streams.video[0]
            track.thread_type = "AUTO"
            rotation, shown = 0, list[int | None]()
            for frame in container.decode(track):
                if frame.is_corrupt:
                    raise RemuxError(f"frame at {frame.pts} is damaged")
                rotation = frame.rotation
                shown.append(frame.pts)
    except av.error.FFmpegError as e:
        raise RemuxError(str(e)) from e
    if None in shown or len(shown) != len(packets):
        raise RemuxError(f"{len(packets)} packets gave {len(shown)} frames")
    times = [_known(t) for t in shown]
    scale = int(time_base / piece.time_base)
    wanted = sorted(_known(p.pts) * scale for p in packets)
    if [t - times[0] for t in times] != [w - wanted[0] for w in wanted] or len(set(times)) != len(times):
        raise RemuxError("frames are not shown at their packets' times")
    return clockwise(rotation)


def packet_ticks(packet: Packet[VideoStream], track: VideoStream) -> int:
    """A packet's duration in ticks of its track, guessed from the rate where it has none."""
    if packet.duration:
        return packet.duration
    assert track.time_base is not None
    rate = track.guessed_rate or track.average_rate
    return max(round(1 / (rate * track.time_base)), 1) if rate else 1


def _decode_times(packets: Sequence[Packet[VideoStream]], track: VideoStream) -> list[int]:
    """Strictly growing decoding times; those a container leaves out (Matroska does, at the start) are filled in."""
    known = next((i for i, p in enumerate(packets) if p.dts is not None), None)
    if known is None:
        if any(_known(a.pts) >= _known(b.pts) for a, b in itertools.pairwise(packets)):
            raise RemuxError("no decoding times, and the frames are reordered")
        return [_known(p.pts) for p in packets]
    first = _known(packets[known].dts)
    step = packet_ticks(packets[known], track)
    times = [first - (known - i) * step for i in range(known)] + [
        _known(p.dts) for p in packets[known:] if p.dts is not None
    ]
    if len(times) != len(packets) or any(a >= b for a, b in itertools.pairwise(times)):
        raise RemuxError("decoding times do not grow")
    return times


def _known(value: int | None) -> int:
    if value is None:
        raise RemuxError("a packet has no time stamp")
    return value
