"""Opening a file, with one clear line for everything that can be wrong with it."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from av.container import InputContainer

from engines.errors import UserError


@contextmanager
def open_file(path: Path, *, first_frame: bool = False) -> Iterator[InputContainer]:
    """The file as an open container with at least one video track that has a decoder; with `first_frame`, also
    see that a frame can be had. Raises UserError naming the cause and the mend."""
    container = _open(path)
    with container:
        require_video(container, str(path))
        if first_frame:
            _require_frame(container, path)  # moves on in the file: open it again to read it
        yield container


def require_video(container: InputContainer, name: str) -> None:
    """Raise UserError where there is no video track or nothing that decodes it."""
    if not container.streams.video:
        kinds = sorted({s.type for s in container.streams})
        only = f", only {' and '.join(kinds)}," if kinds else ""
        raise UserError(f"{name} has no video track{only} that can be read; name a file with video")
    track = container.streams.video[0]
    if track.codec_context is None:
        raise UserError(f"{name}: this FFmpeg has no decoder for its video codec; convert it, for example to H.264")


def seconds_of(container: InputContainer) -> float | None:
    """Length by the video track's header, else the container's."""
    track = container.streams.video[0]
    if track.duration and track.time_base:
        return float(track.duration * track.time_base)
    return container.duration / av.time_base if container.duration else None


def reason(e: Exception) -> str:
    """What FFmpeg or the system says, without numbers and brackets."""
    return (getattr(e, "strerror", None) or str(e) or type(e).__name__).strip()


def _open(path: Path) -> InputContainer:
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except PermissionError:
        raise UserError(f"{path} cannot be read: permission denied; try chmod +r, or run as its owner") from None
    except OSError as e:
        raise UserError(f"{path} cannot be read: {reason(e)}") from None
    if not head:
        raise UserError(f"{path} is empty (0 bytes)")
    try:
        return av.open(path, mode="r")
    except (av.error.FFmpegError, OSError, ValueError) as e:
        if getattr(e, "errno", None) == errno.EACCES:
            raise UserError(f"{path} cannot be read: permission denied") from None
        if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free") and not _has_index(path):
            raise UserError(
                f"{path} is cut off: its index (moov) is missing, the recording was never finished"
            ) from None
        if _is_text(head):
            raise UserError(f"{path} is a text file, not a video") from None
        raise UserError(f"{path} is not a video that FFmpeg can read: {reason(e)}") from None


def _require_frame(container: InputContainer, path: Path) -> None:
    try:
        frame = next(container.decode(container.streams.video[0]), None)
    except (av.error.FFmpegError, ValueError) as e:
        raise UserError(f"{path} cannot be decoded ({reason(e)})") from None
    if frame is None:
        raise UserError(f"{path} holds no video frame")


def _has_index(path: Path) -> bool:
    """Whether an MP4 file has its `moov` box, read by walking the top-level boxes."""
    size, at = path.stat().st_size, 0
    with path.open("rb") as file:
        while at + 8 <= size:
            file.seek(at)
            header = file.read(16)
            length, kind = int.from_bytes(header[:4], "big"), header[4:8]
            if kind in (b"moov", b"moof"):
                return at + length <= size
            if length == 1:
                length = int.from_bytes(header[8:16], "big")
            if length < 8:
                return False
            at += length
    return False


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode()
    except UnicodeDecodeError:
        return False
    return all(c.isprintable() or c in "\r\n\t" for c in text)
