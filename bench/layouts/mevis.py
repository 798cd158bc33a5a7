"""MeViS (Ding et al., ICCV 2023; github.com/henghuiding/MeViS, README "Dataset"):

JPEGImages/VIDEO/00000.jpg; meta_expressions.json {"videos": {VIDEO: {"expressions": {ID: {"exp", "obj_id": […],
"anno_id": […]}}, "frames": ["00000", …]}}}; mask_dict.json {anno_id: [RLE or null a frame]}. An expression may name
several objects, or none. Ours adds "strefer" to a video (rate, categories, whether the truth is complete, shots).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from bench.cases import Case, Spoken
from bench.layouts.common import code_of, counts_of, entities_of, numbers_of, put_images, size_of


def is_one(folder: Path) -> bool:
    return (folder / "meta_expressions.json").is_file() and (folder / "mask_dict.json").is_file()


def read(folder: Path, fps: Fraction) -> list[Case]:
    meta = json.loads((folder / "meta_expressions.json").read_text("utf-8"))["videos"]
    masks = json.loads((folder / "mask_dict.json").read_text("utf-8"))
    return [_case(folder, name, video, masks, fps) for name, video in sorted(meta.items())]


def _case(folder: Path, name: str, video: dict[str, Any], masks: dict[str, Any], fps: Fraction) -> Case:
    files = tuple(folder / "JPEGImages" / name / f"{stem}.jpg" for stem in video["frames"])
    size = size_of(files[0])
    more = video.get("strefer", {})
    truth: list[dict[int, str]] = [{} for _ in files]
    tracks: dict[int, str] = {}
    said = []
    for key, e in video["expressions"].items():
        who = tuple(int(o) for o in e["obj_id"])
        tracks.update(zip(who, (str(a) for a in e["anno_id"]), strict=True))
        said.append(Spoken(key, e["exp"], who))
    for entity, anno in tracks.items():
        codes = masks[anno]
        if len(codes) != len(files):
            raise ValueError(f"{name}: annotation {anno} has {len(codes)} masks for {len(files)} frames")
        for i, code in enumerate(codes):
            if code is not None:
                truth[i][entity] = counts_of(code, size)
    return Case(
        name, numbers_of(video["frames"]), Fraction(more.get("fps", fps)), size, tuple(truth), tuple(said),
        {int(e): c for e, c in more.get("categories", {}).items()}, complete=bool(more.get("complete", False)),
        kind=str(more.get("kind", "")), files=files, shots=tuple(more.get("shots", ())),
    )  # fmt: skip


def write(cases: Sequence[Case], folder: Path) -> None:
    """Write the cases; frames that lie in JPEGImages/ already are left as they are."""
    videos: dict[str, Any] = {}
    masks: dict[str, Any] = {}
    for v, case in enumerate(cases):
        anno = {}
        for entity in entities_of(case):
            anno[entity] = len(masks)
            frames = [(frame or {}).get(entity) for frame in case.truth]
            masks[str(anno[entity])] = [None if c is None else code_of(c, case.size) for c in frames]
        videos[case.name] = {
            "vid_id": v,
            "expressions": {
                s.id: {"exp": s.text, "obj_id": list(s.entities), "anno_id": [anno[e] for e in s.entities]}
                for s in case.expressions
            },
            "frames": put_images(case, folder / "JPEGImages"),
            "strefer": {
                "fps": str(case.fps),
                "complete": case.complete,
                "kind": case.kind,
                "categories": {str(e): c for e, c in case.categories.items()},
                "shots": list(case.shots),
            },
        }
    (folder / "mask_dict.json").write_text(json.dumps(masks), "utf-8")
    (folder / "meta_expressions.json").write_text(json.dumps({"videos": videos}), "utf-8")
