"""Checks of decoding and encoding: PyAV, its codecs, DALI."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from engines.errors import UserError
from stream.doctor.rows import Row, State, load

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
        return Row("NVENC", "warn", "no encoder on this GPU, or no GPU; re-encoding uses the CPU")
    return Row("NVENC", "ok", "h264")


def dali() -> list[Row]:
    module, detail = load("nvidia.dali", "nvidia-dali-cuda130")
    if module is None:
        mend = "pip install nvidia-dali-cuda130" if detail == "not installed" else "reinstall nvidia-dali-cuda130"
        return [Row(f"DALI {device}", "warn", detail, mend) for device in ("cpu", "gpu")]
    rows = []
    for device, mend in (("cpu", "reinstall nvidia-dali-cuda130"), ("gpu", "needs a GPU with its driver, and torch")):
        try:
            from stream.decode.dali import DaliDecoder

            DaliDecoder(device, pipelines=1)  # type: ignore[arg-type]
        except UserError as e:
            rows.append(Row(f"DALI {device}", "warn", str(e), mend))
        else:
            rows.append(Row(f"DALI {device}", "ok", detail))
    return rows
