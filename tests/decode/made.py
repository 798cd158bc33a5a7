"""Chunks made for the decoders' tests, spoiled and edited ones too."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import msgspec
import numpy as np

from stream.chunk import Chunk, ChunkHeader
from stream.frames import U8

LIMITED, FULL = 1, 2
FRAMES = 20
CODECS: dict[str, tuple[str, str, str, dict[str, str]]] = {
    "vp9": ("libvpx-vp9", "mp4", "yuv420p", {"crf": "10", "b": "0", "cpu-used": "8", "deadline": "realtime"}),
    "vp8": ("libvpx", "matroska", "yuv420p", {"crf": "10", "b": "2M", "cpu-used": "8", "deadline": "realtime"}),
    "mjpeg": ("mjpeg", "mp4", "yuvj420p", {"qmin": "2", "qmax": "2"}),
    "mpeg4": ("mpeg4", "mp4", "yuv420p", {}),
}


def scene(i: int, height: int, width: int) -> U8:
    """[H * 3 // 2, W] uint8 I420: moving shades and gentle colours that stay within any matrix's gamut."""
    y, x = np.mgrid[0:height, 0:width]
    luma = 90 + (x + 3 * i) % 80 + 10 * np.sin(y / 9)
    u = 128 + 35 * np.sin(x[::2, ::2] / 20 + i / 5)
    v = 128 + 35 * np.cos(y[::2, ::2] / 20)
    planes = [luma.reshape(-1, width), u.reshape(-1, width), v.reshape(-1, width)]
    return np.concatenate(planes).round().astype(np.uint8)


def encode(
    codec: str = "vp9",
    *,
    matrix: int = 2,
    colour_range: int = 0,
    size: tuple[int, int] = (144, 192),
    pts: list[int] | None = None,
    rotation: int = 0,
) -> Chunk:
    """A chunk of generated frames; `pts` in 1/1000 s."""
    name, container, pixel_format, options = CODECS[codec]
    pts = pts if pts is not None else [i * 40 for i in range(FRAMES)]
    height, width = size
    buffer = io.BytesIO()
    fragmented = {"movflags": "frag_keyframe+empty_moov+default_base_moof"} if container == "mp4" else {}
    with av.open(buffer, "w", format=container, options=fragmented) as out:
        track: Any = out.add_stream(name, rate=25, options=options)
        track.width, track.height, track.pix_fmt = width, height, pixel_format
        track.codec_context.time_base = Fraction(1, 1000)
        if matrix != 2:
            track.codec_context.colorspace = matrix
        if colour_range:
            track.codec_context.color_range = colour_range
        for i, at in enumerate(pts):
            frame = av.VideoFrame.from_ndarray(scene(i, height, width), format=pixel_format)
            frame.pts, frame.time_base = at, Fraction(1, 1000)
            frame.colorspace, frame.color_range = matrix, colour_range
            out.mux(track.encode(frame))
        out.mux(track.encode())
    data = buffer.getvalue()
    header = ChunkHeader(
        feed="f",
        seq=0,
        start_us=pts[0] * 1000,
        duration_us=(pts[-1] - pts[0] + 40) * 1000,
        codec=codec,
        width=width,
        height=height,
        frames=len(pts),
        crc32=zlib.crc32(data),
        start_pts=pts[0],
        time_base="1/1000",
        rotation=rotation,
    )
    return Chunk(header, data)


def change(chunk: Chunk, **fields: Any) -> Chunk:
    """A copy with other header fields, or other `data`."""
    data = fields.pop("data", chunk.data)
    return Chunk(msgspec.structs.replace(chunk.header, **fields), data)


def together(batches: Iterator[Any]) -> tuple[U8, list[int]]:
    """All frames, kept while later ones are decoded: a decoder that reused memory would be caught."""
    kept = list(batches)
    return np.concatenate([b.host() for b in kept]), [int(t) for b in kept for t in b.pts_us]


def edit(chunk: Chunk, skip_ms: int) -> Chunk:
    """The chunk as an MP4 whose edit list discards what is shown before `skip_ms`."""
    buffer = io.BytesIO()
    options = {"use_editlist": "1", "avoid_negative_ts": "disabled"}
    with av.open(io.BytesIO(chunk.data)) as source, av.open(buffer, "w", format="mp4", options=options) as out:
        track = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size == 0:
                continue
            assert packet.pts is not None
            assert packet.dts is not None
            ticks = int(Fraction(skip_ms, 1000) / packet.time_base)
            packet.pts, packet.dts, packet.stream = packet.pts - ticks, packet.dts - ticks, track
            out.mux(packet)
    return change(chunk, data=buffer.getvalue())
