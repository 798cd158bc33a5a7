"""Torch modules exported to ONNX run alike under ONNX Runtime, at sizes they were not traced with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from modules import Mix
from specs import DOUBLE, MIX

from engines import compare
from engines.cache import Cache
from engines.errors import UserError
from engines.networks import Network
from engines.opening import How, candidates, open_engine
from engines.verifying import verified


@pytest.fixture(scope="module")
def network() -> Network:
    return Network(MIX, "a test's", module=Mix)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    return Cache(tmp_path_factory.mktemp("engines"))


@pytest.mark.slow
def test_the_export_agrees_at_other_sizes(network: Network, cache: Cache) -> None:
    said: list[str] = []
    engine = open_engine(network, How("onnxruntime-cpu"), cache, say=said.append)
    assert (engine.backend, said) == ("onnxruntime/CPU", ["mix: export to ONNX"])
    plain = open_engine(network, How("torch"), cache)
    for sizes in ({"n": 1, "l": 2}, {"n": 8, "l": 16}, {"n": 3, "l": 5}):
        x = MIX.random(0, sizes)
        for name, y in engine.run(x).items():
            np.testing.assert_allclose(y, plain.run(x)[name], atol=1e-5)
    open_engine(network, How("onnxruntime-cpu"), cache, say=said.append)
    assert len(said) == 1, "the second comes from the cache"


@pytest.mark.slow
def test_tensors_are_bound_where_they_lie(network: Network, cache: Cache) -> None:
    engine = open_engine(network, How("onnxruntime-cpu"), cache)
    x = MIX.random(1, {"n": 2, "l": 3})
    tensors = {name: torch.from_numpy(v).double().transpose(0, 1).contiguous().transpose(0, 1) for name, v in x.items()}
    out, expected = engine.run(tensors), engine.run(x)
    for name, y in out.items():
        assert isinstance(y, torch.Tensor)
        np.testing.assert_allclose(y.numpy(), expected[name], atol=1e-6)
    kept = out["y"].clone()
    engine.run({name: t + 1 for name, t in tensors.items()})
    assert torch.equal(out["y"], kept), "a later run writes elsewhere"


@pytest.mark.slow
def test_verify_holds_it_to_torch(network: Network, cache: Cache) -> None:
    missing: list[str] = []
    how = How("onnxruntime")
    found = list(verified(network, how, open_engine(network, how, cache), 3, 0, missing))
    assert [(kind, d.output) for kind, d in found] == [("3 random", "y"), ("3 random", "top")]
    assert all(d.part < compare.BOUNDS["fp32"] for _, d in found)
    assert missing == []


def test_candidates(network: Network) -> None:
    assert candidates(network, "fp32", "cpu") == ["torch", "torch-compile", "onnxruntime", "tensorrt"]
    assert candidates(network, "bf16", "cuda")[2:] == ["torch-cuda-graph", "torch-compile-cuda-graph"]
    assert candidates(network, "int8", "cuda") == ["onnxruntime", "tensorrt"]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (How("litert"), "mix has no TFLite form here: take onnxruntime"),
        (How("torch", "int8"), "torch runs fp32, fp16 and bf16 here"),
        (How("onnxruntime", "bf16"), "an ONNX file has precision fp32, fp16, int8, not bf16"),
        (How("onnxruntime-cuda"), "onnxruntime-cuda wants a CUDA device: add --device cuda"),
        (How("torch-cuda-graph"), "CUDA graphs need a CUDA device, not cpu"),
        (How("tensorrt", device="cuda"), "TensorRT is not installed"),
        (How("onnxruntime", "int8"), "cannot be quantized without real inputs"),
    ],
)
def test_what_cannot_be_opened_is_one_line(network: Network, cache: Cache, how: How, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        open_engine(network, how, cache)
    assert "\n" not in str(caught.value)


def test_names_that_are_none() -> None:
    with pytest.raises(ValueError, match="backend 'onnx', wanted one of torch"):
        How("onnx")
    with pytest.raises(ValueError, match="precision 'fp8', wanted one of fp32"):
        How("torch", "fp8")


def test_what_does_not_export_is_one_line(cache: Cache) -> None:
    class Odd(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.from_numpy(np.asarray(x.tolist()))

    with pytest.raises(UserError, match="double does not export to ONNX: ") as caught:
        open_engine(Network(DOUBLE, "", module=Odd), How("onnxruntime"), cache)
    assert "\n" not in str(caught.value)


def test_missing_packages(network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(UserError, match="onnxscript is not installed"):
        open_engine(network, How("onnxruntime"), Cache(tmp_path))
    monkeypatch.setitem(sys.modules, "engines.backends.torch_backend", None)
    with pytest.raises(UserError, match="torch is not installed: pip install"):
        open_engine(network, How("torch"), Cache(tmp_path))
