"""YouTube-VIS json (Yang et al., ICCV 2019): COCO's form made long, a segmentation or null a frame."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from instruct.export import file_name
from instruct.export.masks import Masks
from stream.events import MaskletFrame, Rle


class Category(msgspec.Struct, frozen=True):
    id: int
    name: str


class Video(msgspec.Struct, frozen=True):
    """times_us: of the frames, which the format itself does not tell."""

    id: int
    name: str
    width: int
    height: int
    length: int
    file_names: list[str]
    times_us: list[int]


class Track(msgspec.Struct, frozen=True):
    """bboxes: x, y, width, height. entity: the number it has in the events."""

    id: int
    video_id: int
    category_id: int
    iscrowd: int
    height: int
    width: int
    length: int
    segmentations: list[Rle | None]
    bboxes: list[tuple[float, float, float, float] | None]
    areas: list[int | None]
    entity: int


class YtvisExporter:
    """instances.json of some feeds: tracks are written as feeds come, the videos (numbers only) and categories last."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.write_bytes(b'{"info":{"description":"written by strefer export"},\n"annotations":[')
        self._names: dict[str, int] = {}
        self._videos: list[bytes] = []
        self._tracks = 0

    def add(self, masks: Masks) -> None:
        n, (h, w), folder = len(masks.times_us), masks.size, file_name(masks.feed)
        video = Video(
            len(self._videos) + 1, masks.feed, w, h, n, [f"{folder}/{i:05d}.jpg" for i in range(n)], masks.times_us
        )
        self._videos.append(msgspec.json.encode(video))
        with self._path.open("ab") as f:
            for entity, own in masks.masks.items():
                category = self._names.setdefault(masks.categories[entity], len(self._names) + 1)
                self._tracks += 1
                track = _track(self._tracks, video, category, entity, own)
                f.write((b",\n" if self._tracks > 1 else b"\n") + msgspec.json.encode(track))

    def close(self) -> None:
        categories = [msgspec.json.encode(Category(i, name)) for name, i in self._names.items()]
        with self._path.open("ab") as f:
            for name, parts in ((b"videos", self._videos), (b"categories", categories)):
                f.write(b'\n],\n"%s":[\n' % name + b",\n".join(parts))
            f.write(b"\n]}\n")


def _track(number: int, video: Video, category: int, entity: int, own: Mapping[int, MaskletFrame]) -> Track:
    frames = [own.get(i) for i in range(video.length)]
    return Track(
        number, video.id, category, 0, video.height, video.width, video.length,
        [None if f is None else f.rle for f in frames],
        [None if f is None else (f.bbox[0], f.bbox[1], f.bbox[2] - f.bbox[0], f.bbox[3] - f.bbox[1]) for f in frames],
        [None if f is None else f.area for f in frames], entity,
    )  # fmt: skip
