"""Detections of two backends, brought into one order before they are compared."""

from __future__ import annotations

import numpy as np

from engines.detectors.align import align
from engines.spec import Arrays


def found(*rows: tuple[float, float, int]) -> Arrays:
    """One frame's: left edge, score, label of boxes 10 pixels wide."""
    boxes = np.array([[[x, 0, x + 10, 10] for x, _, _ in rows]], np.float32)
    return {"boxes": boxes, "scores": np.array([[s for _, s, _ in rows]], np.float32),
            "labels": np.array([[label for _, _, label in rows]])}  # fmt: skip


def test_what_changed_places_is_brought_back_and_the_faint_is_none() -> None:
    theirs = found((0, 0.9, 1), (50, 0.5, 2), (50, 0.5, 3), (90, 0.02, 4))
    ours = found((0, 0.9, 1), (50, 0.5001, 3), (50, 0.4999, 2), (20, 0.01, 7))
    a, b = align(ours, theirs)
    assert a["labels"].tolist() == b["labels"].tolist() == [[1, 2, 3, 0]]
    assert np.abs(a["scores"] - b["scores"]).max() < 2e-4
    assert (a["boxes"] == b["boxes"]).all()
    assert ours["scores"][0, 3] == np.float32(0.01), "what is given stays as it is"


def test_what_is_not_there_is_a_difference() -> None:
    a, b = align(found((0, 0.9, 1), (70, 0.03, 2)), found((0, 0.9, 1), (10, 0.6, 5)))
    assert a["labels"].tolist() == [[1, 2]]
    assert b["labels"].tolist() == [[1, 5]]
