"""Logits to runs on the CPU, against PyTorch's interpolate and pycocotools."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from numpy.typing import NDArray
from pycocotools import mask as coco

from kernels import rle
from tests.kernels.textures import F32, logits, maps

Bool = NDArray[np.bool_]


def upsampled(values: F32, size: tuple[int, int]) -> F32:
    """[N, H, W] float32 as PyTorch interpolates."""
    if not len(values):
        return np.zeros((0, *size), np.float32)
    x = torch.from_numpy(values)[:, None]
    return torch.nn.functional.interpolate(x, size, mode="bilinear", align_corners=False)[:, 0].numpy()


def packed(masks: Bool) -> list[str]:
    return [coco.encode(np.asfortranarray(m.astype(np.uint8)))["counts"].decode() for m in masks]


def boxes(masks: Bool) -> NDArray[np.int32]:
    """Tight boxes, ends exclusive."""
    found = np.zeros((len(masks), 4), np.int32)
    for box, m in zip(found, masks, strict=True):
        ys, xs = np.nonzero(m)
        if len(ys):
            box[:] = xs.min(), ys.min(), xs.max() + 1, ys.max() + 1
    return found


def check(values: F32, size: tuple[int, int], threshold: float, offset: float) -> None:
    full = upsampled(values, size)
    made = rle.encode_logits(values, size, threshold=threshold, offset=offset, capacity=8)
    masks = full > threshold
    assert made.counts == packed(masks)
    assert made.area.tolist() == masks.sum((1, 2)).tolist()
    assert np.array_equal(made.box, boxes(masks))
    high, low = (full > threshold + offset).sum((1, 2)), (full > threshold - offset).sum((1, 2))
    assert np.allclose(made.stability, np.where(low > 0, high / np.maximum(low, 1), 1))


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(maps(most=40, largest=160))
def test_equal_to_the_bit(drawn: tuple[F32, tuple[int, int], str]) -> None:
    values, (h, w), _ = drawn
    if h + w <= 128:  # PyTorch adds in another order for small outputs: see below
        h += 129 - w
    check(values, (h, w), 0.0, 0.5)


@settings(max_examples=60, deadline=None)
@given(maps(most=12, largest=64))
def test_small_outputs_differ_by_rounding_only(drawn: tuple[F32, tuple[int, int], str]) -> None:
    values, size, kind = drawn
    if kind == "huge":
        values = values / np.float32(1e30)
    full = upsampled(values, size)
    made = rle.encode_logits(values, size)
    for i, counts in enumerate(made.counts):
        wrong = rle.decode(counts, size) != (full[i] > 0)
        assert np.abs(full[i][wrong]).max(initial=0) < 1e-5


@pytest.mark.parametrize("threshold", [-1.5, 0.0, 0.25, 1.0])
@pytest.mark.parametrize("kind", ["noise", "whole numbers", "blobs"])
def test_any_threshold(threshold: float, kind: str) -> None:
    check(logits(kind, 2, 32, 24, 5), (150, 101), threshold, 1.0)


@pytest.mark.parametrize(("h", "w", "size"), [(256, 256, (720, 1280)), (64, 64, (1080, 1920)), (300, 200, (97, 90))])
def test_real_sizes(h: int, w: int, size: tuple[int, int]) -> None:
    check(logits("blobs", 2, h, w, 1), size, 0.0, 1.0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_dtypes_and_tensors(dtype: torch.dtype) -> None:
    values = torch.from_numpy(logits("blobs", 3, 40, 30, 2)).to(dtype)
    made = rle.encode_logits(values, (200, 300))
    assert made.counts == packed(upsampled(values.float().numpy(), (200, 300)) > 0)


@pytest.mark.parametrize("size", [(1, 200), (200, 1), (129, 1), (131, 7)])
def test_one_row_one_column(size: tuple[int, int]) -> None:
    check(logits("noise", 2, 5, 6, 3), size, 0.0, 0.5)
    check(logits("noise", 2, 1, 1, 3), size, 0.0, 0.5)


def test_nothing() -> None:
    made = rle.encode_logits(np.zeros((0, 4, 4), np.float32), (10, 10))
    assert (made.counts, made.area.shape, made.box.shape) == ([], (0,), (0, 4))


@pytest.mark.parametrize(
    ("shape", "size", "error"),
    [((4, 4), (9, 9), "shape"), ((1, 0, 4), (9, 9), "shape"), ((1, 4, 4), (0, 9), "wanted"),
     ((1, 4, 4), (65536, 65536), "2\\*\\*31")],
)  # fmt: skip
def test_refuses(shape: tuple[int, ...], size: tuple[int, int], error: str) -> None:
    with pytest.raises(ValueError, match=error):
        rle.encode_logits(np.zeros(shape, np.float32), size)
    with pytest.raises(TypeError, match="float64"):
        rle.encode_logits(np.zeros((1, 4, 4)), (9, 9))


@pytest.mark.slow
def test_more_than_two_thousand_million_pixels() -> None:
    size, n = (1080, 1920), 1040
    assert n * size[0] * size[1] > 2**31
    values = logits("noise", 8, 6, 6, 11)
    made = rle.encode_logits(np.tile(values, (n // 8, 1, 1)), size, offset=0)
    assert made.counts == rle.encode_logits(values, size, offset=0).counts * (n // 8)
    check(values[:1], size, 0.0, 0.5)


@pytest.mark.parametrize("counts", ["", "P", "0", "\u00e9", "PPYo1", "o"])
def test_counts_that_do_not_fill_the_mask(counts: str) -> None:
    with pytest.raises(ValueError, match="do not fill it"):
        rle.positions(counts, (9, 9))


def test_batches_refuse_what_is_no_mask() -> None:
    with pytest.raises(TypeError, match="wanted bool"):
        rle.encode_masks(np.zeros((1, 4, 4), np.int64))
    with pytest.raises(ValueError, match="shape"):
        rle.encode_masks(np.zeros((4, 4), bool))
    made = rle.encode_logits(logits("noise", 2, 8, 8, 1), [140, 30])  # type: ignore[arg-type]
    assert rle.decode_masks(made.counts, (140, 30)).shape == (2, 140, 30)
