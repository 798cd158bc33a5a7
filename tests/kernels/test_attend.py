"""Attention to parts of memory: the kernel against PyTorch."""

from __future__ import annotations

import pytest
import torch

from kernels.gpu import attend as gpu
from kernels.reference import attend as reference

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def drawn(n: int, m: int, cells: int, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, ...]:
    g = torch.Generator().manual_seed(n + cells)
    shapes = ((n, cells, 256), (n, m, cells, 256), (n, m, cells, 64))
    parts = [torch.randn(*shape, generator=g).to(DEVICE, dtype) for shape in shapes]
    alive = torch.rand(n, m, generator=g) < 0.6
    alive[:, 0] = True
    return *parts, alive.to(DEVICE)


@pytest.mark.parametrize(("n", "m", "cells"), [(1, 1, 16), (2, 3, 36), (1, 2, 65)])
def test_kernel_equals_pytorch(n: int, m: int, cells: int, guarded: list[torch.Tensor]) -> None:
    given = drawn(n, m, cells)
    seen, sums = gpu.attend(*given)
    wanted, logarithms = reference.attend(*given)
    assert float((seen - wanted).abs().max()) < 1e-5
    torch.testing.assert_close(sums, logarithms, atol=1e-5, rtol=0)


@pytest.mark.needs_cuda
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_on_a_gpu(dtype: torch.dtype) -> None:
    """Weights are rounded to the type before they meet the values."""
    given = drawn(2, 7, 1024, dtype)
    seen, sums = gpu.attend(*given)
    wanted, logarithms = reference.attend(*given)
    assert float((seen - wanted).abs().max()) < 2e-2
    torch.testing.assert_close(sums, logarithms, atol=2e-2, rtol=0)


def test_what_does_not_fit_is_told() -> None:
    query, keys, values, alive = drawn(1, 2, 16)
    with pytest.raises(ValueError, match="no query, keys, values and alive of one batch"):
        gpu.attend(query[:, :8], keys, values, alive)
    with pytest.raises(ValueError, match="wanted one"):
        gpu.attend(query.half(), keys, values, alive)
