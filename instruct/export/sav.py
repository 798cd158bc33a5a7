"""SA-V json (Ravi et al., "SAM 2", 2024; github.com/facebookresearch/sam2, sav_dataset/README.md): a file a video.

`masklet` is a list a frame of a list an object of RLE, an empty mask where it is not in sight. It says nothing of which
frames they are: readers count on every fourth. `entity` and `category` are ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import msgspec

from instruct.export.masks import Masks
from stream.events import MaskletFrame, Rle


class Video(msgspec.Struct, frozen=True):
    """masklet_first_appeared_frame: the video's frame; all else that counts frames counts annotated ones."""

    video_id: str
    video_duration: float
    video_frame_count: float
    video_height: float
    video_width: float
    video_resolution: float
    masklet: list[list[Rle]]
    masklet_id: list[int]
    masklet_size_rel: list[float]
    masklet_size_abs: list[float]
    masklet_size_bucket: list[str]
    masklet_visibility_changes: list[int]
    masklet_first_appeared_frame: list[int]
    masklet_frame_count: list[int]
    masklet_edited_frame_count: list[int]
    masklet_type: list[str]
    masklet_num: int
    entity: list[int]
    category: list[str]


def sav(masks: Masks, video_id: str, every: int) -> Iterator[bytes]:
    """The file of a feed. every: frames from one that is annotated to the next. Entities that are in sight in none of
    these are left out."""
    n, (h, w) = len(masks.times_us), masks.size
    frames = range(0, n, every)
    seen: dict[int, list[MaskletFrame | None]] = {}
    for entity, own in masks.masks.items():
        if not own.keys().isdisjoint(frames):
            seen[entity] = [own.get(i) for i in frames]
    areas = [[f.area for f in own if f is not None] for own in seen.values()]
    means = [sum(a) / len(a) for a in areas]
    firsts = [next(i for i, f in enumerate(own) if f is not None) for own in seen.values()]
    changes = [sum((a is None) != (b is None) for a, b in pairwise(own[i:]))
               for i, own in zip(firsts, seen.values(), strict=True)]  # fmt: skip
    seconds = (masks.times_us[-1] - masks.times_us[0]) * n / max(1, n - 1) / 1e6 if n else 0.0
    k, nothing = len(seen), Rle((h, w), empty(h * w))
    yield msgspec.json.encode(Video(
        video_id, seconds, n, h, w, h * w,
        [[nothing if f is None else f.rle for f in (own[i] for own in seen.values())] for i in range(len(frames))],
        list(range(k)), [m / (h * w) for m in means], means,
        ["small" if m < 32**2 else "medium" if m < 96**2 else "large" for m in means],
        changes, [i * every for i in firsts], [len(frames)] * k, [0] * k, ["auto"] * k, k,
        list(seen), [masks.categories[entity] for entity in seen],
    ))  # fmt: skip


def empty(pixels: int) -> str:
    """Compressed counts of a mask of so many pixels, none of them set: five bits a character, a sixth for "more"."""
    out = ""
    while True:
        bits, pixels = pixels & 0x1F, pixels >> 5
        more = pixels != 0 or bits & 0x10 != 0
        out += chr(48 + (bits | 0x20 * more))
        if not more:
            return out
