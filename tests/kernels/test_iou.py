"""Mask and box IoU against pycocotools, torchvision's definition, and the plain way."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pycocotools import mask as coco

from kernels import iou
from kernels.gpu import iou as gpu
from kernels.reference import iou as reference

Bool = NDArray[np.bool_]
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@st.composite
def groups(draw: st.DrawFn, most: int) -> tuple[Bool, Bool]:
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    h, w = draw(st.integers(1, 50)), draw(st.integers(1, 70))
    m, n = draw(st.integers(0, most)), draw(st.integers(0, most))
    a, b = (rng.random((k, h, w)) < draw(st.sampled_from([0.0, 0.02, 0.5, 1.0])) for k in (m, n))
    a[:, : h // 2] &= draw(st.booleans())
    return a, b


def by_coco(a: Bool, b: Bool, crowd: list[bool]) -> NDArray[np.float64]:
    sides = [[coco.encode(np.asfortranarray(m.astype(np.uint8))) for m in side] for side in (a, b)]
    return np.asarray(coco.iou(*sides, [int(c) for c in crowd])).reshape(len(a), len(b))


@settings(max_examples=60, deadline=None)
@given(groups(6), st.randoms(use_true_random=False))
def test_equals_pycocotools(pair: tuple[Bool, Bool], random) -> None:  # type: ignore[no-untyped-def]
    a, b = pair
    crowd = [random.random() < 0.5 for _ in b]
    assert np.array_equal(iou.mask_iou(a, b), by_coco(a, b, [False] * len(b)))
    assert np.array_equal(iou.mask_iou(a, b, crowd=crowd), by_coco(a, b, crowd))
    plain = reference.mask_iou(torch.from_numpy(a), torch.from_numpy(b), crowd)
    assert np.array_equal(plain.numpy(), by_coco(a, b, crowd))
    assert np.array_equal(iou.mask_iou(torch.from_numpy(a), torch.from_numpy(b)).numpy(), iou.mask_iou(a, b))


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(st.lists(groups(20), min_size=1, max_size=3))
def test_kernel_many_groups_in_one_launch(drawn: list[tuple[Bool, Bool]]) -> None:
    found = gpu.shared([tuple(torch.from_numpy(side).to(DEVICE) for side in pair) for pair in drawn])  # type: ignore[misc]
    for (a, b), pair in zip(drawn, found, strict=True):
        assert np.array_equal(pair.both.cpu().numpy(), (a[:, None] & b[None]).sum((2, 3)))
        if len(a) and len(b):
            assert np.array_equal(pair.area_a.cpu().numpy(), a.sum((1, 2)))
            assert np.array_equal(pair.area_b.cpu().numpy(), b.sum((1, 2)))


@pytest.mark.parametrize(("m", "n", "size"), [(17, 5, (37, 61)), (33, 70, (16, 40)), (130, 3, (8, 30)), (1, 1, (1, 1))])
def test_kernel_stays_in_its_buffers(m: int, n: int, size: tuple[int, int], guarded: list[torch.Tensor]) -> None:
    rng = np.random.default_rng(1)
    a, b = (torch.from_numpy(rng.random((k, *size)) < 0.3).to(DEVICE) for k in (m, n))
    pair = gpu.shared([(a, b)])[0]
    assert torch.equal(pair.both.double(), a.flatten(1).double() @ b.flatten(1).double().T)
    assert torch.equal(pair.area_a.long(), a.sum((1, 2)))
    assert torch.equal(pair.area_b.long(), b.sum((1, 2)))


@pytest.mark.parametrize("n", [1, 17, 150])
def test_kernel_of_masks_with_themselves(n: int, guarded: list[torch.Tensor]) -> None:
    masks = torch.from_numpy(np.random.default_rng(2).random((n, 9, 17 if n == 17 else 16)) < 0.3).to(DEVICE)
    pair = gpu.shared([(masks, masks)])[0]
    assert torch.equal(pair.both.double(), masks.flatten(1).double() @ masks.flatten(1).double().T)
    assert torch.equal(pair.area_a.long(), masks.sum((1, 2)))
    assert torch.equal(pair.area_b, pair.area_a)


def test_refuses_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        iou.mask_iou(np.zeros((1, 2, 3), bool), np.zeros((1, 2, 4), bool))
    with pytest.raises(ValueError, match="do not fit"):
        iou.mask_iou(np.zeros((1, 2, 3), bool), np.zeros((1, 2, 3), bool), crowd=[True, False])
    with pytest.raises(TypeError, match="wanted bool"):
        iou.mask_iou(np.zeros((1, 2, 3)), np.zeros((1, 2, 3), bool))
    with pytest.raises(ValueError, match="boxes"):
        iou.box_iou(np.zeros((4, 3)), np.zeros((2, 4)))
    assert iou.box_iou(np.array([[0, 0, 1e-5, 1e-5]]), np.array([[0, 0, 1e-5, 1e-5]])).tolist() == [[1.0]]
    assert iou.mask_iou_many([]) == []


BOXES = st.lists(st.tuples(*[st.integers(0, 30)] * 4), min_size=1, max_size=5).map(
    lambda found: np.array([[min(a, c), min(b, d), max(a, c) + 1, max(b, d) + 1] for a, b, c, d in found], float)
)


@given(BOXES, BOXES)
def test_boxes(a: NDArray[np.float64], b: NDArray[np.float64]) -> None:
    def drawn(box: NDArray[np.float64]) -> Bool:
        x0, y0, x1, y1 = box.astype(int)
        mask = np.zeros((40, 40), bool)
        mask[y0:y1, x0:x1] = True
        return mask

    ious, gious = iou.box_iou(a, b), iou.box_giou(a, b)
    for i, p in enumerate(a):
        for j, q in enumerate(b):
            one, two = drawn(p), drawn(q)
            hull = drawn(np.concatenate([np.minimum(p[:2], q[:2]), np.maximum(p[2:], q[2:])])).sum()
            union = (one | two).sum()
            assert ious[i, j] == pytest.approx((one & two).sum() / union)
            assert gious[i, j] == pytest.approx((one & two).sum() / union - (hull - union) / hull)
