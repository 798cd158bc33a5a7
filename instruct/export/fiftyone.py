"""FiftyOneVideoLabelsDataset: `manifest.json`, and a file of ETA's VideoLabels a video, frames counted from 1.

Source of the layout: docs.voxel51.com, and fiftyone 1.22 with voxel51-eta 0.17, which read it. A mask is a .npy of the
box's pixels, compressed, in base64; a box is relative to the frame. `index` is the entity.
"""

from __future__ import annotations

import base64
import io
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePath

import msgspec
import numpy as np

from instruct.export import file_name
from instruct.export.masks import Masks, crop
from stream.events import MaskletFrame

_WITHIN = 1e-4
"""Pixels added to a corner: fiftyone cuts corners down to whole pixels, and rounding must not lose one."""


class Point(msgspec.Struct, frozen=True):
    x: float
    y: float


class BoundingBox(msgspec.Struct, frozen=True):
    top_left: Point
    bottom_right: Point


class DetectedObject(msgspec.Struct, frozen=True, tag_field="type", tag="eta.core.objects.DetectedObject"):
    label: str
    bounding_box: BoundingBox
    mask: str
    confidence: float
    index: int


class Objects(msgspec.Struct, frozen=True, tag_field="type", tag="eta.core.objects.DetectedObjectContainer"):
    objects: list[DetectedObject]


class Frame(msgspec.Struct, frozen=True, tag_field="type", tag="eta.core.video.VideoFrameLabels"):
    frame_number: int
    objects: Objects


class Entry(msgspec.Struct, frozen=True):
    """data: where the video is to lie; labels: the file. Both from the folder."""

    data: str
    labels: str


class Manifest(msgspec.Struct, frozen=True, tag_field="type", tag="eta.core.datasets.LabeledVideoDataset"):
    description: str
    index: list[Entry]


class FiftyOneExporter:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._index: list[Entry] = []

    def add(self, masks: Masks) -> None:
        name = file_name(masks.feed)
        suffix = PurePath(masks.source.partition("?")[0]).suffix if "://" not in masks.source else ""
        entry = Entry(f"data/{name}{suffix or '.mp4'}", f"labels/{name}.json")
        (self._folder / "labels").mkdir(exist_ok=True)
        with (self._folder / entry.labels).open("wb") as f:
            f.writelines(labels(masks))
        self._index.append(entry)

    def close(self) -> None:
        content = msgspec.json.encode(Manifest("written by strefer export", self._index))
        (self._folder / "manifest.json").write_bytes(content)


def labels(masks: Masks) -> Iterator[bytes]:
    """The file of a feed, piece by piece."""
    yield b'{"type":"eta.core.video.VideoLabels","frames":{'
    for k, (i, seen) in enumerate(masks.by_frame()):
        objects = [_object(masks.categories[entity], entity, frame) for entity, frame in seen.items()]
        yield b'%s\n"%d":%s' % (b"," if k else b"", i + 1, msgspec.json.encode(Frame(i + 1, Objects(objects))))
    yield b"\n}}\n"


def _object(label: str, entity: int, frame: MaskletFrame) -> DetectedObject:
    left, top, pixels = crop(frame.rle)
    (h, w), (height, width) = pixels.shape, frame.rle.size
    corners = [Point((x + _WITHIN) / width, (y + _WITHIN) / height) for x, y in ((left, top), (left + w, top + h))]
    content = io.BytesIO()
    np.save(content, np.ascontiguousarray(pixels))
    mask = base64.b64encode(zlib.compress(content.getvalue())).decode("ascii")
    return DetectedObject(label, BoundingBox(*corners), mask, frame.score, entity)
