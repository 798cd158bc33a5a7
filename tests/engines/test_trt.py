"""The TensorRT backend against a recorded fake of 10.x and of 11.x: control flow only, never a real network."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import fake_tensorrt
import numpy as np
import pytest
import torch
from specs import DOUBLE

from engines import building
from engines.backends import torch_backend, trt
from engines.cache import Cache
from engines.errors import UserError
from engines.networks import Network
from engines.opening import How, open_engine

V10, V11 = "10.16.1.11", "11.4.0.106"
Use = Callable[..., Any]


class Stream:
    def __init__(self, handle: int = 7) -> None:
        self.cuda_stream, self.waited = handle, []

    def wait_stream(self, other: Stream) -> None:
        self.waited.append(other.cuda_stream)


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Use:
    """Puts a fake in TensorRT's place, and host memory in a GPU's."""

    def use(version: str, **faults: Any) -> types.ModuleType:
        fake = fake_tensorrt.module(version, **faults)
        monkeypatch.setitem(sys.modules, "tensorrt", fake)
        return fake

    monkeypatch.setattr(trt, "find_device", lambda name: torch.device("cpu"))
    monkeypatch.setattr(torch_backend, "gpu_name", lambda device: "NVIDIA H100 80GB HBM3 sm_90")
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device=None: Stream())
    return use


@pytest.mark.parametrize(("version", "flags"), [(V10, 2), (V11, 0)])
def test_a_plan_is_strongly_typed_with_profile_and_timing_cache(
    use: Use, tmp_path: Path, version: str, flags: int
) -> None:
    fake, seen = use(version), []
    progress = lambda *step: not seen.append(step)  # noqa: E731
    plan, timing = trt.build_plan(tmp_path / "a.onnx", DOUBLE, timing=b"known", progress=progress)
    assert timing == b"known+learnt"
    assert b"a.onnx" in plan
    assert fake.calls == [
        ("create_network", flags), ("pool", "WORKSPACE", trt.WORKSPACE_BYTES), ("clear_flag", "TF32"),
        ("set_timing_cache", b"known", False), ("set_shape", "x", (1, 3), (2, 3), (8, 3)), ("progress", [True, True]),
        ("build", 3),
    ]  # fmt: skip
    assert seen == [("building", 1, 2), ("building", 2, 2)]


@pytest.mark.parametrize("timing", [b"damaged", b"of another GPU"])
def test_a_timing_cache_that_does_not_fit_is_begun_anew(use: Use, tmp_path: Path, timing: bytes) -> None:
    use(V11)
    assert trt.build_plan(tmp_path / "a.onnx", DOUBLE, timing=timing)[1] == b"+learnt"


def test_static_shapes_have_no_profile(use: Use, tmp_path: Path) -> None:
    fake = use(V10)
    still = replace(
        DOUBLE, axes=(), batch="", inputs=(replace(DOUBLE.inputs[0], shape=(1, 3)),),
        outputs=(replace(DOUBLE.outputs[0], shape=(1, 3)),),
    )  # fmt: skip
    trt.build_plan(tmp_path / "a.onnx", still, tf32=True, level=5)
    assert not [c for c in fake.calls if c[0] in ("set_shape", "clear_flag")]
    assert ("build", 5) in fake.calls


@pytest.mark.parametrize("version", [V10, V11])
@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("parse", "TensorRT cannot read .*a.onnx: node 7: no such operator"),
        ("plan", "TensorRT cannot build double: no implementation for node Foo"),
        ("profile", "does not take the ranges of double: it does not say why"),
    ],
)
def test_builds_that_fail(use: Use, tmp_path: Path, version: str, fault: str, message: str) -> None:
    use(version, **{fault: True})
    with pytest.raises(UserError, match=message) as caught:
        trt.build_plan(tmp_path / "a.onnx", DOUBLE)
    assert "\n" not in str(caught.value)


def engine(version: str, **options: Any) -> trt.TrtEngine:
    return trt.TrtEngine(DOUBLE, b'{"version": "%s"}' % version.encode(), **{"graphs": False, **options})


@pytest.mark.parametrize("version", [V10, V11])
def test_runs_on_torch_tensors_and_torch_stream(use: Use, version: str) -> None:
    fake = use(version)
    e = engine(version)
    assert e.backend == f"tensorrt {version} on cpu"
    x = torch.arange(6.0).reshape(2, 3)
    first, second = e.run({"x": x})["y"], e.run({"x": x[:1] + 1})["y"]
    assert (first == 2 * x).all(), "the second run must not write into what the first gave"
    assert (second == 2 * (x[:1] + 1)).all()
    runs = [c for c in fake.calls if c[0] == "execute"]
    assert [(c[2], c[3]) for c in runs] == [(7, (2, 3)), (7, (1, 3))]
    assert len({c[1] for c in runs}) == 1, "one context"
    host = e.run({"x": np.ones((8, 3), np.float32)})["y"]
    assert isinstance(host, np.ndarray)
    assert (host == 2).all()


def test_transposed_and_narrow_inputs_are_made_what_the_plan_wants(use: Use) -> None:
    use(V11)
    x = torch.arange(6, dtype=torch.float64).reshape(3, 2).T
    assert (engine(V11).run({"x": x})["y"] == 2 * x).all()


def test_the_default_stream_is_left_for_one_of_its_own(use: Use, monkeypatch: pytest.MonkeyPatch) -> None:
    fake, default, side = use(V10), Stream(0), Stream(9)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device=None: default)
    monkeypatch.setattr(torch.cuda, "Stream", lambda device=None: side)
    engine(V10).run({"x": torch.ones(1, 3)})
    assert [c[2] for c in fake.calls if c[0] == "execute"] == [9]
    assert (side.waited, default.waited) == ([0], [9])


def test_sizes_out_of_the_profile(use: Use) -> None:
    use(V11)
    with pytest.raises(ValueError, match="n is 9, built for 1 to 8"):
        engine(V11).run({"x": torch.ones(9, 3)})


@pytest.mark.parametrize(
    ("faults", "message"),
    [
        ({"names": ("x", "z")}, "the plan is not double: it has x, z"),
        ({"names": ("a", "y")}, "the plan is not double"),
        ({"dtype": "float16"}, "has x as DataType.float16, not float32"),
        ({"host": True}, "wants x in host memory"),
    ],
)
def test_plans_of_something_else(use: Use, faults: dict[str, Any], message: str) -> None:
    use(V11, **faults)
    with pytest.raises(UserError, match=message):
        engine(V11)


def test_a_plan_of_another_version(use: Use) -> None:
    use(V11)
    with pytest.raises(UserError, match="cannot load the plan of double: serialized with another version"):
        engine(V10)


def test_failures_at_run_time(use: Use) -> None:
    use(V11, execute=True)
    with pytest.raises(RuntimeError, match="cannot run double"):
        engine(V11).run({"x": torch.ones(1, 3)})
    use(V11, context=True)
    with pytest.raises(UserError, match="no memory for double"):
        engine(V11).run({"x": torch.ones(1, 3)})


def test_each_graph_has_a_context_of_its_own(use: Use, monkeypatch: pytest.MonkeyPatch) -> None:
    fake, made = use(V11), {}

    class Runner:
        def __init__(self, spec: Any, make: Any, device: Any, buckets: Any) -> None:
            made.update(spec=spec, make=make, buckets=buckets)

        def run(self, inputs: Any, sizes: Any) -> Any:
            return made["make"]()(inputs)

    monkeypatch.setattr(trt, "GraphRunner", Runner)
    e = engine(V11, graphs=True)
    assert made["buckets"] == (1, 2, 4, 8)
    assert e.backend == f"tensorrt {V11}+cuda-graph on cpu"
    for _ in range(2):
        assert (e.run({"x": torch.ones(1, 3)})["y"] == 2).all()
    assert fake.calls.count(("context",)) == 2


@pytest.mark.parametrize("version", ["9.3.0", "12.0.1"])
def test_other_majors(use: Use, version: str) -> None:
    use(version)
    with pytest.raises(UserError, match=f"TensorRT {version} is not known here: install 10.x or 11.x"):
        trt.version()


def test_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(UserError, match=r"TensorRT is not installed: pip install '\.\[tensorrt\]'"):
        trt.version()


def test_plans_are_cached_by_gpu_and_version(use: Use, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX file -> plan in the cache -> engine; another version or GPU builds its own, the timing cache is kept."""
    onnx = tmp_path / "double.onnx"
    onnx.write_bytes(b"stands for a network")
    network = Network(replace(DOUBLE, batch=""), "", onnx=onnx)
    cache, said = Cache(tmp_path / "c"), []
    monkeypatch.setattr(trt, "GraphRunner", lambda spec, make, device, buckets: None)
    fake = use(V10)
    for _ in range(2):
        assert open_engine(network, How("tensorrt", device="cuda"), cache, say=said.append).backend.startswith(
            "tensorrt"
        )
    assert [c[0] for c in fake.calls].count("build") == 1
    assert said == [f"double: TensorRT {V10} for NVIDIA H100 80GB HBM3 sm_90"]
    one = building.plan_file(network, "fp32", cache, "cuda")
    use(V11)
    two = building.plan_file(network, "fp32", cache, "cuda")
    monkeypatch.setattr(torch_backend, "gpu_name", lambda device: "NVIDIA H200 sm_90")
    three = building.plan_file(network, "fp32", cache, "cuda")
    assert len({one, two, three}) == 3
    assert {p.name for p in cache.folder.glob("timing-*")} == {
        f"timing-NVIDIA-H100-80GB-HBM3-sm_90-{V10}.cache", f"timing-NVIDIA-H100-80GB-HBM3-sm_90-{V11}.cache",
        f"timing-NVIDIA-H200-sm_90-{V11}.cache",
    }  # fmt: skip
