"""YouTube-VIS (Yang et al., ICCV 2019; youtube-vos.org/dataset/vis), COCO's form made long:

JPEGImages/VIDEO/00000.jpg; instances.json {"categories": [{"id", "name"}], "videos": [{"id", "width", "height",
"length", "file_names": ["VIDEO/00000.jpg", …]}], "annotations": [{"id", "video_id", "category_id", "iscrowd", "length",
"segmentations": [RLE or null a frame], "bboxes", "areas"}]}. It has no expressions: a category stands for its
instances ("the dog", "the persons").
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from pycocotools import mask as coco

from bench.cases import Case, Spoken
from bench.layouts.common import code_of, counts_of, entities_of, numbers_of, put_images


def is_one(folder: Path) -> bool:
    return (folder / "instances.json").is_file()


def read(folder: Path, fps: Fraction) -> list[Case]:
    meta = json.loads((folder / "instances.json").read_text("utf-8"))
    names = {c["id"]: str(c["name"]) for c in meta["categories"]}
    by_video: dict[int, list[dict[str, Any]]] = {}
    for a in meta["annotations"]:
        by_video.setdefault(a["video_id"], []).append(a)
    return [_case(folder, v, by_video.get(v["id"], []), names, fps) for v in meta["videos"]]


def _case(
    folder: Path, video: dict[str, Any], tracks: list[dict[str, Any]], names: dict[int, str], fps: Fraction
) -> Case:
    size = (int(video["height"]), int(video["width"]))
    files = tuple(folder / "JPEGImages" / f for f in video["file_names"])
    truth: list[dict[int, str]] = [{} for _ in files]
    categories = {}
    for entity, track in enumerate(tracks, 1):
        categories[entity] = names[track["category_id"]]
        for i, code in enumerate(track["segmentations"]):
            if code is not None:
                truth[i][entity] = counts_of(code, size)
    said = []
    for k, category in enumerate(sorted(set(categories.values()))):
        who = tuple(e for e, c in categories.items() if c == category)
        said.append(Spoken(str(k), f"the {category}" + ("s" if len(who) > 1 else ""), who))
    numbers = numbers_of([f.stem for f in files])
    return Case(files[0].parent.name, numbers, fps, size, tuple(truth), tuple(said), categories, files=files)


def write(cases: Sequence[Case], folder: Path) -> None:
    """Write the cases; expressions have no place here."""
    names = sorted({c for case in cases for c in case.categories.values()})
    videos: list[dict[str, Any]] = []
    tracks: list[dict[str, Any]] = []
    for v, case in enumerate(cases, 1):
        stems = put_images(case, folder / "JPEGImages")
        videos.append({
            "id": v, "width": case.size[1], "height": case.size[0], "length": len(stems),
            "file_names": [f"{case.name}/{stem}.jpg" for stem in stems],
        })  # fmt: skip
        for entity in entities_of(case):
            codes = [
                None if (c := (frame or {}).get(entity)) is None else code_of(c, case.size) for frame in case.truth
            ]
            tracks.append({
                "id": len(tracks) + 1, "video_id": v, "category_id": 1 + names.index(case.categories[entity]),
                "iscrowd": 0, "height": case.size[0], "width": case.size[1], "length": len(stems),
                "segmentations": codes,
                "bboxes": [None if c is None else [float(x) for x in coco.toBbox(c)] for c in codes],
                "areas": [None if c is None else int(coco.area(c)) for c in codes],
            })  # fmt: skip
    meta = {
        "info": {"description": "written by bench/layouts/ytvis.py"},
        "categories": [{"id": i, "name": n} for i, n in enumerate(names, 1)],
        "videos": videos,
        "annotations": tracks,
    }
    (folder / "instances.json").write_text(json.dumps(meta), "utf-8")
