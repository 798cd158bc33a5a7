"""The torch backend's forms on a real GPU: eager, compiled and CUDA graphs agree.

Imports torch, numpy, pytest and engines alone, so that it runs on a machine that has nothing else:

    python -m pytest --noconftest -c /dev/null --rootdir . tests/engines/test_cuda_backends.py
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from engines.backends.torch_backend import TorchEngine, gpu_name, wait
from engines.spec import Axis, EngineSpec, TensorSpec
from engines.timing import timed

pytestmark = pytest.mark.needs_cuda

WIDTH = 64
SPEC = EngineSpec(
    "block",
    (TensorSpec("x", ("n", "l", WIDTH), low=-1), TensorSpec("image", ("n", 3, 32, 32)), TensorSpec("bias", (WIDTH,))),
    (TensorSpec("y", ("n", "l", WIDTH)), TensorSpec("score", ("n",)), TensorSpec("bent", (WIDTH,))),
    "none",
    "0" * 64,
    (Axis("n", 1, 4, 8), Axis("l", 4, 16, 64)),
    "n",
)
FP32, BF16 = 2e-4, 4e-2
"""Bounds on outputs of magnitude about 3, TF32 off: other kernels and orders of summation; bfloat16 arithmetic."""


class Block(torch.nn.Module):
    """Attention, a convolution and a reduction; `bent` has no batch axis."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.attention = torch.nn.MultiheadAttention(WIDTH, 4, batch_first=True)
        self.norm = torch.nn.LayerNorm(WIDTH)
        self.look = torch.nn.Conv2d(3, WIDTH, 8, stride=8)

    def forward(
        self, x: torch.Tensor, image: torch.Tensor, bias: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        seen = self.look(image).flatten(2).transpose(1, 2)
        y = self.norm(x + self.attention(x, seen, seen, need_weights=False)[0]) + bias
        return y, y.amax(dim=(1, 2)), torch.sin(bias)


@pytest.fixture(autouse=True)
def exact() -> Iterator[None]:
    kept = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = kept


@pytest.fixture(scope="module")
def eager() -> TorchEngine:
    return TorchEngine(SPEC, Block(), device="cuda")


def inputs(n: int, length: int, seed: int = 0) -> dict[str, torch.Tensor]:
    return {k: torch.from_numpy(v).cuda() for k, v in SPEC.random(seed, {"n": n, "l": length}).items()}


def agree(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor], bound: float) -> None:
    assert a.keys() == b.keys()
    for name in a:
        assert a[name].shape == b[name].shape, name
        torch.testing.assert_close(
            a[name].float(), b[name].float(), atol=bound, rtol=0, msg=lambda m, n=name: f"{n}: {m}"
        )


def test_the_cpu_agrees(eager: TorchEngine) -> None:
    x = SPEC.random(3, {"n": 3, "l": 9})
    here = TorchEngine(SPEC, Block()).run(x)
    there = eager.run(x)
    for name in here:
        assert isinstance(there[name], np.ndarray)
        np.testing.assert_allclose(there[name], here[name], atol=FP32, rtol=0)


@pytest.mark.parametrize(("compiled", "graphs"), [(True, False), (False, True), (True, True)])
def test_every_form_equals_eager(eager: TorchEngine, compiled: bool, graphs: bool) -> None:
    engine = TorchEngine(SPEC, Block(), device="cuda", compiled=compiled, graphs=graphs, buckets=(2, 4))
    how = "+".join(["compile"] * compiled + ["cuda-graph"] * graphs)
    assert engine.backend == f"torch/{how} on cuda:0"
    for seed, (n, length) in enumerate([(4, 16), (3, 16), (1, 16), (7, 16), (4, 16), (2, 8)]):
        x = inputs(n, length, seed)
        agree(engine.run(x), eager.run(x), FP32)


def test_replays_see_new_inputs_and_leave_old_outputs(eager: TorchEngine) -> None:
    engine = TorchEngine(SPEC, Block(), device="cuda", graphs=True)
    given = [inputs(4, 16, seed) for seed in range(5)]
    found = [engine.run(x) for x in given]
    for x, out in zip(given, found, strict=True):
        agree(out, eager.run(x), FP32)


def test_padding_changes_no_row(eager: TorchEngine) -> None:
    """Five rows in a bucket of eight, after a full one whose rows are still in the buffers."""
    engine = TorchEngine(SPEC, Block(), device="cuda", graphs=True, buckets=(8,))
    engine.run({k: v * 1e6 if k != "bias" else v for k, v in inputs(8, 16, 1).items()})
    x = inputs(5, 16, 2)
    agree(engine.run(x), eager.run(x), FP32)


def test_another_stream_sees_its_own_order(eager: TorchEngine) -> None:
    """Inputs are made on the stream that runs, behind slow work; two streams share the graph's buffers."""
    engine = TorchEngine(SPEC, Block(), device="cuda", graphs=True, buckets=(4,))
    engine.run(inputs(4, 16))
    x, slow = inputs(4, 16, 5), torch.randn(4096, 4096, device="cuda")
    wait("cuda")
    streams, found = [torch.cuda.Stream() for _ in range(2)], []
    for i, stream in enumerate(streams):
        with torch.cuda.stream(stream):
            for _ in range(20):
                slow @ slow
            late = {name: value + i for name, value in x.items()}
            found.append(engine.run(late))
    wait("cuda")
    for i, out in enumerate(found):
        agree(out, eager.run({name: value + i for name, value in x.items()}), FP32)


@pytest.mark.parametrize("graphs", [False, True])
@pytest.mark.parametrize("autocast", ["bf16", "fp16"])
def test_autocast(eager: TorchEngine, graphs: bool, autocast: str) -> None:
    engine = TorchEngine(SPEC, Block(), device="cuda", graphs=graphs, autocast=autocast)
    for seed in range(3):
        x = inputs(4, 16, seed)
        agree(engine.run(x), eager.run(x), BF16)


def test_memory_does_not_grow(eager: TorchEngine) -> None:
    engine = TorchEngine(SPEC, Block(), device="cuda", graphs=True, buckets=(1, 2, 4, 8))
    x = [inputs(n, 16) for n in (1, 3, 5, 8)]
    for given in x:
        engine.run(given)
    before = torch.cuda.memory_allocated()
    for _ in range(200):
        for given in x:
            engine.run(given)
    wait("cuda")
    assert torch.cuda.memory_allocated() <= before


def test_graphs_are_quicker(eager: TorchEngine, capsys: pytest.CaptureFixture[str]) -> None:
    """Small work at one row is all launches: a graph has one."""
    engine = TorchEngine(SPEC, Block(), device="cuda", graphs=True)
    rows = {e.backend: dict(timed(e, "cuda", (1, 8), seconds=0.5)) for e in (eager, engine)}
    with capsys.disabled():
        for name, found in rows.items():
            print("\n" + name, gpu_name("cuda"), {n: f"{t.median_ms:.3f} ms" for n, t in found.items()})
    assert rows[engine.backend][1].median_ms < rows[eager.backend][1].median_ms
