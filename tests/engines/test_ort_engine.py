"""ONNX Runtime's providers: which are tried, with what, and which really ran."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from engines.backends import ort
from engines.backends.ort import OrtEngine, available, ran_on
from engines.backends.providers import CPU, CUDA, RTX, TENSORRT, attempts
from engines.catalogue import find
from engines.errors import UserError
from engines.networks import lite
from engines.spec import EngineSpec
from engines.store import Store
from tests.running import model_folder


@pytest.fixture(scope="module")
def reid() -> tuple[EngineSpec, Path]:
    network = next(n for n in lite(Store(Path("/nowhere"), model_folder())) if n.name == "person-reid-0287")
    assert network.onnx is not None
    return network.spec, network.onnx


def test_order_and_options(reid: tuple[EngineSpec, Path], tmp_path: Path) -> None:
    spec, _ = reid
    found = attempts(spec, ("cpu", "cuda", "tensorrt", "tensorrt-rtx"), tmp_path, 1)
    assert [a.wanted for a in found] == [TENSORRT, RTX, CUDA, CPU]
    assert [[name for name, _ in a.providers] for a in found] == [[TENSORRT, CUDA, CPU], [RTX], [CUDA, CPU], [CPU]]
    assert found[0].providers[0][1] == {
        "device_id": "1", "trt_engine_cache_enable": "1", "trt_timing_cache_enable": "1",
        "trt_engine_cache_path": str(tmp_path / f"ort-tensorrt-{spec.weights[:16]}"),
        "trt_timing_cache_path": str(tmp_path / f"ort-tensorrt-{spec.weights[:16]}"),
        "trt_profile_min_shapes": "inputs:0:1x256x128x3", "trt_profile_opt_shapes": "inputs:0:4x256x128x3",
        "trt_profile_max_shapes": "inputs:0:16x256x128x3",
    }  # fmt: skip
    assert found[1].plugin
    with pytest.raises(ValueError, match="no provider rocm; there are tensorrt, tensorrt-rtx, cuda, cpu"):
        attempts(spec, ("rocm",), None, 0)


def test_the_best_that_runs(reid: tuple[EngineSpec, Path]) -> None:
    """Here that is the CPU, whatever is asked before it; results are those of the plain session."""
    engine = OrtEngine(*reid)
    assert engine.backend == "onnxruntime/CPU"
    x = reid[0].random(0, {"n": 1})
    (expected,) = ort.OrtSession(reid[1]).run(x["inputs:0"])
    assert (engine.run(x)["Identity:0"] == expected).all()
    assert available() == ("cpu",)


@pytest.mark.parametrize(
    ("name", "mend"),
    [
        ("cuda", "this onnxruntime has no CUDA provider: pip install onnxruntime-gpu in place of onnxruntime"),
        ("tensorrt", "this onnxruntime has no Tensorrt provider: pip install onnxruntime-gpu"),
        ("tensorrt-rtx", "the TensorRT-RTX plugin is not installed: pip install onnxruntime-ep-nv-tensorrt-rtx"),
    ],
)
def test_a_provider_that_is_missing_is_one_line(reid: tuple[EngineSpec, Path], name: str, mend: str) -> None:
    with pytest.raises(UserError, match=mend) as caught:
        OrtEngine(*reid, providers=(name,))
    assert "\n" not in str(caught.value)


class Session:
    """A session that runs on what it is told to."""

    def __init__(self, providers: list[str], nodes: dict[str, int] | None = None) -> None:
        self._providers, self._nodes = providers, nodes

    def get_providers(self) -> list[str]:
        return self._providers

    def get_provider_graph_assignment_info(self) -> list[Any]:
        if self._nodes is None:
            raise RuntimeError("not recorded")
        made = [(name, [0] * n) for name, n in self._nodes.items()]
        return [types.SimpleNamespace(ep_name=name, get_nodes=lambda n=nodes: n) for name, nodes in made]

    def get_inputs(self) -> list[Any]:
        return [types.SimpleNamespace(name="inputs:0")]

    def get_outputs(self) -> list[Any]:
        return [types.SimpleNamespace(name="Identity:0")]


@pytest.mark.parametrize(
    ("session", "said"),
    [
        (Session([CPU], {CPU: 9}), "CPU"),
        (Session([CUDA, CPU], {CUDA: 9}), "CUDA"),
        (Session([TENSORRT, CUDA, CPU], {CPU: 3, TENSORRT: 1}), "Tensorrt(1)+CPU(3)"),
        (Session([CUDA, CPU], {CPU: 9}), "CPU"),
        (Session([CUDA, CPU]), "CUDA"),
    ],
)
def test_what_really_ran(session: Session, said: str) -> None:
    assert ran_on(session) == said


def listing(monkeypatch: pytest.MonkeyPatch, loads: dict[str, list[str]]) -> list[Any]:
    """An onnxruntime that lists all providers; `loads`: first provider asked for -> those the session has."""
    tried: list[Any] = []

    def session(path: str, options: Any, providers: list[Any] | None = None) -> Session:
        names = [p[0] for p in providers] if providers else [RTX]
        tried.append(names)
        return Session(loads[names[0]], {loads[names[0]][0]: 5})

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [TENSORRT, CUDA, CPU])
    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    return tried


def test_a_listed_provider_that_does_not_load_is_passed_over(
    reid: tuple[EngineSpec, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """onnxruntime-gpu lists TensorRT and CUDA on every machine: only the session tells."""
    tried = listing(monkeypatch, {TENSORRT: [CPU], CUDA: [CUDA, CPU], CPU: [CPU]})
    assert OrtEngine(*reid).backend == "onnxruntime/CUDA"
    assert tried == [[TENSORRT, CUDA, CPU], [CUDA, CPU]]
    with pytest.raises(UserError, match="Tensorrt is listed, but the session runs on CPU: pip install onnxruntime-gpu"):
        OrtEngine(*reid, providers=("tensorrt",))


def test_exclusive_leaves_nothing_to_the_cpu(reid: tuple[EngineSpec, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Naming the CPU and forbidding it is an error in onnxruntime: it is left out."""
    tried = listing(monkeypatch, {CUDA: [CUDA]})
    assert OrtEngine(*reid, providers=("cuda",), exclusive=True).backend == "onnxruntime/CUDA"
    assert tried == [[CUDA]]
    monkeypatch.undo()
    assert OrtEngine(*reid, providers=("cpu",), exclusive=True).backend == "onnxruntime/CPU"


