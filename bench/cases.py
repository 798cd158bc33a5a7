"""A case: one video with its true masklets and the expressions that name them, whatever layout it came from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from engines.errors import UserError
from kernels import rle
from producers.synthetic import Scene

U8 = NDArray[np.uint8]
QUALITY = 95


@dataclass(frozen=True, slots=True)
class Spoken:
    """One referring expression and the true entities it names."""

    id: str
    text: str
    entities: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Case:
    """One video and its truth.

    numbers: frame numbers at `fps`, so that a frame is shown at number / fps seconds. size: (H, W).
    truth: per frame, entity -> compressed counts of what is to be seen of it; None where nobody annotated the frame.
    complete: whether everything that could be followed is in the truth; if not, only what expressions name counts.
    """

    name: str
    numbers: tuple[int, ...]
    fps: Fraction
    size: tuple[int, int]
    truth: tuple[dict[int, str] | None, ...]
    expressions: tuple[Spoken, ...]
    categories: dict[int, str] = field(default_factory=dict)
    complete: bool = False
    kind: str = ""
    files: tuple[Path, ...] = ()
    """A picture file a frame; () where `video` holds them."""
    video: Path | None = None
    shots: tuple[int, ...] = ()
    """The shot of each frame where known."""

    def images(self) -> Iterator[U8]:
        """The frames, [H, W, 3] uint8 RGB. Raises UserError where one cannot be read."""
        if self.video is not None:
            with av.open(self.video) as container:
                for frame in container.decode(video=0):
                    yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
            return
        for path in self.files:
            bgr = cv2.imread(str(path))
            if bgr is None:
                raise UserError(f"{path} is no picture that can be read")
            yield np.ascontiguousarray(np.asarray(bgr, np.uint8)[..., ::-1])

    @property
    def times_us(self) -> list[int]:
        """When each frame is shown, the first at 0."""
        return [round(Fraction((n - self.numbers[0]) * 1_000_000) / self.fps) for n in self.numbers]

    def film(self, path: Path) -> Path:
        """The case as one video file: its own, or its JPEG files joined without decoding (MJPEG in MP4, in `path`)."""
        if self.video is not None:
            return self.video
        with av.open(path, mode="w") as writer:
            track = writer.add_stream("mjpeg", rate=self.fps)
            assert isinstance(track, VideoStream)
            track.height, track.width = self.size
            track.pix_fmt = "yuvj420p"
            track.codec_context.time_base = 1 / self.fps
            for number, picture in zip(self.numbers, self.files, strict=True):
                packet = av.Packet(picture.read_bytes())
                packet.stream, packet.time_base = track, 1 / self.fps
                packet.pts = packet.dts = number - self.numbers[0]
                packet.is_keyframe = True
                writer.mux(packet)
        return path


def record(scene: Scene, name: str, kind: str, folder: Path) -> Case:
    """Draw a scene into JPEG files `folder`/NAME/00000.jpg, …; its case."""
    target = folder / name
    target.mkdir(parents=True, exist_ok=True)
    files, truths, shots = [], [], []
    for rgb, _, truth in scene.frames():
        path = target / f"{truth.frame:05d}.jpg"
        cv2.imwrite(str(path), np.ascontiguousarray(rgb[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        files.append(path)
        truths.append({e: rle.encode(m) for e, m in sorted(truth.masks.items())})
        shots.append(truth.shot)
    width, height = scene.size
    said = [(text, (e.entity,)) for e in scene.entities for text in e.expressions]
    return Case(
        name,
        tuple(range(len(files))),
        scene.fps,
        (height, width),
        tuple(truths),
        tuple(Spoken(str(i), text, who) for i, (text, who) in enumerate(said)),
        {e.entity: e.category for e in scene.entities},
        complete=True,
        kind=kind,
        files=tuple(files),
        shots=tuple(shots),
    )


def rounds(expressions: Sequence[Spoken]) -> list[list[Spoken]]:
    """Expressions in rounds, none of which names one entity twice: a first expression each, a second each, …"""
    found: list[list[Spoken]] = []
    for spoken in expressions:
        for group in found:
            if not any(set(spoken.entities) & set(other.entities) for other in group):
                group.append(spoken)
                break
        else:
            found.append([spoken])
    return found
