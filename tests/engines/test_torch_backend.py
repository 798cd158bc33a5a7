"""The torch backend on a CPU: kinds of inputs, autocast, compiling, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from modules import Double, Mix
from specs import DOUBLE, MIX

from engines.backends.torch_backend import TorchEngine, find_device, gpu_name
from engines.errors import UserError


def test_arrays_give_arrays_and_tensors_tensors() -> None:
    engine = TorchEngine(MIX, Mix())
    assert engine.backend == "torch/eager on cpu"
    inputs = MIX.random(0, {"n": 3, "l": 7})
    out = engine.run(inputs)
    assert {name: (type(x), x.shape) for name, x in out.items()} == {
        "y": (np.ndarray, (3, 7, 5)), "top": (np.ndarray, (3,)),
    }  # fmt: skip
    again = engine.run({name: torch.from_numpy(x) for name, x in inputs.items()})
    assert all(isinstance(x, torch.Tensor) and not x.requires_grad for x in again.values())
    assert all((out[name] == again[name].numpy()).all() for name in out)


def test_read_only_double_and_transposed_arrays() -> None:
    x = np.arange(6.0).reshape(3, 2).T
    x.setflags(write=False)
    assert (TorchEngine(DOUBLE, Double()).run({"x": x})["y"] == 2 * x).all()


def test_autocast_narrows_and_says_so() -> None:
    engine = TorchEngine(MIX, Mix(), autocast="bf16")
    assert engine.backend == "torch/eager bf16 on cpu"
    inputs = MIX.random(0, {"n": 2, "l": 4})
    a, b = engine.run(inputs)["y"], TorchEngine(MIX, Mix()).run(inputs)["y"]
    assert a.dtype == np.float32
    assert 0 < np.abs(a - b).max() < 0.1


@pytest.mark.slow
def test_compiled_agrees() -> None:
    """With two sizes, of which the second compiles the dynamic form."""
    engine, plain = TorchEngine(MIX, Mix(), compiled=True), TorchEngine(MIX, Mix())
    for n, length in ((3, 7), (5, 9), (2, 4)):
        inputs = MIX.random(n, {"n": n, "l": length})
        for name, x in engine.run(inputs).items():
            np.testing.assert_allclose(x, plain.run(inputs)[name], atol=1e-5)


def test_what_does_not_compile_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = type("InductorError", (RuntimeError,), {"__module__": "torch._inductor.exc"})

    def fails(*args: object) -> None:
        raise broken("\nno C++ compiler\nand a page of more")

    monkeypatch.setattr(torch, "compile", lambda module, **options: fails)
    with pytest.raises(UserError, match="double does not compile: no C\\+\\+ compiler; take torch in its place"):
        TorchEngine(DOUBLE, Double(), compiled=True).run({"x": np.ones((1, 3), np.float32)})


def test_a_network_that_fails_fails_as_itself() -> None:
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        TorchEngine(DOUBLE, Mix()).run({"x": torch.ones(1, 3)})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"graphs": True}, "CUDA graphs need a CUDA device, not cpu: take torch or torch-compile there"),
        ({"graphs": True, "compiled": True}, "CUDA graphs need a CUDA device"),
        ({"device": "gpu"}, "'gpu' is no device of torch: name cpu, cuda or cuda:1"),
        ({"autocast": "fp8"}, "autocast 'fp8', wanted one of '', 'bf16', 'fp16'"),
        ({"mode": "reduce-overhead"}, "mode 'reduce-overhead', wanted one of default"),
    ],
)
def test_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TorchEngine(DOUBLE, Double(), **options)  # type: ignore[arg-type]


def test_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="cuda is not here: torch finds 0 CUDA devices; take --device cpu"):
        find_device("cuda")
    with pytest.raises(UserError, match="cpu is no CUDA device"):
        gpu_name("cpu")
