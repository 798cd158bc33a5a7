"""Synthetic scenes, whose truth is known exactly, followed the real way and scored by TrackEval (HOTA, IDF1, switches).

`python -m tests.evaluation [SPEC...]` prints one table. HOTA: Luiten et al., IJCV 2021; similarity is mask IoU, as in
MOTS (Voigtlaender et al., CVPR 2019).
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from trackeval.metrics import CLEAR, HOTA, Identity

from kernels import rle
from producers.scenes.scripts import SCENES
from producers.synthetic import Scene, make_scene
from stream.events import Event, MaskletFrame
from tests.running import follow, masks_of

SMALLEST = 0.001
"""Share of the frame under which a true mask is neither demanded nor forbidden."""
RUN_FRAMES = 8
"""Shorter stretches in sight, and shorter absences, are no exit or re-entry."""


@dataclass(frozen=True, slots=True)
class Score:
    """One scene's result. iou: mean mask IoU by true entity, against the one predicted identity that fits it best
    over the whole scene, 0 where that has no mask. reentries: (recognised, true)."""

    scene: str
    iou: dict[int, float]
    hota: float
    det_a: float
    ass_a: float
    idf1: float
    mota: float
    switches: int
    reentries: tuple[int, int]
    identities: int
    """Predicted identities; there are len(iou) true ones."""
    notes: tuple[str, ...]

    @property
    def mean_iou(self) -> float:
        return float(np.mean(list(self.iou.values())))


@dataclass(frozen=True, slots=True)
class Frame:
    """Who is truly and who is said to be in one frame: ids, and mask IoU [truths, predictions]."""

    truths: list[int]
    predicted: list[int]
    iou: NDArray[np.float64]


def compare(scene: Scene, masks: dict[int, dict[int, MaskletFrame]]) -> list[Frame]:
    """Frame by frame, true masks against predicted ones (by presentation time)."""
    frames = []
    for rgb, pts_us, truth in scene.frames():
        size = (rgb.shape[0], rgb.shape[1])
        said = masks.get(pts_us, {})
        least = SMALLEST * size[0] * size[1]
        codes = {e: rle.encode(m) for e, m in truth.masks.items()}
        wanted = [e for e, m in truth.masks.items() if m.sum() >= least]
        tiny = [e for e in truth.masks if e not in wanted]
        all_predicted = sorted(said)
        iou = rle.iou([codes[e] for e in [*wanted, *tiny]], [said[p].rle.counts for p in all_predicted], size)
        free = [k for k, p in enumerate(all_predicted) if not _excused(iou[:, k], len(wanted), said[p].area, least)]
        frames.append(Frame(wanted, [all_predicted[k] for k in free], iou[: len(wanted), free]))
    return frames


def _excused(column: NDArray[np.float64], wanted: int, area: int, least: float) -> bool:
    """A prediction of something too small to be demanded is no error either."""
    best = int(column.argmax()) if column.size else -1
    return best >= wanted and column[best] > 0 and area < 4 * least


def score(scene: Scene, events: Sequence[Event]) -> Score:
    frames = compare(scene, masks_of(events))
    data = _trackeval(frames)
    hota = HOTA().eval_sequence(data)
    clear = CLEAR({"PRINT_CONFIG": False}).eval_sequence(data)
    identity = Identity({"PRINT_CONFIG": False}).eval_sequence(data)
    reentries, notes = _reentries(frames)
    return Score(
        scene=scene.name,
        iou=_identity_iou(frames),
        hota=float(np.mean(hota["HOTA"])),
        det_a=float(np.mean(hota["DetA"])),
        ass_a=float(np.mean(hota["AssA"])),
        idf1=float(identity["IDF1"]),
        mota=float(clear["MOTA"]),
        switches=int(clear["IDSW"]),
        reentries=reentries,
        identities=len({p for f in frames for p in f.predicted}),
        notes=notes,
    )


def _trackeval(frames: Sequence[Frame]) -> dict[str, object]:
    """The frames in the form TrackEval's metrics take: ids renumbered from 0."""
    truths = {e: i for i, e in enumerate(sorted({e for f in frames for e in f.truths}))}
    predicted = {p: i for i, p in enumerate(sorted({p for f in frames for p in f.predicted}))}
    return {
        "num_timesteps": len(frames),
        "num_gt_ids": len(truths),
        "num_tracker_ids": len(predicted),
        "num_gt_dets": sum(len(f.truths) for f in frames),
        "num_tracker_dets": sum(len(f.predicted) for f in frames),
        "gt_ids": [np.array([truths[e] for e in f.truths], dtype=int) for f in frames],
        "tracker_ids": [np.array([predicted[p] for p in f.predicted], dtype=int) for f in frames],
        "similarity_scores": [f.iou for f in frames],
    }


def _identity_iou(frames: Sequence[Frame]) -> dict[int, float]:
    """Mean IoU of each true entity with its one best identity."""
    sums: dict[int, Counter[int]] = {}
    counts: Counter[int] = Counter()
    for f in frames:
        for r, e in enumerate(f.truths):
            counts[e] += 1
            per = sums.setdefault(e, Counter())
            for c, p in enumerate(f.predicted):
                per[p] += f.iou[r, c]
    return {e: max(sums[e].values(), default=0.0) / counts[e] for e in sorted(counts)}


def _reentries(frames: Sequence[Frame]) -> tuple[tuple[int, int], tuple[str, ...]]:
    """How many true re-entries got the identity from before; a note for each that did not."""
    good = total = 0
    notes = []
    for e in sorted({e for f in frames for e in f.truths}):
        runs = _runs([e in f.truths for f in frames])
        who = [_majority(frames[a:b], e) for a, b in runs]
        for k in range(1, len(runs)):
            total += 1
            if who[k] is not None and who[k] == who[0]:
                good += 1
            else:
                notes.append(f"entity {e} was {who[0]}, came back as {who[k]} at frame {runs[k][0]}")
    return (good, total), tuple(notes)


def _runs(seen: Sequence[bool]) -> list[tuple[int, int]]:
    """Stretches in sight, apart by at least RUN_FRAMES and at least as long."""
    runs: list[tuple[int, int]] = []
    for i in np.flatnonzero(seen):
        if runs and i - runs[-1][1] < RUN_FRAMES:
            runs[-1] = (runs[-1][0], int(i) + 1)
        else:
            runs.append((int(i), int(i) + 1))
    return [r for r in runs if r[1] - r[0] >= RUN_FRAMES]


def _majority(frames: Sequence[Frame], entity: int) -> int | None:
    """The identity that most often has most of the entity."""
    votes: Counter[int] = Counter()
    for f in frames:
        if entity in f.truths and f.predicted:
            row = f.iou[f.truths.index(entity)]
            if row.max() >= 0.5:
                votes[f.predicted[int(row.argmax())]] += 1
    return votes.most_common(1)[0][0] if votes else None


def evaluate(spec: str) -> Score:
    """Follow a scene and score it."""
    scene = make_scene(spec)
    with tempfile.TemporaryDirectory() as folder:
        return score(scene, follow(scene.spec, Path(folder)))


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
