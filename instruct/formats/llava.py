"""LLaVA conversations as VideoRefer-700K lays them out (STREFER.md, section 5): what its trainers read.

`annotation` holds an object for each <region> of the text, in its order: {"<frame number>": {"segmentation": RLE}}.
The frame number is the feed's own, counted from 0: the mask's exact time by the feed's rate; or, as Strefer has it,
which of 32 samples of the clip it is. `start_time` and `end_time` say from where to where in the video the clip goes,
from whose start the times in the text count.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from instruct.clip import Window
from instruct.formats import TextShards
from instruct.formats.sampled import Sampled, per_second, sample_number
from instruct.formats.timetokens import blurred, told
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


def record(pair: Pair, *, sampled: bool = False, tokens: bool = False) -> Record:
    """One pair as a conversation of two turns. sampled: frames are told by sample; tokens: times by token."""
    question, answer = told(pair) if tokens else (pair.question, pair.answer)
    masks = [
        {str(sample_number(r.pts_us, pair) if sampled else frame_number(r.pts_us, pair.rate)): Mask(r.rle)}
        for r in pair.regions
    ]
    turns = [Turn("human", f"<image>\n{question}"), Turn("gpt", answer)]
    times = _clock(pair.start_us), _clock(pair.end_us)
    return Record(pair.id, pair.video, turns, masks, pair.height, pair.width, *times)


def frame_number(pts_us: int, rate: str) -> int:
    """The number of the frame shown at a time, from 0. A rate that is not known counts as 30 frames a second."""
    return round(pts_us * per_second(rate) / 1_000_000)


def _clock(us: int) -> str:
    """HH:MM:SS.sss"""
    ms = (us + 500) // 1000
    return f"{ms // 3_600_000:02d}:{ms // 60_000 % 60:02d}:{ms // 1000 % 60:02d}.{ms % 1000:03d}"


class LlavaWriter(TextShards):
    """Shards that are each a JSON array, written as pairs come. sampled, tokens: as of `record`."""

    def __init__(
        self, folder: Path, shard_pairs: int, first: int = 0, *, sampled: bool = False, tokens: bool = False
    ) -> None:
        super().__init__(
            folder,
            shard_pairs,
            "json",
            lambda pair: msgspec.json.encode(record(pair, sampled=sampled, tokens=tokens)),
            begin=b"[\n",
            between=b",\n",
            end=b"\n]\n",
            first=first,
        )
        self._sampled, self._tokens = sampled, tokens

    def write(self, pairs: Sequence[Pair], window: Window) -> None:
        """A yes/no question and its twin are written both or neither."""
        clip = Sampled.of(window) if self._sampled else None
        rest = iter(pairs)
        for pair in rest:
            unit = [pair, next(rest)] if pair.form == "yesno" else [pair]
            shown = [p for p in (map(clip.shown, unit) if clip else unit) if p is not None]
            if len(shown) < len(unit):
                self.left_out[f"in {self._folder.name}: no mask of the region in a sampled frame"] += len(unit)
            elif self._tokens and blurred(unit):
                self.left_out[f"in {self._folder.name}: times that differ have one token"] += len(unit)
            else:
                super().write(shown, window)
