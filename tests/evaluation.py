"""Synthetic scenes, whose truth is known exactly, followed the real way and scored by TrackEval (HOTA, IDF1, switches).

`python -m tests.evaluation [SPEC...]` prints one table. The scores are `bench.identity`'s.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.identity import Frame, Score, compare, score
from kernels import rle
from producers.scenes.scripts import SCENES
from producers.synthetic import Scene, make_scene
from stream.events import MaskletFrame
from tests.running import follow, masks_of


def frames_of(scene: Scene, masks: dict[int, dict[int, MaskletFrame]]) -> list[Frame]:
    """The scene's truth against predicted masks (by presentation time)."""
    truth, said = [], []
    for _, pts_us, now in scene.frames():
        truth.append({e: rle.encode(m) for e, m in now.masks.items()})
        said.append({p: f.rle.counts for p, f in masks.get(pts_us, {}).items()})
    return compare(truth, said, (scene.size[1], scene.size[0]))


def evaluate(spec: str) -> Score:
    """Follow a scene and score it."""
    scene = make_scene(spec)
    with tempfile.TemporaryDirectory() as folder:
        return score(scene.name, frames_of(scene, masks_of(follow(scene.spec, Path(folder)))))


def table(scores: Sequence[Score]) -> str:
    columns = " ".join(f"{name:>5}" for name in ("IoU", "HOTA", "DetA", "AssA", "IDF1", "MOTA"))
    lines = [f"{'scene':<18} {columns} IDSW re-entry ids  IoU by entity"]
    for s in scores:
        each = "  ".join(f"{e}: {v:.3f}" for e, v in s.iou.items())
        figures = " ".join(f"{v:5.3f}" for v in (s.mean_iou, s.hota, s.det_a, s.ass_a, s.idf1, s.mota))
        back = f"{s.reentries[0]}/{s.reentries[1]}"
        lines.append(f"{s.scene:<18} {figures} {s.switches:4d} {back:>8} {s.identities:2d}/{len(s.iou)}  {each}")
        lines += [f"    {note}" for note in s.notes]
    return "\n".join(lines)


def main(specs: Sequence[str]) -> None:
    scores = []
    for spec in specs or [f"synthetic:{name}" for name in SCENES]:
        scores.append(evaluate(spec))
        print(table(scores[-1:]), flush=True)
    print("\n" + table(scores), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
