"""What of masks leaves the device: equal to the masks themselves, and small."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch.nn import functional

from engines.sam2.seen import cells, read
from kernels import rle
from stream.sam import patch_of

GRID = 32


def blobs(seed: int, count: int, *, at: float) -> torch.Tensor:
    """[count, GRID, GRID] smooth logits, over 0 in fewer places the greater `at`."""
    noise = torch.randn(count, 1, 6, 6, generator=torch.Generator().manual_seed(seed)) * 6 - at
    return functional.interpolate(noise, size=(GRID, GRID), mode="bicubic")[:, 0]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000), at=st.floats(-2, 12), sizes=st.lists(
        st.tuples(st.integers(20, 200), st.integers(20, 200)), min_size=1, max_size=3
    )
)  # fmt: skip
@example(seed=1587, at=11.75, sizes=[(20, 28)])  # a cell over 0 at the border of those that came along
def test_masks_of_frames_of_any_size_leave_as_they_are(seed: int, at: float, sizes: list[tuple[int, int]]) -> None:
    frames = [sizes[i % len(sizes)] for i in range(4)]
    logits, scores = blobs(seed, 4, at=at), torch.tensor([1.0, -1.0, 2.0, 3.0])
    seen = read(logits, scores, frames)
    assert [one.score for one in seen] == scores.tolist()
    for one, whole, (h, w) in zip(seen, logits, frames, strict=True):
        full = functional.interpolate(whole[None, None], size=(h, w), mode="bilinear", align_corners=False)[0, 0] > 0
        mask = rle.decode(one.counts or "", (h, w))
        assert (mask != full.numpy()).sum() <= 1, "but for a pixel within rounding of 0"
        assert one.area == mask.sum()
        if one.area:
            ys, xs = np.nonzero(mask)
            assert one.box == (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
        made = patch_of(one, (h, w)).on((0, 0, w, h)) >= 128
        assert (made != mask).sum() <= 2 + 0.02 * mask.sum(), "the cells that came along draw the same mask"


def test_what_leaves_grows_with_the_mask_and_not_with_the_grid() -> None:
    """A mask of 2 % of the frame, of logits as SAM 2 has them at 1024 pixels: 256 KB each."""
    ys, xs = torch.meshgrid(torch.arange(256.0), torch.arange(256.0), indexing="ij")
    logits = torch.stack([20 - ((xs - x) ** 2 + (ys - 100) ** 2).sqrt() for x in (40, 120, 200)])
    seen = read(logits, torch.ones(3), [(1080, 1920)] * 3)
    left = [one.logits.nbytes + len(one.counts or "") for one in seen]
    assert max(left) < 7_000
    assert read(torch.full((1, 256, 256), -1024.0), -torch.ones(1), [(1080, 1920)])[0].logits.size == 0


def test_cells_of_a_box() -> None:
    assert cells((0, 0, 0, 0), (90, 160), 64) == (0, 0, 0, 0)
    assert cells((0, 0, 160, 90), (90, 160), 64) == (0, 0, 64, 64)
    x0, y0, x1, y1 = cells((80, 45, 82, 46), (90, 160), 64)
    assert x0 <= 31 < 33 <= x1
    assert y0 <= 31 < 33 <= y1
    assert (x1 - x0, y1 - y0) < (12, 12)


@pytest.mark.needs_cuda
def test_a_device_hands_out_what_the_cpu_does() -> None:
    logits, scores = blobs(3, 5, at=4), torch.arange(5.0)
    sizes = [(90, 160), (90, 160), (200, 100), (90, 160), (200, 100)]
    for one, other in zip(read(logits, scores, sizes), read(logits.cuda(), scores.cuda(), sizes), strict=True):
        assert (one.counts, one.area, one.box, one.corner) == (other.counts, other.area, other.box, other.corner)
        assert np.array_equal(one.logits, other.logits)
