"""Clips brought to one size, with a key frame every second as a camera sends them."""

from __future__ import annotations

from pathlib import Path

import av
from av.video.stream import VideoStream


def scaled(source: Path, target: Path, size: tuple[int, int]) -> Path:
    """`source` at `size` (width, height) as H.264 with short GOPs, in `target`."""
    with av.open(source) as reader, av.open(target, mode="w") as writer:
        track = reader.streams.video[0]
        rate = track.average_rate or track.guessed_rate
        if rate is None or track.time_base is None:
            raise SystemExit(f"{source} has no frame rate: name another clip")
        out = writer.add_stream("libx264", rate=rate, options={"crf": "18", "preset": "veryfast"})
        assert isinstance(out, VideoStream)
        out.width, out.height = size
        out.pix_fmt, out.gop_size = "yuv420p", max(1, round(rate))
        out.codec_context.time_base = track.time_base
        for frame in reader.decode(track):
            shown = frame.reformat(*size, format="yuv420p")
            shown.pts, shown.time_base = frame.pts, track.time_base
            writer.mux(out.encode(shown))
        writer.mux(out.encode(None))
    return target
