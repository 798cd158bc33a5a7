"""LLaVA conversations as VideoRefer-700K lays them out (STREFER.md, section 5): what its trainers read.

`annotation` holds an object for each <region> of the text, in its order: {"<frame number>": {"segmentation": RLE}}.
The frame number is the feed's own, counted from 0: the mask's exact time by the feed's rate. `start_time` and
`end_time` say which part of the video the times in the text count from.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import msgspec

from instruct.formats import TextShards
from instruct.pair import Pair
from stream.events import Rle


class Turn(msgspec.Struct, frozen=True):
    speaker: str = msgspec.field(name="from")
    value: str


class Mask(msgspec.Struct, frozen=True):
    segmentation: Rle


class Record(msgspec.Struct, frozen=True):
    id: str
    video: str
    conversations: list[Turn]
    annotation: list[dict[str, Mask]]
    height: int
    width: int
    start_time: str
    end_time: str


def record(pair: Pair) -> Record:
    """One pair as a conversation of two turns."""
    masks = [{str(frame_number(r.pts_us, pair.rate)): Mask(r.rle)} for r in pair.regions]
    turns = [Turn("human", f"<image>\n{pair.question}"), Turn("gpt", pair.answer)]
    times = _clock(pair.start_us), _clock(pair.end_us)
    return Record(pair.id, pair.video, turns, masks, pair.height, pair.width, *times)


def frame_number(pts_us: int, rate: str) -> int:
    """The number of the frame shown at a time, from 0. A rate that is not known counts as 30 frames a second."""
    per_second = Fraction(rate) if not rate.endswith("/0") else Fraction(0)
    return round(pts_us * (per_second or 30) / 1_000_000)


def _clock(us: int) -> str:
    """HH:MM:SS.sss"""
    ms = (us + 500) // 1000
    return f"{ms // 3_600_000:02d}:{ms // 60_000 % 60:02d}:{ms // 1000 % 60:02d}.{ms % 1000:03d}"


class LlavaWriter(TextShards):
    """Shards that are each a JSON array, written as pairs come."""

    def __init__(self, folder: Path, shard_pairs: int, first: int = 0) -> None:
        super().__init__(
            folder,
            shard_pairs,
            "json",
            lambda pair: msgspec.json.encode(record(pair)),
            begin=b"[\n",
            between=b",\n",
            end=b"\n]\n",
            first=first,
        )
