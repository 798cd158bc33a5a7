"""Ground truth of a synthetic scene as JSON lines: one line a frame, masks as COCO RLE."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from kernels import rle
from producers.synthetic import GroundTruth, Scene


class Rle(msgspec.Struct, frozen=True):
    """COCO run-length encoding: size [height, width] and compressed counts."""

    size: tuple[int, int]
    counts: str


class TruthEntity(msgspec.Struct, frozen=True):
    entity: int
    category: str
    description: str
    rle: Rle


class TruthFrame(msgspec.Struct, frozen=True):
    """Who can be seen in one frame, and where."""

    frame: int
    pts_us: int
    shot: int
    entities: tuple[TruthEntity, ...]


def truth_frame(scene: Scene, truth: GroundTruth) -> TruthFrame:
    who = {e.entity: e for e in scene.entities}
    entities = []
    for number, mask in sorted(truth.masks.items()):
        code = Rle((mask.shape[0], mask.shape[1]), rle.encode(mask))
        entities.append(TruthEntity(number, who[number].category, who[number].description, code))
    return TruthFrame(truth.frame, truth.pts_us, truth.shot, tuple(entities))


def write_truth(scene: Scene, path: Path) -> None:
    """Draw the scene and write its truth. Raises OSError where the file cannot be written."""
    with path.open("wb") as file:
        for _, _, truth in scene.frames():
            file.write(msgspec.json.encode(truth_frame(scene, truth)) + b"\n")


def read_truth(path: Path) -> Iterator[TruthFrame]:
    with path.open("rb") as file:
        for line in file:
            yield msgspec.json.decode(line, type=TruthFrame)
