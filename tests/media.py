"""Videos for tests, drawn and encoded on the spot, and what PyAV makes of them."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.reformatter import Interpolation
from av.video.stream import VideoStream
from numpy.typing import NDArray

U8 = NDArray[np.uint8]
EXACT = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
CLIPS = (
    "01_dog.mp4", "05_default_juggle.mp4", "12_hideandseek.mp4", "14_social_dog_training.mp4", "19_cyclist.mp4",
    "bedroom.mp4",
)  # fmt: skip


def samples() -> Path:
    """The folder of sample clips. Fails, does not skip, where it is missing: CI must have them."""
    folder = Path(os.environ.get("STREFER_SAMPLES") or Path(__file__).parents[2] / "shared/videos")
    missing = [c for c in CLIPS if not (folder / c).is_file()]
    assert not missing, f"sample clips missing in {folder}: {missing} (set STREFER_SAMPLES)"
    return folder


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to make a video file. `times` are presentation times in ticks of `time_base`, one a frame."""

    codec: str = "libx264"
    container: str = "mp4"
    pix_fmt: str = "yuv420p"
    size: tuple[int, int] = (160, 96)
    frames: int = 75
    rate: Fraction = Fraction(25)
    gop: int = 25
    options: dict[str, str] = field(default_factory=dict)
    container_options: dict[str, str] = field(default_factory=dict)
    times: Sequence[int] | None = None
    time_base: Fraction | None = None
    audio: bool = False
    rotation: int = 0
    """Degrees clockwise that a player must turn the picture."""
    keys: tuple[int, ...] = ()
    """Frames that must be key frames, beside those of `gop`."""
    tags: tuple[int, int] | None = None
    """(colour range, matrix), FFmpeg's numbers."""


def picture(i: int, size: tuple[int, int], seed: int = 0) -> U8:
    """Frame i [H, W, 3] RGB: smooth colours drifting, a bright square walking; every frame differs."""
    width, height = size
    y, x = np.mgrid[:height, :width].astype(np.float32)
    waves = [
        128 + 100 * np.sin(x / (17 + 5 * k) + i * 0.11 * (k + 1) + seed) * np.cos(y / (23 - 4 * k)) for k in range(3)
    ]
    rgb = np.clip(np.stack(waves, axis=-1), 0, 255).astype(np.uint8)
    left, top = (3 * i) % max(width - 16, 1), (2 * i) % max(height - 16, 1)
    rgb[top : top + 16, left : left + 16] = (250, 240 - (i % 50) * 4, 20)
    return rgb


def make_video(path: Path, recipe: Recipe) -> Path:
    """Write a video file by a recipe."""
    time_base = recipe.time_base or 1 / recipe.rate
    options = dict(recipe.container_options)
    with av.open(path, mode="w", format=recipe.container, container_options=options) as out:
        defaults = {"sc_threshold": "0"} if recipe.codec == "libx264" else {}
        stream = out.add_stream(recipe.codec, rate=recipe.rate, options=defaults | recipe.options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = recipe.size
        stream.pix_fmt, stream.gop_size = recipe.pix_fmt, recipe.gop
        stream.codec_context.time_base = time_base
        if recipe.tags:
            stream.codec_context.color_range, stream.codec_context.colorspace = recipe.tags
        if recipe.rotation:
            stream.set_display_rotation(-recipe.rotation)
        sound = out.add_stream("aac", rate=48_000) if recipe.audio else None
        for i in range(recipe.frames):
            frame = av.VideoFrame.from_ndarray(picture(i, recipe.size), format="rgb24").reformat(format=recipe.pix_fmt)
            if i in recipe.keys:
                frame.pict_type = av.video.frame.PictureType.I
            frame.pts, frame.time_base = (recipe.times[i] if recipe.times else i), time_base
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if sound is not None:
            add_sound(out, sound, seconds=float(recipe.frames / recipe.rate))
    return path


def add_sound(out: av.container.OutputContainer, stream: av.AudioStream, *, seconds: float) -> None:
    """A tone on an AAC stream."""
    for at in range(0, int(seconds * 48_000), 1024):
        tone = np.sin(np.arange(at, at + 1024) * 0.05).astype(np.float32)[None]
        frame = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
        frame.pts, frame.sample_rate, frame.time_base = at, 48_000, Fraction(1, 48_000)
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded frame: exact time in seconds from the first frame, and its planes as they were decoded."""

    time: Fraction
    planes: U8

    def psnr(self, other: Decoded) -> float:
        """Peak signal-to-noise ratio in dB over all planes, infinite where equal."""
        assert self.planes.shape == other.planes.shape
        error = cv2.norm(self.planes, other.planes, cv2.NORM_L2SQR) / self.planes.size
        return float("inf") if error == 0 else 10 * np.log10(255**2 / error)


def decode(source: Path | bytes, pix_fmt: str | None = None) -> list[Decoded]:
    """All frames of a file by PyAV, straight; `pix_fmt` converts the planes."""
    frames = list(_decode(source, pix_fmt))
    first = frames[0].time
    return [Decoded(f.time - first, f.planes) for f in frames]


def _decode(source: Path | bytes, pix_fmt: str | None) -> Iterator[Decoded]:
    with av.open(io.BytesIO(source) if isinstance(source, bytes) else source, mode="r") as container:
        track = container.streams.video[0]
        track.thread_type = "AUTO"
        assert track.time_base is not None
        for frame in container.decode(track):
            assert frame.pts is not None
            shown = frame.reformat(format=pix_fmt, interpolation=EXACT) if pix_fmt else frame
            yield Decoded(frame.pts * track.time_base, _planes(shown))


def _planes(frame: av.VideoFrame) -> U8:
    """All planes' bytes in one row, without the padding at the lines' ends."""
    rows = []
    for plane, component in zip(frame.planes, frame.format.components, strict=False):
        lines = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
        samples = 3 if frame.format.name in ("rgb24", "bgr24", "gbr24") else (component.bits + 7) // 8
        rows.append(lines[:, : plane.width * samples].ravel())
    return np.concatenate(rows)
