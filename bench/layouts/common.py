"""What the layouts share: run-length codes in either form, and frames as JPEG files."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as coco

from bench.cases import QUALITY, Case


def counts_of(code: Any, size: tuple[int, int]) -> str:
    """Compressed counts of a COCO RLE as datasets hold them: counts as a string, or as a list of runs.

    Raises ValueError where it is of another size (H, W).
    """
    if tuple(code["size"]) != size:
        raise ValueError(f"a mask is {code['size']}, its video {size}")
    if isinstance(code["counts"], list):
        return str(coco.frPyObjects(code, *size)["counts"].decode("ascii"))
    return str(code["counts"])


def code_of(counts: str, size: tuple[int, int]) -> dict[str, Any]:
    return {"size": list(size), "counts": counts}


def size_of(path: Path) -> tuple[int, int]:
    """(H, W) of a picture. Raises ValueError where it is none."""
    image = cv2.imread(str(path))
    if image is None:
        raise ValueError(f"{path} is no picture")
    return int(image.shape[0]), int(image.shape[1])


def numbers_of(names: Sequence[str]) -> tuple[int, ...]:
    """Frame numbers of names like 00005. Raises ValueError where they do not grow."""
    numbers = tuple(int(n) for n in names)
    if list(numbers) != sorted(set(numbers)):
        raise ValueError(f"frames are not in order: {names[:8]}")
    return numbers


def put_images(case: Case, folder: Path) -> list[str]:
    """The case's frames as `folder`/NAME/00000.jpg, … (nothing is done for files that lie there); their stems."""
    target = folder / case.name
    target.mkdir(parents=True, exist_ok=True)
    stems = [f"{n:05d}" for n in case.numbers]
    for i, stem in enumerate(stems):
        path = target / f"{stem}.jpg"
        if case.files and case.files[i].resolve() != path.resolve():
            shutil.copyfile(case.files[i], path)
    if not case.files:
        for stem, rgb in zip(stems, case.images(), strict=True):
            bgr = np.ascontiguousarray(rgb[..., ::-1])
            cv2.imwrite(str(target / f"{stem}.jpg"), bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return stems


def entities_of(case: Case) -> list[int]:
    return sorted({e for frame in case.truth if frame for e in frame} | set(case.categories))
