"""Networks that several tests look at; they are made once, and no test changes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from sam2_videos import SIDE

from bench import sam2_peer, sam2_runs
from engines.sam2.build import Sam2, build, network


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # the suite runs on two processes
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def mini() -> Sam2:
    return build("mini", image_size=SIDE)


@pytest.fixture(scope="session")
def base() -> Any:
    """The sam2 package's model of the same weights."""
    return network("mini", image_size=SIDE)


@pytest.fixture(scope="session")
def peer() -> Any:
    return sam2_peer.predictor("mini", image_size=SIDE)


@pytest.fixture(scope="session")
def frames() -> torch.Tensor:
    """[30, 3, s, s]."""
    return sam2_runs.draw(30, SIDE)
