"""SA-V (Ravi et al., "SAM 2", 2024; github.com/facebookresearch/sam2, sav_dataset/README.md):

VIDEO.mp4 at 24 frames/s and VIDEO_manual.json {"video_id", "video_height", "video_width", "video_frame_count",
"masklet_id": […], "masklet": [one list an annotated frame: one RLE a masklet]}, every fourth frame annotated. It has no
words: without VIDEO_expressions.json {ID: {"exp", "masklet_id": […]}} beside it (ours) only identities are judged.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from pycocotools import mask as coco

from bench.cases import Case, Spoken
from bench.layouts.common import code_of, counts_of, entities_of

EVERY = 4
"""Annotated frames are these many apart."""


def is_one(folder: Path) -> bool:
    return any(folder.glob("*_manual.json"))


def read(folder: Path, fps: Fraction) -> list[Case]:
    """`fps` is not used: the videos tell theirs."""
    return [_case(path) for path in sorted(folder.glob("*_manual.json"))]


def _case(path: Path) -> Case:
    meta = json.loads(path.read_text("utf-8"))
    name = path.name.removesuffix("_manual.json")
    video = path.with_name(f"{name}.mp4")
    with av.open(video) as container:
        track = container.streams.video[0]
        rate = Fraction(track.average_rate or 24)
        count = sum(p.size > 0 for p in container.demux(track))
    size = (int(meta["video_height"]), int(meta["video_width"]))
    truth: list[dict[int, str] | None] = [None] * count
    for i, codes in enumerate(meta["masklet"]):
        if i * EVERY >= count:
            break
        masks = {int(m): code for m, code in zip(meta["masklet_id"], codes, strict=True) if code is not None}
        truth[i * EVERY] = {m + 1: counts_of(c, size) for m, c in masks.items() if int(coco.area(c)) > 0}
    words = path.with_name(f"{name}_expressions.json")
    said = json.loads(words.read_text("utf-8")) if words.is_file() else {}
    spoken = tuple(Spoken(k, e["exp"], tuple(int(m) + 1 for m in e["masklet_id"])) for k, e in said.items())
    return Case(name, tuple(range(count)), rate, size, tuple(truth), spoken, video=video)


def write(cases: Sequence[Case], folder: Path) -> None:
    """Write the cases, entities as masklets 0, 1, …, and their expressions beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    for case in cases:
        made = case.film(folder / f"{case.name}.mp4")
        assert made == folder / f"{case.name}.mp4"
        who = entities_of(case)
        meta: dict[str, Any] = {
            "video_id": case.name, "video_height": case.size[0], "video_width": case.size[1],
            "video_frame_count": len(case.numbers), "video_duration": float(len(case.numbers) / case.fps),
            "masklet_id": [e - 1 for e in who], "masklet_num": len(who), "masklet_type": ["manual"] * len(who),
            "masklet": [
                [_code((frame or {}).get(e), case.size) for e in who] for frame in case.truth[::EVERY]
            ],
        }  # fmt: skip
        (folder / f"{case.name}_manual.json").write_text(json.dumps(meta), "utf-8")
        said = {s.id: {"exp": s.text, "masklet_id": [e - 1 for e in s.entities]} for s in case.expressions}
        (folder / f"{case.name}_expressions.json").write_text(json.dumps(said), "utf-8")


def _code(counts: str | None, size: tuple[int, int]) -> dict[str, Any]:
    """A mask, the empty one where there is none: SA-V has one for each masklet in each annotated frame."""
    if counts is not None:
        return code_of(counts, size)
    empty = coco.frPyObjects({"size": list(size), "counts": [size[0] * size[1]]}, *size)
    return code_of(empty["counts"].decode("ascii"), size)
