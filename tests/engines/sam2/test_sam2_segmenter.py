"""The segmenter: a tracker behind NumPy, and nothing else."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from engines.sam2.build import build
from engines.sam2.encoder import Features
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
        seen_frame = segmenter.look(frame)
        features = tracker.encode(preprocess([torch.from_numpy(frame)[None]], 256))
        if t == 0:
            slots = [segmenter.begin(seen_frame, mask), segmenter.begin(seen_frame, ~mask)]
            for kept in (mask, ~mask):
                tracker.add(features, 0, Prompt(mask=torch.from_numpy(kept)))
            continue
        seen = segmenter.follow(seen_frame, slots)
        out = tracker.step(features, dict.fromkeys(slots, 0))
        for i, one in enumerate(seen):
            assert one.logits.shape == (64, 64)
            assert np.allclose(one.logits, out.logits[i].numpy(), atol=1e-5)
            assert one.score == pytest.approx(float(out.score[i]), abs=1e-5)
    assert segmenter.free == 1
    segmenter.forget(slots)
    assert segmenter.free == 3
    assert segmenter.follow(seen_frame, []) == []


@pytest.mark.slow
def test_a_box_is_in_pixels_of_the_frame(frames: np.ndarray) -> None:
    segmenter = load("mini", size=256)
    assert segmenter.name == "sam2.1-mini@256 (drawn weights)"
    seen = segmenter.outline(segmenter.look(frames[0]), np.array([30, 20, 70, 50], np.float32))
    tracker = Tracker(build("mini", image_size=256))
    features = tracker.encode(preprocess([torch.from_numpy(frames[0])[None]], 256))
    _, logits = tracker.add(features, 0, Prompt(box=(30 * 1.6, 20 * 256 / 90, 70 * 1.6, 50 * 256 / 90)))
    assert np.allclose(seen.logits, logits.numpy(), atol=1e-4)


@pytest.mark.slow
def test_feeds_side_by_side_are_each_as_alone(frames: np.ndarray) -> None:
    """Three feeds of other sizes and beginnings, in threads that meet in one batch."""
    model = build("mini", image_size=256)
    feeds = [frames, frames[:, ::-1, :120], frames[1:, 10:, 20:]]
    alone = [feed_of(Segmenter(model, name="mini", sha256="", slots=2), feed) for feed in feeds]
    batches: list[int] = []

    class Counted(Tracker):
        def encode(self, frames: torch.Tensor) -> Features:
            batches.append(len(frames))
            return super().encode(frames)

    segmenter = Segmenter(model, name="mini", sha256="", slots=6, max_batch_wait_s=60.0)
    segmenter._tracker = Counted(model, slots=6)
    start = threading.Barrier(len(feeds))

    def follow(feed: np.ndarray) -> list[np.ndarray]:
        with segmenter.taking_part():
            start.wait()
            return feed_of(segmenter, feed)

    with ThreadPoolExecutor(len(feeds)) as threads:
        together = list(threads.map(follow, feeds))
    assert batches[:4] == [3, 3, 3, 3], "all that were there were encoded together, and nobody waited for who had left"
    for one, other in zip(alone, together, strict=True):
        assert len(one) == len(other)
        assert all(np.allclose(a, b, atol=1e-3) for a, b in zip(one, other, strict=True))
    assert segmenter.free == 0


def feed_of(segmenter: Segmenter, frames: np.ndarray) -> list[np.ndarray]:
    """Logits of two objects on every frame after the first."""
    frame = segmenter.look(frames[0])
    mask = frames[0].mean(axis=2) > 100
    slots = [segmenter.begin(frame, mask), segmenter.begin(frame, ~mask)]
    return [seen.logits for rgb in frames[1:] for seen in segmenter.follow(segmenter.look(rgb), slots)]
