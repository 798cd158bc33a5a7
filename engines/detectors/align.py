"""Two backends' detections in one order: scores a rounding apart may change places, and the faintest come and go."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from engines.spec import Arrays

FAINT = 0.05
"""Below this in both, a detection is none and is not compared."""


def align(ours: Arrays, theirs: Arrays) -> tuple[Arrays, Arrays]:
    """Ours in the order of theirs, faint pairs zeroed in both. Arrays are [n, k, ...]: boxes, scores, labels."""
    mine, other = ({name: np.array(x) for name, x in side.items()} for side in (ours, theirs))
    for i in range(len(other["scores"])):
        _, order = linear_sum_assignment(_apart(mine, other, i))
        for name in mine:
            mine[name][i] = mine[name][i][order]
        faint = (mine["scores"][i] < FAINT) & (other["scores"][i] < FAINT)
        for x in (*mine.values(), *other.values()):
            x[i][faint] = 0
    return mine, other


def _apart(ours: Arrays, theirs: Arrays, i: int) -> NDArray[Any]:
    """[k, k] how little our detection (column) of row i of the batch is theirs (row)."""
    scale = max(1.0, float(np.abs(theirs["boxes"][i]).max(initial=0)))
    boxes = np.abs(theirs["boxes"][i][:, None] - ours["boxes"][i][None]).max(axis=2) / scale
    scores = np.abs(theirs["scores"][i][:, None] - ours["scores"][i][None])
    cost: NDArray[Any] = boxes + scores + (theirs["labels"][i][:, None] != ours["labels"][i][None])
    return cost
