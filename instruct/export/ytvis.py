"""YouTube-VIS json (Yang et al., ICCV 2019): COCO's form made long, a segmentation or null a frame."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from instruct.export.masks import Masks
from stream.events import Rle


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


class Set(msgspec.Struct, frozen=True):
    info: dict[str, str]
    categories: list[Category]
    videos: list[Video]
    annotations: list[Track]


def ytvis(feeds: Sequence[Masks]) -> Set:
    """instances.json of some feeds."""
    names = sorted({c for m in feeds for c in m.categories.values()})
    videos: list[Video] = []
    tracks: list[Track] = []
    for v, m in enumerate(feeds, 1):
        n = len(m.times_us)
        files = [f"{m.feed}/{i:05d}.jpg" for i in range(n)]
        videos.append(Video(v, m.feed, m.size[1], m.size[0], n, files, m.times_us))
        for entity, own in m.masks.items():
            frames = [own.get(i) for i in range(n)]
            boxes = [
                None if f is None else (f.bbox[0], f.bbox[1], f.bbox[2] - f.bbox[0], f.bbox[3] - f.bbox[1])
                for f in frames
            ]
            tracks.append(Track(
                len(tracks) + 1, v, 1 + names.index(m.categories[entity]), 0, m.size[0], m.size[1], n,
                [None if f is None else f.rle for f in frames], boxes,
                [None if f is None else f.area for f in frames], entity,
            ))  # fmt: skip
    categories = [Category(i, name) for i, name in enumerate(names, 1)]
    return Set({"description": "written by strefer export"}, categories, videos, tracks)
