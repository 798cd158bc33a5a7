"""The RLE kernels (on a GPU, or under Triton's interpreter) against the CPU path and pycocotools."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from kernels import rle
from kernels.gpu import rle as gpu
from kernels.reference import rle as reference
from tests.kernels.textures import F32, logits, maps


def same(values: torch.Tensor, size: tuple[int, int], capacity: int, *, ties: bool = False) -> None:
    """Both paths give the same; with `ties`, but for pixels within rounding of the threshold."""
    positions, facts = gpu.runs(values, size, 0.0, 0.5, capacity)
    made = rle._encoded(positions, facts, size, 0.5)
    wanted = rle.encode_logits(values.cpu(), size, offset=0.5)
    if ties and made.counts != wanted.counts:
        differ = [rle.decode(a, size) != rle.decode(b, size) for a, b in zip(made.counts, wanted.counts, strict=True)]
        full = torch.nn.functional.interpolate(values.cpu().float()[:, None], size, mode="bilinear")[:, 0]
        at_edge = full.abs() < 1e-5 * max(1.0, float(values.float().abs().max()))
        assert not bool((np.stack(differ) & ~at_edge.numpy()).any())
        return
    assert made.counts == wanted.counts
    if not ties and sum(size) > 128:  # PyTorch adds in another order for small outputs
        assert [p.tolist() for p in positions] == [p.tolist() for p in reference.changes(values.cpu(), size, 0.0)]
    assert np.array_equal(made.area, wanted.area)
    assert np.array_equal(made.box, wanted.box)
    assert np.allclose(made.stability, wanted.stability)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")  # of long reprs
@settings(
    max_examples=12,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(drawn=maps(most=20, largest=90), dtype=st.sampled_from([torch.float16, torch.bfloat16, torch.float32]))
def test_equals_the_cpu(
    drawn: tuple[F32, tuple[int, int], str], dtype: torch.dtype, device: str, guarded: list[torch.Tensor]
) -> None:
    values, size, kind = drawn
    # The interpreter has no fused multiply-add: where values cancel to a hair of zero it may fall on the other side.
    tensor = torch.from_numpy(values).to(dtype).to(device)
    cancels = kind == "whole numbers"
    if kind == "huge" and dtype == torch.float16:
        tensor, cancels = tensor.clamp(-6e4, 6e4), True
    same(tensor, size, 4096, ties=cancels)


@pytest.mark.slow
def test_more_changes_than_room(device: str) -> None:
    same(torch.from_numpy(logits("noise", 2, 12, 9, 4)).to(device), (40, 50), 3)


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        pytest.param((1, 1, 1), (130, 1), marks=pytest.mark.slow),
        ((1, 1, 30), (1, 130)),
        pytest.param((1, 30, 1), (33, 2), marks=pytest.mark.slow),
        pytest.param((1, 40, 30), (9, 11), marks=pytest.mark.slow),
    ],
)
def test_odd_shapes(shape: tuple[int, int, int], size: tuple[int, int], device: str) -> None:
    same(torch.from_numpy(logits("noise", *shape, 7)).to(device), size, 2048)


def test_nothing(device: str) -> None:
    assert gpu.runs(torch.zeros((0, 4, 4), device=device), (9, 9), 0.0, 1.0, 8)[0] == []
    assert gpu.fill([], (9, 9), device).shape == (0, 9, 9)


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([0.0, 0.05, 0.5, 1.0]), st.integers(0, 99))
def test_masks_there_already(h: int, w: int, share: float, seed: int) -> None:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    masks = np.random.default_rng(seed).random((2, h, w)) < share
    positions, facts = gpu.runs(torch.from_numpy(masks).to(device).view(torch.uint8), (h, w), 0.5, 0.0, 64)
    assert rle._encoded(positions, facts, (h, w), 0.0).counts == [rle.encode(m) for m in masks]
    assert np.array_equal(gpu.fill(positions, (h, w), device).cpu().numpy(), masks)
    assert np.array_equal(reference.masks([torch.from_numpy(p).long() for p in positions], (h, w)).numpy(), masks)
    assert [rle.positions(rle.encode(m), (h, w)).tolist() for m in masks] == [p.tolist() for p in positions]
    both = rle.encode_masks(masks)
    assert both.counts == rle.encode_masks(torch.from_numpy(masks).to(device)).counts
    assert np.array_equal(both.box, facts[:, 1:5])
    assert np.array_equal(both.area, facts[:, 0])
    assert np.array_equal(rle.decode_masks(both.counts, (h, w), device).cpu().numpy(), masks)
