"""The segmenter: a tracker behind NumPy, and nothing else."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch.nn import functional

from engines.sam2.build import build
from engines.sam2.encoder import Features
from engines.sam2.prompt import Prompt
from engines.sam2.seen import Seen
from engines.sam2.segmenter import Segmenter, load
from engines.sam2.tracker import Tracker
from kernels import rle
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
            same(one, out.logits[i], (90, 160))
            assert one.score == pytest.approx(float(out.score[i]), abs=1e-5)
    assert segmenter.free == 1
    segmenter.forget(slots)
    assert segmenter.free == 3
    assert segmenter.follow(seen_frame, []) == []


@pytest.mark.slow
def test_a_box_is_in_pixels_of_the_frame(frames: np.ndarray) -> None:
    segmenter = load("mini", size=256)
    assert segmenter.name == "sam2.1-mini@256 (drawn weights)"
    box = np.array([30, 20, 70, 50], np.float32)
    (seen,) = segmenter.outlines(segmenter.look(frames[0]), [box], [(0, 0, 160, 90)])
    tracker = Tracker(build("mini", image_size=256))
    features = tracker.encode(preprocess([torch.from_numpy(frames[0])[None]], 256))
    _, logits = tracker.add(features, 0, Prompt(box=(30 * 1.6, 20 * 256 / 90, 70 * 1.6, 50 * 256 / 90)))
    assert np.allclose(seen.logits, logits.numpy(), rtol=2e-3, atol=2e-3), "all of it, in half precision"
    assert seen.counts is None, "nobody is told of it"
    other = np.array([100, 10, 150, 80], np.float32)
    windows = [(40, 45, 80, 90), (0, 0, 160, 90)]
    less, beside = segmenter.outlines(segmenter.look(frames[0]), [box, other], windows)
    assert less.corner == (12, 28), "of the cells 16 to 32 and 32 to 64, with a margin"
    assert np.allclose(less.logits, seen.logits[28:, 12:36], rtol=2e-3, atol=2e-3), "among others as alone"
    (alone,) = segmenter.outlines(segmenter.look(frames[0]), [other], windows[1:])
    assert np.allclose(beside.logits, alone.logits, rtol=2e-3, atol=2e-3)
    assert beside.score == pytest.approx(alone.score, abs=1e-4)


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
        assert all(np.mean(a != b) < 0.002 for a, b in zip(one, other, strict=True))
    assert segmenter.free == 0


@pytest.mark.slow
def test_a_frame_on_the_device_is_taken_as_it_is_and_masks_are_of_the_feeds_own_size(frames: np.ndarray) -> None:
    model = build("mini", image_size=256)
    found = []
    for on_device in (False, True):
        segmenter = Segmenter(model, name="mini", sha256="", slots=1)
        pictures = [torch.from_numpy(rgb) if on_device else rgb for rgb in frames[:2]]
        slot = segmenter.begin(segmenter.look(pictures[0], (360, 640)), frames[0].mean(axis=2) > 100)
        found.append(segmenter.follow(segmenter.look(pictures[1], (360, 640)), [slot])[0])
    assert found[0].counts == found[1].counts is not None
    mask = rle.decode(found[0].counts or "", (360, 640))
    assert int(mask.sum()) == found[0].area > 0


def same(seen: Seen, logits: torch.Tensor, size: tuple[int, int]) -> None:
    """Whether what was handed out is these logits' mask at this size, and the logits round it."""
    full = functional.interpolate(logits[None, None], size=size, mode="bilinear", align_corners=False)[0, 0] > 0
    assert seen.counts is not None
    mask = rle.decode(seen.counts, size)
    assert (mask != full.numpy()).sum() <= 2, "but for pixels within rounding of 0"
    assert seen.area == mask.sum()
    (x, y), (h, w) = seen.corner, seen.logits.shape
    assert np.allclose(seen.logits, logits[y : y + h, x : x + w].numpy(), rtol=2e-3, atol=2e-3)


def feed_of(segmenter: Segmenter, frames: np.ndarray) -> list[np.ndarray]:
    """Masks of two objects on every frame after the first."""
    frame = segmenter.look(frames[0])
    mask = frames[0].mean(axis=2) > 100
    slots = [segmenter.begin(frame, mask), segmenter.begin(frame, ~mask)]
    seen = [one for rgb in frames[1:] for one in segmenter.follow(segmenter.look(rgb), slots)]
    return [rle.decode(one.counts or "", frame.size) for one in seen]
