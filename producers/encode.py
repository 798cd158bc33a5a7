"""Frames into chunks of one closed GOP each, for what cannot be remuxed."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import av
import numpy as np
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from producers.piece import MOVIE_FLAGS, Piece, clockwise

GOP_FRAMES = 100_000
"""Longer than any chunk: the encoder sets no key frame of its own but at scene cuts."""

EXACT = Interpolation.BICUBIC | Interpolation.FULL_CHR_H_INP | Interpolation.ACCURATE_RND
"""swscale's flags without which RGB loses half its chroma even on the way to 4:4:4."""
SWSCALE_MATRIX = {1: 1, 6: 5}
"""swscale's number of a colour matrix tag."""


@dataclass(frozen=True, slots=True)
class EncoderChoice:
    """An FFmpeg encoder with options that keep the picture above 40 dB PSNR."""

    name: str
    options: tuple[tuple[str, str], ...]


_SAME_BYTES = ("x264-params", "mbtree=0")
"""x264's macroblock tree reads memory it never wrote (asm, core 165): with it the bytes depend on what the process did
before, and a resumed producer must make the same chunks."""
X264 = EncoderChoice("libx264", (("preset", "veryfast"), ("crf", "15"), ("qmax", "18"), _SAME_BYTES))
X264_444 = EncoderChoice("libx264", (("preset", "veryfast"), ("crf", "6"), ("qmax", "8"), _SAME_BYTES))
NVENC = EncoderChoice("h264_nvenc", (("preset", "p4"), ("rc", "constqp"), ("qp", "14")))
MPEG4 = EncoderChoice("mpeg4", (("qmin", "1"), ("qmax", "2")))
VP9 = EncoderChoice(
    "libvpx-vp9",
    (("deadline", "realtime"), ("cpu-used", "7"), ("crf", "12"), ("b", "0"), ("row-mt", "1"), ("lag-in-frames", "0")),
)


@cache
def best_encoder(*, subsampled: bool) -> EncoderChoice:
    """NVENC where this machine has it and the pixels are 4:2:0, else x264, else MPEG-4 (builds without GPL)."""
    for choice in (NVENC, X264) if subsampled else (X264_444,):
        try:
            context = av.codec.CodecContext.create(choice.name, "w")
            assert isinstance(context, av.video.codeccontext.VideoCodecContext)
            context.width, context.height, context.pix_fmt = 256, 256, "yuv420p"
            context.time_base, context.framerate = Fraction(1, 30), Fraction(30)
            context.open()
        except (av.error.FFmpegError, ValueError):
            continue
        return choice
    return MPEG4


class ChunkEncoder:
    """Encodes frames, which must come in presentation order, into pieces of about `target_s` seconds.

    Args:
        time_base: of the pieces; each frame's pts must be given in it.
        rate: average frame rate, 0 where unknown (only steers the encoder, never a time stamp).
        encoder: None for the best there is.
    """

    def __init__(
        self,
        *,
        time_base: Fraction,
        rate: Fraction,
        target_s: float,
        reencoded: bool,
        encoder: EncoderChoice | None = None,
    ) -> None:
        self._time_base, self._rate, self._target_s = time_base, rate, target_s
        self._choice, self._reencoded = encoder, reencoded
        self._scaler = VideoReformatter()
        self._open: _OpenPiece | None = None

    def encode(self, frame: VideoFrame, pts: int, duration: int) -> Iterator[Piece]:
        """Take a frame shown from `pts` for `duration` ticks; yields the piece that it closes, if any."""
        if self._open is not None and self._open.full(frame, pts, duration):
            yield self._close(pts)
        if self._open is None:
            self._open = _OpenPiece(frame, pts, self._time_base, self._rate, self._target_s, self._choice)
        self._open.add(frame, pts, duration, self._scaler)

    def flush(self) -> Iterator[Piece]:
        """Close the last piece."""
        if self._open is not None:
            yield self._close(self._open.end_pts)

    def _close(self, end_pts: int) -> Piece:
        assert self._open is not None
        piece, self._open = self._open.close(end_pts, self._reencoded), None
        return piece


