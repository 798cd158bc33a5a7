"""Where video comes from: files, folders, globs, addresses, cameras and synthetic scenes, all as pieces."""

from __future__ import annotations

import glob
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import av
from av.container import InputContainer
from av.video.reformatter import VideoReformatter

from engines.errors import UserError
from producers.chunker import TARGET_S, Chunker
from producers.encode import VP9, ChunkEncoder, subsampled
from producers.live import CameraSource, LiveSource, Outage
from producers.piece import BrokenSourceError, Piece, chunk_time_base
from producers.probe import open_file, seconds_of
from producers.synthetic import PREFIX, Scene, make_scene

SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("3gp", "asf", "avi", "flv", "gif", "h264", "h265", "hevc", "ivf", "m2ts", "m4v", "mjpeg", "mjpg", "mkv"),
        *("mov", "mp4", "mpeg", "mpg", "mts", "mxf", "ogv", "ts", "vob", "webm", "wmv", "y4m"),
    )
)
"""What counts as a video in a folder; a file that is named outright may be called anything."""


class Source(Protocol):
    """One source of one track of video."""

    name: str
    live: bool
    """A live source has no end of its own, is never repeated and cannot be resumed."""
    identity: str
    """Equal for equal content, so that a producer that starts again knows what it has done."""
    seconds: float | None
    """Its length, None where unknown."""

    def pieces(self, *, limit_s: float, stop: threading.Event) -> Iterator[Piece | Outage]:
        """From the beginning; may be called again. GOPs over `limit_s` are re-encoded; a live source ends soon after
        `stop` is set. Raises BrokenSourceError after the last good piece."""
        ...


class FileSource:
    """A video file."""

    live = False

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, str(path)
        self._proven: int | None = None  # its rotation, once all of it has been cut and the first piece checked
        with open_file(path, first_frame=True) as container:
            self.seconds = seconds_of(container)
        stat = path.stat()
        self.identity = f"file:{path.name}:{stat.st_size}:{stat.st_mtime_ns}"

    def pieces(self, *, limit_s: float, stop: threading.Event) -> Iterator[Piece]:
        with open_file(self.path) as container:
            track = container.streams.video[0]
            chunker = Chunker(track, limit_s=limit_s, proven=self._proven)
            try:
                yield from chunker.pieces(container.demux(track))
            except (av.error.FFmpegError, OSError) as e:
                cause = e.strerror or str(e)
                raise BrokenSourceError(f"{self.path} breaks off: {cause}") from e
            if _cut_off(container, self.path):
                raise BrokenSourceError(f"{self.path} breaks off: it is shorter than its own index says")
            self._proven = chunker.rotation if chunker.proven else None


class SceneSource:
    """A synthetic scene, encoded as it is drawn."""

    live = False

    def __init__(self, scene: Scene) -> None:
        self.scene, self.name = scene, scene.spec
        self.identity = scene.spec
        self.seconds: float | None = float(scene.seconds)

    def pieces(self, *, limit_s: float, stop: threading.Event) -> Iterator[Piece]:
        tick = 1 / self.scene.fps
        time_base = chunk_time_base(tick)
        step = int(tick / time_base)
        encoder = ChunkEncoder(
            time_base=time_base,
            rate=Fraction(self.scene.fps),
            target_s=min(TARGET_S, limit_s),
            reencoded=False,
            encoder=VP9,
        )
        scaler = VideoReformatter()
        for rgb, _, truth in self.scene.frames():
            yield from encoder.encode(subsampled(rgb, scaler), truth.frame * step, step)
        yield from encoder.flush()


def open_sources(specs: tuple[str, ...] | list[str]) -> list[Source]:
    """All sources of several specs, in order. Raises UserError where one cannot be read or live ones are mixed in."""
    sources = [source for spec in specs for source in open_source(spec)]
    if not sources:
        raise UserError("there is nothing to produce: name a file, a folder, an address or a synthetic scene")
    if len(sources) > 1 and any(s.live for s in sources):
        raise UserError("a live source must be its feed's only one: give each camera a feed of its own")
    return sources


def open_each(specs: tuple[str, ...] | list[str]) -> tuple[list[Source], list[str]]:
    """The sources that can be read, and a line for each file that cannot. Raises UserError where none can."""
    opened: list[Source] = []
    refused: list[str] = []
    for spec in specs:
        for one in [str(path) for path in _files(spec) or []] or [spec]:
            try:
                opened += open_source(one)
            except UserError as e:
                refused.append(str(e))
    if not opened:
        raise UserError(refused[0] if refused else "there is nothing to annotate: name a file, a folder or an address")
    return opened, refused


def open_source(spec: str) -> list[Source]:
    """The sources of a spec: one, but for folders and globs. Raises UserError where there are none."""
    if spec.startswith(PREFIX):
        return [SceneSource(make_scene(spec))]
    if "://" in spec and not spec.startswith("file://"):
        return [LiveSource(spec)]
    path = Path(spec.removeprefix("file://")).expanduser()
    if spec.startswith("/dev/") and path.is_char_device():
        return [CameraSource(spec)]
    files = _files(spec)
    if files is not None and not files:
        raise UserError(f"the folder {path} holds no video file" if path.is_dir() else f"no file matches {spec!r}")
    return [FileSource(p) for p in files or [path]]


def _files(spec: str) -> list[Path] | None:
    """The video files of a folder or a glob; None where the spec is neither."""
    path = Path(spec.removeprefix("file://")).expanduser()
    if path.is_dir():
        return sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
    if "://" not in spec.removeprefix("file://") and not path.exists() and any(c in spec for c in "*?["):
        return sorted(p for p in map(Path, glob.glob(str(path), recursive=True)) if p.is_file())  # noqa: PTH207 absolute patterns too
    return None


def _cut_off(container: InputContainer, path: Path) -> bool:
    """Whether the last frame that an MP4's index promises lies beyond the file's end (a full disk, a broken copy)."""
    entries = container.streams.video[0].index_entries
    if "mp4" not in container.format.name or len(entries) == 0:
        return False
    last = entries[len(entries) - 1]
    return last.pos + last.size > path.stat().st_size
