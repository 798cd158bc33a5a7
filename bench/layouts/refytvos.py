"""Ref-YouTube-VOS (Seo et al., ECCV 2020; youtube-vos.org/dataset/rvos):

JPEGImages/VIDEO/00000.jpg; Annotations/VIDEO/00000.png, a palette picture whose values are object ids;
meta_expressions.json {"videos": {VIDEO: {"expressions": {ID: {"exp", "obj_id"}}, "frames": ["00000", "00005", …]}}},
which the download has under meta_expressions/train; meta.json {"videos": {VIDEO: {"objects": {ID: {"category"}}}}}.
Names are frame numbers at 30 a second, every fifth is annotated.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench.cases import Case, Spoken
from bench.layouts.common import entities_of, numbers_of, put_images, size_of
from kernels import rle

PALETTE = [0, 0, 0, *(int(v) for v in np.random.default_rng(1).integers(40, 255, 255 * 3))]


def _meta(folder: Path) -> Path | None:
    options = (folder / "meta_expressions.json", *sorted(folder.glob("meta_expressions/*/meta_expressions.json")))
    return next((p for p in options if p.is_file()), None)


def is_one(folder: Path) -> bool:
    return _meta(folder) is not None and (folder / "Annotations").is_dir()


def read(folder: Path, fps: Fraction) -> list[Case]:
    meta = _meta(folder)
    if meta is None:
        raise ValueError("meta_expressions.json is missing")
    videos = json.loads(meta.read_text("utf-8"))["videos"]
    kinds = folder / "meta.json"
    objects = json.loads(kinds.read_text("utf-8"))["videos"] if kinds.is_file() else {}
    return [_case(folder, n, v, objects.get(n, {}).get("objects", {}), fps) for n, v in sorted(videos.items())]


def _case(folder: Path, name: str, video: dict[str, Any], objects: dict[str, Any], fps: Fraction) -> Case:
    files = tuple(folder / "JPEGImages" / name / f"{stem}.jpg" for stem in video["frames"])
    size = size_of(files[0])
    truth = tuple(_masks(folder / "Annotations" / name / f"{stem}.png", size) for stem in video["frames"])
    said = tuple(Spoken(k, e["exp"], (int(e["obj_id"]),)) for k, e in video["expressions"].items())
    categories = {int(o): str(v["category"]) for o, v in objects.items()}
    return Case(name, numbers_of(video["frames"]), fps, size, truth, said, categories, files=files)


def _masks(path: Path, size: tuple[int, int]) -> dict[int, str] | None:
    """Object id -> counts of one annotation; None where there is none."""
    if not path.is_file():
        return None
    with Image.open(path) as image:
        ids = np.asarray(image.convert("P") if image.mode != "P" else image)
    if ids.shape != size:
        raise ValueError(f"{path} is {ids.shape}, its frame {size}")
    return {int(o): rle.encode(ids == o) for o in np.unique(ids) if o}


def write(cases: Sequence[Case], folder: Path) -> None:
    """Write the cases. Raises ValueError where an expression names several, which this layout has no room for."""
    videos: dict[str, Any] = {}
    objects: dict[str, Any] = {}
    for case in cases:
        stems = put_images(case, folder / "JPEGImages")
        target = folder / "Annotations" / case.name
        target.mkdir(parents=True, exist_ok=True)
        for stem, frame in zip(stems, case.truth, strict=True):
            if frame is None:
                continue
            ids = np.zeros(case.size, np.uint8)
            for entity, counts in frame.items():
                ids[rle.decode(counts, case.size)] = entity
            _palette(ids).save(target / f"{stem}.png")
        for s in case.expressions:
            if len(s.entities) != 1:
                raise ValueError(f"{s.text!r} names {len(s.entities)} entities; this layout takes one")
        said = {s.id: {"exp": s.text, "obj_id": str(s.entities[0])} for s in case.expressions}
        videos[case.name] = {"expressions": said, "frames": stems}
        objects[case.name] = {
            "objects": {str(e): {"category": case.categories.get(e, "object")} for e in entities_of(case)}
        }
    (folder / "meta_expressions.json").write_text(json.dumps({"videos": videos}), "utf-8")
    (folder / "meta.json").write_text(json.dumps({"videos": objects}), "utf-8")


def _palette(ids: np.ndarray) -> Image.Image:
    image = Image.frombytes("P", (ids.shape[1], ids.shape[0]), np.ascontiguousarray(ids).tobytes())
    image.putpalette(PALETTE)
    return image
