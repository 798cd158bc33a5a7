"""Kernels run on the GPU where there is one, else under Triton's interpreter."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"

POISON, GUARD = 0x5A, 64


@pytest.fixture(scope="session")
def device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


@pytest.fixture
def guarded(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[torch.Tensor]]:
    """Everything `torch.empty` gives is full of poison and lies between guard bands; these are looked at in the end.
    What `torch.zeros` gives lies between them, too."""
    empty, bands = torch.empty, []

    def poisoned(*shape: int | tuple[int, ...], dtype: torch.dtype = torch.float32, **options: object) -> torch.Tensor:
        sizes = shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape
        item = torch.tensor([], dtype=dtype).element_size()
        count = item
        for size in sizes:  # type: ignore[union-attr]
            count *= int(size)
        options.pop("pin_memory", None)
        raw = empty(count + 2 * GUARD, dtype=torch.uint8, **options).fill_(POISON)  # type: ignore[arg-type]
        bands.extend([raw[:GUARD], raw[GUARD + count :]])
        return raw[GUARD : GUARD + count].view(dtype).view(*sizes)  # type: ignore[misc]

    monkeypatch.setattr(torch, "empty", poisoned)
    monkeypatch.setattr(torch, "zeros", lambda *shape, **options: poisoned(*shape, **options).zero_())
    yield bands
    monkeypatch.undo()
    assert bands, "nothing was allocated"
    for band in bands:
        assert bool((band == POISON).all()), "something was written beside its buffer"