class _OpenPiece:
    """One piece being written: an MP4 muxer and an encoder of its own, so that it needs no other."""

    def __init__(
        self,
        frame: VideoFrame,
        pts: int,
        time_base: Fraction,
        rate: Fraction,
        target_s: float,
        choice: EncoderChoice | None,
    ) -> None:
        self.pix_fmt = _pixels(frame)
        choice = choice or best_encoder(subsampled=self.pix_fmt == "yuv420p")
        self.first_pts, self.end_pts, self.frames, self.rotation = pts, pts, 0, clockwise(frame.rotation)
        self.size, self.time_base, self.rate = (frame.width, frame.height), time_base, rate
        self._target = target_s / float(time_base)
        self._buffer = io.BytesIO()
        options = {"movflags": MOVIE_FLAGS, "video_track_timescale": str(time_base.denominator)}
        self._out: OutputContainer = av.open(self._buffer, mode="w", format="mp4", options=options)
        stream = self._out.add_stream(choice.name, rate=rate or Fraction(25), options=dict(choice.options))
        # One thread: with several, x264's bytes depend on timing, and a resumed producer must make the same chunks.
        stream.codec_context.thread_count = 1
        assert isinstance(stream, VideoStream)
        self._stream, context = stream, stream.codec_context
        stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, self.pix_fmt
        stream.time_base = context.time_base = time_base
        context.gop_size, context.max_b_frames = GOP_FRAMES, 0
        context.color_range, context.colorspace = frame.color_range, frame.colorspace
        context.color_primaries, context.color_trc = frame.color_primaries, frame.color_trc
        if frame.format.is_rgb:
            # full range: colours are rounded less (0.5 dB on screen-like pictures)
            context.color_range, context.colorspace = 2, _matrix(frame.height)
        elif frame.format.name.startswith("yuvj"):
            context.color_range = 2

    def full(self, frame: VideoFrame, pts: int, duration: int) -> bool:
        """Whether this frame belongs to the next piece: the target is reached within half a frame, or the
        picture's size or format changes."""
        return (
            pts - self.first_pts + duration / 2 >= self._target
            or self.size != (frame.width, frame.height)
            or self.pix_fmt != _pixels(frame)
        )

    def add(self, frame: VideoFrame, pts: int, duration: int, scaler: VideoReformatter) -> None:
        if frame.format.name != self.pix_fmt:
            rgb = frame.format.is_rgb
            matrix = SWSCALE_MATRIX[_matrix(frame.height)] if rgb else None
            frame = scaler.reformat(
                frame,
                format=self.pix_fmt,
                dst_colorspace=matrix,
                dst_color_range=self._stream.codec_context.color_range,
                interpolation=EXACT,
            )
        # frames of the decoder may be shared: the encoder gets its own times and no picture type to obey
        frame.pts, frame.time_base, frame.pict_type = pts - self.first_pts, self.time_base, 0
        for packet in self._stream.encode(frame):
            self._out.mux_one(packet)
        self.frames += 1
        self.end_pts = pts + max(duration, 1)

    def close(self, end_pts: int, reencoded: bool) -> Piece:
        for packet in self._stream.encode(None):
            self._out.mux_one(packet)
        codec = self._stream.codec_context.codec.canonical_name
        self._out.close()
        width, height = self.size
        return Piece(
            self._buffer.getvalue(),
            codec,
            width,
            height,
            self.frames,
            self.first_pts,
            end_pts,
            self.time_base,
            self.rate,
            self.rotation,
            reencoded,
        )


def subsampled(rgb: NDArray[np.uint8], scaler: VideoReformatter) -> VideoFrame:
    """RGB [H, W, 3] uint8 as a 4:2:0 frame of limited range, tagged: what every decoder takes."""
    matrix = SWSCALE_MATRIX[_matrix(rgb.shape[0])]
    frame = VideoFrame.from_ndarray(rgb, format="rgb24")
    return scaler.reformat(frame, format="yuv420p", dst_colorspace=matrix, dst_color_range=1)


def _matrix(height: int) -> int:
    """Colour matrix tag of RGB sources, by the convention of the decoder: BT.709 from 720 lines, else SMPTE 170M."""
    return 1 if height >= 720 else 6


def _pixels(frame: VideoFrame) -> str:
    """4:2:0 where the source is subsampled and even, else 4:4:4, so that no colour is blurred and odd sizes fit."""
    chroma = [c for c in frame.format.components if not c.is_luma and not c.is_alpha]
    halved = bool(chroma) and not frame.format.is_rgb and all(c.width < frame.width for c in chroma)
    grey = len(frame.format.components) == 1 and not frame.format.is_rgb
    even = frame.width % 2 == 0 and frame.height % 2 == 0
    return "yuv420p" if even and (halved or grey) else "yuv444p"
