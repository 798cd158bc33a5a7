"""One small network of each kind for all tests, loaded once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import GROUNDED, SHAPE, grounding_dino, rf_detr

from engines.cache import Cache
from engines.detectors import hub, networks
from engines.detectors.networks import GroundingFiles
from engines.detectors.opening import Grounding, open_grounding
from engines.networks import Network
from engines.opening import How
from engines.store import Store

NOWHERE = Store(Path("/nowhere"))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test of a network is slow: transformers, which draws it, takes seconds to import."""
    for item in items:
        if Path(__file__).parent in item.path.parents and {"weights", "files"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rf_detr(tmp_path_factory.mktemp("rf_detr"))


@pytest.fixture(scope="session")
def closed(weights: Path) -> Network:
    """RF-DETR as an engine's network."""
    return networks.rf_detr(SHAPE, weights, "0" * 64, NOWHERE)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> GroundingFiles:
    return grounding_dino(tmp_path_factory.mktemp("grounding"))


@pytest.fixture(scope="session")
def grounding(files: GroundingFiles, tmp_path_factory: pytest.TempPathFactory) -> Grounding:
    return open_grounding(GROUNDED, files, NOWHERE, How("torch"), Cache(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="session")
def theirs(files: GroundingFiles) -> Any:
    """transformers' own Grounding DINO, whole."""
    return hub.grounding_dino(files.config, files.weights)
