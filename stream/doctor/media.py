"""Checks of decoding and encoding: PyAV, its codecs, DALI."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Literal

from engines.errors import UserError
from stream.doctor.compute import has_driver
from stream.doctor.rows import ABSENT, Row, State, load, off_or_warn

# Codec, FFmpeg's decoder: its own `av1` only drives hardware.
DECODERS = (("h264", "h264"), ("hevc", "hevc"), ("vp9", "vp9"), ("av1", "libdav1d"), ("mjpeg", "mjpeg"))
ENCODERS = (("vp9", "libvpx-vp9"), ("mpeg4", "mpeg4"), ("h264", "libx264"))
NVENC = "h264_nvenc"


def pyav() -> list[Row]:
    av, detail = load("av", "av")
    if av is None:
        return [Row("PyAV", "missing", detail, "pip install av")]
    ffmpeg = ".".join(map(str, av.library_versions.get("libavcodec", ())))
    rows = [Row("PyAV", "ok", f"{detail}, libavcodec {ffmpeg}")]
    for way, wanted, mode in (("decoders", DECODERS, "r"), ("encoders", ENCODERS, "w")):
        lacking = [codec for codec, name in wanted if not _has(av, name, mode)]
        state: State = "warn" if lacking else "ok"
        detail = f"without {', '.join(lacking)}" if lacking else ", ".join(codec for codec, _ in wanted)
        rows.append(Row(f"PyAV {way}", state, detail, "pip install --force-reinstall av" if lacking else ""))
    rows.append(_nvenc(av))
    return rows


def _has(av: Any, name: str, mode: str) -> bool:
    try:
        av.Codec(name, mode)
    except ValueError:  # PyAV's UnknownCodecError
        return False
    return True


def _nvenc(av: Any) -> Row:
    if not _has(av, NVENC, "w"):
        return Row("NVENC", "warn", "this PyAV has no NVENC; re-encoding uses the CPU", "pip install av")
    try:
        encoder = av.CodecContext.create(NVENC, "w")
        encoder.width, encoder.height, encoder.pix_fmt, encoder.framerate = 256, 256, "yuv420p", 25
        encoder.time_base = Fraction(1, 25)
        encoder.open()
    except Exception:
        state: State = "warn" if has_driver() else "off"
        return Row("NVENC", state, "no encoder on this GPU, or no GPU; re-encoding uses the CPU")
    return Row("NVENC", "ok", "h264")


def dali() -> list[Row]:
    module, detail = load("nvidia.dali", "nvidia-dali-cuda130")
    if module is None:
        mend = "pip install nvidia-dali-cuda130" if detail == ABSENT else "reinstall nvidia-dali-cuda130"
        return [Row(f"DALI {device}", off_or_warn(detail), detail, mend) for device in ("cpu", "gpu")]
    if not has_driver():
        return [_dali("cpu", detail, "reinstall nvidia-dali-cuda130"), Row("DALI gpu", "off", "no NVIDIA driver")]
    gpu = _dali("gpu", detail, "needs a GPU with its driver, and torch")
    return [_dali("cpu", detail, "reinstall nvidia-dali-cuda130"), gpu]


def _dali(device: Literal["cpu", "gpu"], detail: str, mend: str) -> Row:
    from stream.decode.dali import DaliDecoder

    try:
        DaliDecoder(device, pipelines=1)
    except UserError as e:
        return Row(f"DALI {device}", "warn", str(e), mend)
    return Row(f"DALI {device}", "ok", detail)
