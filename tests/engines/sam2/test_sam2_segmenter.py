"""The segmenter: a tracker behind NumPy, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engines.sam2.build import build
from engines.sam2.prompt import Prompt
from engines.sam2.segmenter import Segmenter, load
from engines.sam2.tracker import Tracker
from kernels.preprocess import preprocess


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    """Five frames [5, 90, 160, 3] uint8 of a bright square that moves."""
    out = np.random.default_rng(0).integers(0, 60, (5, 90, 160, 3), np.uint8)
    for t, frame in enumerate(out):
        frame[20 + 4 * t : 50 + 4 * t, 30 + 6 * t : 70 + 6 * t] += 150
    return out


@pytest.mark.slow
def test_equals_the_tracker(frames: np.ndarray) -> None:
    model = build("mini", image_size=256)
    segmenter, tracker = Segmenter(model, name="mini", sha256="", slots=3), Tracker(model, slots=3)
    mask = np.zeros((90, 160), bool)
    mask[20:50, 30:70] = True
    slots = []
    for t, frame in enumerate(frames):
        segmenter.look(frame)
        features = tracker.encode(preprocess([torch.from_numpy(frame)[None]], 256))
        if t == 0:
            slots = [segmenter.begin(mask), segmenter.begin(~mask)]
            for kept in (mask, ~mask):
                tracker.add(features, 0, Prompt(mask=torch.from_numpy(kept)))
            continue
        seen = segmenter.follow(slots)
        out = tracker.step(features, dict.fromkeys(slots, 0))
        for i, one in enumerate(seen):
            assert one.logits.shape == (64, 64)
            assert np.allclose(one.logits, out.logits[i].numpy(), atol=1e-5)
            assert one.score == pytest.approx(float(out.score[i]), abs=1e-5)
    assert segmenter.free == 1
    segmenter.forget(slots)
    assert segmenter.free == 3
    assert segmenter.follow([]) == []


@pytest.mark.slow
def test_a_box_is_in_pixels_of_the_frame(frames: np.ndarray) -> None:
    segmenter = load("mini", size=256)
    assert segmenter.name == "sam2.1-mini@256 (drawn weights)"
    segmenter.look(frames[0])
    seen = segmenter.outline(np.array([30, 20, 70, 50], np.float32))
    tracker = Tracker(build("mini", image_size=256))
    features = tracker.encode(preprocess([torch.from_numpy(frames[0])[None]], 256))
    _, logits = tracker.add(features, 0, Prompt(box=(30 * 1.6, 20 * 256 / 90, 70 * 1.6, 50 * 256 / 90)))
    assert np.allclose(seen.logits, logits.numpy(), atol=1e-4)


def test_wants_a_frame_first() -> None:
    with pytest.raises(ValueError, match="no frame"):
        load("mini", size=256).outline(np.zeros(4, np.float32))
