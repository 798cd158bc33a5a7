"""SAM 2.1's parts as engines: opened, exported, compared, by the same code as every other network."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from engines import catalogue
from engines.cache import Cache
from engines.compare import BOUNDS, differences, random_inputs
from engines.networks import Network
from engines.opening import How, open_engine
from engines.sam2.networks import ABOUT, networks, parts
from engines.store import Store

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of onnxscript and torch's exporter


@pytest.mark.slow
@pytest.mark.parametrize("part", ABOUT)
def test_onnx_agrees_with_torch(part: str, tmp_path: Path) -> None:
    network = next(n for n in parts("mini", side=256, weights=None) if n.name.endswith(part))
    cache = Cache(tmp_path, say=print)
    reference, engine = (open_engine(network, How(b), cache) for b in ("torch", "onnxruntime-cpu"))
    for found in differences(engine, reference, random_inputs(network.spec, 3)):
        assert found.part < BOUNDS["fp32"] / 10, found


def test_only_what_has_weights_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert networks(Store(tmp_path, tmp_path)) == ()
    (tmp_path / "sam2").mkdir()
    (tmp_path / "sam2" / "sam2.1_hiera_tiny.pt").write_bytes(b"weights")
    assert networks(Store(tmp_path, tmp_path)) == (), "not of what is damaged"
    item = replace(catalogue.find("sam2.1-tiny"), sha256=hashlib.sha256(b"weights").hexdigest())
    monkeypatch.setattr(catalogue, "LARGE", (*(i for i in catalogue.LARGE if i.name != item.name), item))
    found: tuple[Network, ...] = networks(Store(tmp_path, tmp_path))
    assert [n.name for n in found] == [f"sam2.1-tiny-{part}" for part in ABOUT]
    assert found[0].spec.inputs[0].shape == ("b", 3, 1024, 1024)
