"""overlay.mp4: masks, identities and expressions drawn over the feed's frames with `supervision`, encoded as VP9.

Also cuts out each entity at its best moment and keeps a few frames as stills, in the same pass over the video.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import msgspec
import numpy as np
import supervision as sv

from engines.crops import U8
from kernels import rle
from stream.cutout import cut_out
from stream.events import Event, Masklet, MaskletFrame, MaskletRevised
from stream.frames import Frames
from stream.story import Story

SIDE = 960
"""Longer side of the overlay in pixels; larger feeds are drawn smaller."""

PALETTE = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#42d4f4", "#f032e6", "#bfef45", "#fabed4", "#469990")


class Still(msgspec.Struct, frozen=True):
    """A frame as it is, and the masks to be drawn over it."""

    pts_us: int
    jpeg: bytes
    masks: list[tuple[int, MaskletFrame]]


class Pictures(msgspec.Struct):
    """What the report shows. cutouts: entity -> PNG with transparency."""

    cutouts: dict[int, bytes] = msgspec.field(default_factory=dict)
    stills: list[Still] = msgspec.field(default_factory=list)


class MaskIndex:
    """Masks by time: pts_us -> [(entity, frame)]. Encoded masks only: about 1 KB each."""

    def __init__(self, events: Iterable[Event]) -> None:
        self._at: dict[int, list[tuple[int, MaskletFrame]]] = {}
        for event in events:
            if isinstance(event.body, Masklet | MaskletRevised):
                for frame in event.body.frames:
                    self._at.setdefault(frame.pts_us, []).append((event.body.entity, frame))

    def at(self, pts_us: int) -> list[tuple[int, MaskletFrame]]:
        return sorted(self._at.get(pts_us, []), key=lambda pair: pair[0])


class Painter:
    """Draws one frame's entities. Colours follow the entity's id, so that one entity keeps its own."""

    def __init__(self, story: Story) -> None:
        palette = sv.ColorPalette.from_hex(list(PALETTE))
        self._story = story
        self._mask = sv.MaskAnnotator(color=palette, opacity=0.45, color_lookup=sv.ColorLookup.CLASS)
        self._edge = sv.PolygonAnnotator(color=palette, thickness=1, color_lookup=sv.ColorLookup.CLASS)
        self._label = sv.LabelAnnotator(
            color=palette, text_scale=0.45, text_padding=4, smart_position=True, color_lookup=sv.ColorLookup.CLASS
        )
        self._names = {q: s for q, s in story.queries.items() if s.outcome == "bound"}

    def paint(self, rgb: U8, frames: list[tuple[int, MaskletFrame]], scale: float) -> U8:
        """The frame [H, W, 3] with its entities on it; `scale` is pixels of it in one of the masks'."""
        if not frames:
            return rgb
        h, w = rgb.shape[:2]
        masks = np.stack([_scaled(rle.decode(f.rle.counts, f.rle.size), (h, w)) for _, f in frames])
        boxes = np.array([f.bbox for _, f in frames], np.float32) * np.float32(scale)
        ids = np.array([(entity - 1) % len(PALETTE) for entity, _ in frames])
        found = sv.Detections(xyxy=boxes, mask=masks, class_id=ids)
        scene = np.ascontiguousarray(rgb[:, :, ::-1])
        scene = self._edge.annotate(self._mask.annotate(scene, found), found)
        scene = self._label.annotate(scene, found, [self.name(entity) for entity, _ in frames])
        return np.ascontiguousarray(scene[:, :, ::-1])

    def name(self, entity: int) -> str:
        """What stands beside an entity: its number, and the query that found it or its expression."""
        for query in self._names.values():
            if entity in query.entities:
                return f"{entity} {query.text}"
        e = self._story.entities.get(entity)
        return f"{entity} {(e.expression or e.category) if e else ''}"


def render(
    batches: Iterable[Frames],
    events: Callable[[], Iterator[Event]],
    story: Story,
    path: Path,
    done: Callable[[int], None],
) -> Pictures:
    """Write the overlay and collect the report's pictures. `events` gives the feed's events anew at each call; `done`
    is told each frame's pts_us. A feed without frames writes no file."""
    index, painter, pictures = MaskIndex(events()), Painter(story), Pictures()
    best: dict[int, list[int]] = {}
    for e in story.entities.values():
        if e.best is not None:
            best.setdefault(e.best.frame.pts_us, []).append(e.entity)
    stills = iter([story.last_us * (2 * i + 1) // 12 for i in range(6)])
    still = next(stills)
    with _Writer(path) as writer:
        for frames in batches:
            for rgb, pts_us in zip(frames.host(), frames.pts_us.tolist(), strict=True):
                for entity in best.get(pts_us, []):
                    moment = story.entities[entity].best
                    if moment is not None:
                        pictures.cutouts[entity] = cut_out(rgb, moment.frame)
                small, scale = _small(rgb)
                masks = index.at(pts_us)
                writer.write(painter.paint(small, masks, scale), pts_us)
                if pts_us >= still >= 0:
                    pictures.stills.append(Still(pts_us, _jpeg(small), masks))
                    still = next(stills, -1)
                done(pts_us)
    return pictures


class _Writer:
    """VP9 in MP4: plays in every browser and carries no licence fee. Times are the feed's own."""

    def __init__(self, path: Path) -> None:
        self._path, self._part = path, path.with_suffix(".part.mp4")
        self._container: av.container.OutputContainer | None = None
        self._first_us = 0

    def __enter__(self) -> _Writer:
        return self

    def write(self, rgb: U8, pts_us: int) -> None:
        if self._container is None:
            self._container = av.open(str(self._part), "w", options={"movflags": "faststart"})
            options = {"deadline": "realtime", "cpu-used": "8", "row-mt": "1", "crf": "32", "b:v": "0", "g": "120"}
            self._stream = self._container.add_stream("libvpx-vp9", options=options)
            self._stream.width, self._stream.height = rgb.shape[1], rgb.shape[0]
            self._stream.pix_fmt, self._stream.time_base = "yuv420p", Fraction(1, 90_000)
            self._stream.codec_context.time_base = Fraction(1, 90_000)
            self._stream.thread_count = 2
            self._first_us, self._size = pts_us, rgb.shape
        if rgb.shape != self._size:  # the feed changed its size: keep to the first
            rgb = cv2.resize(rgb, (self._size[1], self._size[0]), interpolation=cv2.INTER_AREA)
        frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
        frame.pts, frame.time_base = (pts_us - self._first_us) * 9 // 100, Fraction(1, 90_000)
        self._container.mux(self._stream.encode(frame))

    def __exit__(self, kind: object, *_: object) -> None:
        if self._container is None:
            return
        if kind is None:
            self._container.mux(self._stream.encode(None))
        self._container.close()
        if kind is None:
            self._part.replace(self._path)
        else:
            self._part.unlink(missing_ok=True)


def _scaled(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if mask.shape == size:
        return mask
    scaled = cv2.resize(mask.astype(np.uint8), (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray(scaled, dtype=bool)


def _small(rgb: U8) -> tuple[U8, float]:
    """The frame at the overlay's size (even sides, for the codec), and its scale."""
    h, w = rgb.shape[:2]
    k = min(1.0, SIDE / max(h, w))
    size = (max(2, int(w * k) // 2 * 2), max(2, int(h * k) // 2 * 2))
    if size == (w, h):
        return rgb, 1.0
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), size[0] / w


def _jpeg(rgb: U8) -> bytes:
    return bytes(cv2.imencode(".jpg", np.ascontiguousarray(rgb[:, :, ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 82])[1])
