"""Who is who, scored by TrackEval: HOTA (Luiten et al., IJCV 2021), IDF1, identity switches, and re-entries.

Similarity is mask IoU, as in MOTS (Voigtlaender et al., CVPR 2019).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from trackeval.metrics import CLEAR, HOTA, Identity

from kernels import rle

SMALLEST = 0.001
"""Share of the frame under which a true mask is neither demanded nor forbidden."""
RUN_FRAMES = 8
"""Shorter stretches in sight, and shorter absences, are no exit or re-entry."""
FLICKER_FRAMES = 3
Masks = Mapping[int, str]
"""Entity -> compressed counts of one frame."""


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


def compare(truth: Sequence[Masks], said: Sequence[Masks], size: tuple[int, int]) -> list[Frame]:
    """Frame by frame, true masks against predicted ones, of frames of `size` (H, W)."""
    least = SMALLEST * size[0] * size[1]
    frames = []
    for true, told in zip(truth, said, strict=True):
        areas = {e: rle.area(c, size) for e, c in true.items()}
        wanted = [e for e in true if areas[e] >= least]
        tiny = [e for e in true if areas[e] < least]
        everyone = sorted(told)
        iou = rle.iou([true[e] for e in [*wanted, *tiny]], [told[p] for p in everyone], size)
        free = [
            k for k, p in enumerate(everyone) if not _excused(iou[:, k], len(wanted), rle.area(told[p], size), least)
        ]
        frames.append(Frame(wanted, [everyone[k] for k in free], iou[: len(wanted), free]))
    return frames


def _excused(column: NDArray[np.float64], wanted: int, area: int, least: float) -> bool:
    """A prediction of something too small to be demanded is no error either."""
    best = int(column.argmax()) if column.size else -1
    return best >= wanted and column[best] > 0 and area < 4 * least


def score(scene: str, frames: Sequence[Frame]) -> Score:
    data = _trackeval(frames)
    hota = HOTA().eval_sequence(data)
    clear = CLEAR({"PRINT_CONFIG": False}).eval_sequence(data)
    identity = Identity({"PRINT_CONFIG": False}).eval_sequence(data)
    reentries, notes = _reentries(frames)
    return Score(
        scene=scene,
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


def owners(frames: Sequence[Frame]) -> dict[int, int]:
    """The true entity that each predicted identity is of: the one it shares most with through the scene."""
    sums: dict[int, Counter[int]] = {}
    for f in frames:
        for c, p in enumerate(f.predicted):
            for r, e in enumerate(f.truths):
                sums.setdefault(p, Counter())[e] += f.iou[r, c]
    best = {p: per.most_common(1)[0] for p, per in sums.items()}
    return {p: e for p, (e, shared) in best.items() if shared > 0}


def _reentries(frames: Sequence[Frame]) -> tuple[tuple[int, int], tuple[str, ...]]:
    """How many true re-entries got the identity from before; a note for each that did not."""
    good = total = 0
    notes = []
    for e in sorted({e for f in frames for e in f.truths}):
        runs = stretches([e in f.truths for f in frames])
        who = [_majority(frames[a:b], e) for a, b in runs]
        for k in range(1, len(runs)):
            total += 1
            if who[k] is not None and who[k] == who[0]:
                good += 1
            else:
                notes.append(f"entity {e} was {who[0]}, came back as {who[k]} at frame {runs[k][0]}")
    return (good, total), tuple(notes)


def history(frames: Sequence[Frame]) -> dict[int, list[tuple[int | None, int, int]]]:
    """By true entity: who had it (0: nobody, None: out of sight) from which frame to which, flickers left out."""
    found: dict[int, list[tuple[int | None, int, int]]] = {}
    for e in sorted({e for f in frames for e in f.truths}):
        runs: list[tuple[int | None, int, int]] = []
        for i, f in enumerate(frames):
            who = None
            if e in f.truths:
                row = f.iou[f.truths.index(e)]
                who = f.predicted[int(row.argmax())] if row.size and row.max() >= 0.4 else 0
            if runs and runs[-1][0] == who:
                runs[-1] = (who, runs[-1][1], i)
            else:
                runs.append((who, i, i))
        found[e] = [r for r in runs if r[2] - r[1] >= FLICKER_FRAMES]
    return found


def stretches(seen: Sequence[bool]) -> list[tuple[int, int]]:
    """Stretches in sight (begin, end), apart by at least RUN_FRAMES and at least as long."""
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