def test_the_rtx_plugin_is_registered_once(reid: tuple[EngineSpec, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Control flow only: the plugin needs an RTX card."""
    listing(monkeypatch, {RTX: [RTX, CPU]})
    plugin = types.SimpleNamespace(get_ep_name=lambda: RTX, get_library_path=lambda: "/lib/rtx.so")
    monkeypatch.setitem(sys.modules, "onnxruntime_ep_nv_tensorrt_rtx", plugin)
    registered: list[tuple[str, str]] = []
    added: list[Any] = []
    card = types.SimpleNamespace(ep_name=RTX)
    monkeypatch.setattr(onnxruntime, "get_ep_devices", lambda: [card] if registered else [])
    monkeypatch.setattr(
        onnxruntime, "register_execution_provider_library", lambda name, path: registered.append((name, path))
    )
    options = onnxruntime.SessionOptions

    class Options(options):  # type: ignore[misc, valid-type]
        def add_provider_for_devices(self, devices: Any, given: Any) -> None:
            added.append((devices, given))

    monkeypatch.setattr(onnxruntime, "SessionOptions", Options)
    for _ in range(2):
        assert OrtEngine(*reid, providers=("tensorrt-rtx",)).backend == "onnxruntime/NvTensorRTRTX"
    assert registered == [(RTX, "/lib/rtx.so")]
    assert added[0] == ([card], {
        "nv_profile_min_shapes": "inputs:0:1x256x128x3", "nv_profile_opt_shapes": "inputs:0:4x256x128x3",
        "nv_profile_max_shapes": "inputs:0:16x256x128x3",
    })  # fmt: skip
    registered.clear()
    monkeypatch.setattr(onnxruntime, "get_ep_devices", list)
    with pytest.raises(UserError, match="the TensorRT-RTX plugin finds no card of its kind"):
        OrtEngine(*reid, providers=("tensorrt-rtx",))


def test_files_of_another_network(reid: tuple[EngineSpec, Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"yolox_nano.onnx is not person-reid-0287: .*images"):
        OrtEngine(reid[0], model_folder() / find("yolox-nano").path)
    (tmp_path / "bad.onnx").write_bytes(b"none")
    with pytest.raises(UserError, match=r"bad.onnx does not load in onnxruntime on CPU") as caught:
        OrtEngine(reid[0], tmp_path / "bad.onnx", providers=("cpu",))
    assert "\n" not in str(caught.value)


def test_a_batch_that_the_file_does_not_take(reid: tuple[EngineSpec, Path]) -> None:
    """The file as it came has a batch of 1."""
    with pytest.raises(UserError, match=r"does not run: .*inputs:0"):
        OrtEngine(*reid).run({"inputs:0": np.zeros((2, 256, 128, 3), np.float32)})


def test_onnxruntime_missing(reid: tuple[EngineSpec, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"onnxruntime is not installed: pip install '\.\[cpu\]'"):
        OrtEngine(*reid)
