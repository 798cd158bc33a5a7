"""What a call takes, counted in each form of a network, against sums made by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

from engines.backends.litert import LiteRtSession
from engines.backends.ort import OrtEngine, OrtSession
from engines.backends.torch_backend import TorchEngine
from engines.catalogue import find
from engines.sam2.build import build
from engines.sam2.calls import calls
from engines.spec import Axis, EngineSpec, TensorSpec
from engines.store import Store
from engines.work import Work, flops
from tests.running import model_folder

# A convolution of 2 to 4 channels, 3 x 3, on 8 x 6 pixels, then all of them to 5 numbers.
CONV, GEMM = 2 * (4 * 8 * 6) * (2 * 3 * 3), 2 * 5 * (4 * 8 * 6)
WEIGHTS = 4 * (4 * 2 * 9 + 4 + 5 * 192 + 5)
MOVED = WEIGHTS + 4 * (2 * 8 * 6 + 5)
SPEC = EngineSpec(
    "tiny", (TensorSpec("x", ("n", 2, 8, 6)),), (TensorSpec("y", ("n", 5)),), "", "", (Axis("n", 1, 1, 8),), "n"
)


def tiny(path: Path) -> Path:
    """Conv, Relu, Flatten and Gemm, its batch dynamic."""
    weights: dict[str, Any] = {
        "w": np.ones((4, 2, 3, 3), np.float32), "b": np.ones(4, np.float32),
        "v": np.ones((5, 192), np.float32), "c": np.ones(5, np.float32),
    }  # fmt: skip
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["h"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Flatten", ["r"], ["f"]),
        helper.make_node("Gemm", ["f", "v", "c"], ["y"], transB=1),
    ]
    ends = [helper.make_tensor_value_info(t.name, TensorProto.FLOAT, t.shape) for t in (*SPEC.inputs, *SPEC.outputs)]
    held = [onnx.numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "tiny", ends[:1], ends[1:], held)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.mark.parametrize("rows", [1, 3])
def test_an_onnx_file(rows: int, tmp_path: Path) -> None:
    path, x = tiny(tmp_path / "tiny.onnx"), np.ones((rows, 2, 8, 6), np.float32)
    wanted = Work(rows * (CONV + GEMM), WEIGHTS + rows * (MOVED - WEIGHTS))
    assert OrtSession(path).work(x) == wanted
    assert OrtSession(path).work({"x": x}) == wanted
    assert OrtEngine(SPEC, path, providers=("cpu",)).work({"x": x}) == wanted


def test_a_torch_module() -> None:
    layers = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(192, 5))
    engine = TorchEngine(SPEC, layers)
    assert engine.work({"x": np.ones((1, 2, 8, 6), np.float32)}) == Work(CONV + GEMM, MOVED)
    assert engine.work({"x": torch.ones(2, 2, 8, 6)}).flops == 2 * (CONV + GEMM)
    assert TorchEngine(SPEC, layers, autocast="bf16").work({"x": torch.ones(1, 2, 8, 6)}) == Work(
        CONV + GEMM, MOVED - 2 * 5, dtype="bf16"
    ), "its outputs are half as wide"


@pytest.mark.parametrize(
    ("operator", "inputs", "output", "wanted"),
    [
        ("Conv", [(1, 8, 9, 9), (8, 1, 3, 3)], (1, 8, 9, 9), 2 * 8 * 81 * 9),  # a group for each channel
        ("ConvTranspose", [(1, 6, 4, 4), (6, 3, 2, 2)], (1, 3, 8, 8), 2 * 6 * 16 * 3 * 4),
        ("MatMul", [(7, 4, 5), (7, 5, 6)], (7, 4, 6), 2 * 7 * 4 * 5 * 6),
        ("Gemm", [(5, 4), (5, 6)], (4, 6), 2 * 4 * 5 * 6),  # the left one transposed
        ("CONV_2D", [(1, 9, 9, 6), (8, 3, 3, 6)], (1, 9, 9, 8), 2 * 8 * 81 * 54),
        ("DEPTHWISE_CONV_2D", [(1, 9, 9, 6), (1, 5, 5, 6)], (1, 9, 9, 6), 2 * 6 * 81 * 25),
        ("TRANSPOSE_CONV", [(4,), (3, 2, 2, 6), (1, 4, 4, 6)], (1, 8, 8, 3), 2 * 6 * 16 * 3 * 4),
        ("FULLY_CONNECTED", [(2, 5), (6, 5)], (2, 6), 2 * 2 * 5 * 6),
        ("Add", [(4, 4), (4, 4)], (4, 4), 0),
    ],
)
def test_operators(operator: str, inputs: list[tuple[int, ...]], output: tuple[int, ...], wanted: int) -> None:
    assert flops(operator, inputs, output) == wanted


def test_a_network_is_counted_alike_in_both_of_its_forms() -> None:
    folder = model_folder()
    store = Store(folder, folder)
    tflite, converted = (store.locate(find(name)) for name in ("blazepose-full", "blazepose-full-onnx"))
    assert tflite is not None
    assert converted is not None
    x = np.zeros((1, 256, 256, 3), np.float32)
    lite, onnx_ = LiteRtSession(tflite).work(x), OrtSession(converted).work(x)
    assert lite.flops == onnx_.flops
    assert lite.moved_bytes < onnx_.moved_bytes, "its weights are float16"


@pytest.mark.slow
def test_packed_layers_of_sam2_are_counted_as_plain_ones() -> None:
    for packed, plain in zip(
        *(calls(build("mini", image_size=128, attention=a), 1, 1) for a in ("auto", "masked")), strict=True
    ):
        assert packed.name == plain.name
        assert packed.work().flops == plain.work().flops > 10**6


@pytest.mark.needs_cuda
def test_sam2_on_a_gpu_is_counted_through_its_own_attention() -> None:
    narrow = build("mini", image_size=128, device="cuda", dtype=torch.bfloat16)
    masked = build("mini", image_size=128, device="cuda", dtype=torch.bfloat16, attention="masked")
    for own, plain in zip(*(calls(model, 2, 3) for model in (narrow, masked)), strict=True):
        own.run()
        assert own.work() == plain.work()
        assert (own.work().device, own.work().dtype) == ("cuda", "bf16")


@pytest.mark.slow
def test_parts_that_did_not_run_are_not_called() -> None:
    assert [c.name for c in calls(build("mini", image_size=128), 1, 0)] == ["sam2-encoder"]
