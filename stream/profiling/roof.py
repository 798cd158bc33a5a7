"""What a device gives at most, measured: arithmetic by large matrix products, bandwidth by a large copy."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from stream.profiling.results import Roof

SECONDS = 1.0
"""How long each is tried; the best counts, for what disturbs can only slow down."""
SIDES, CUDA_SIDES = (512, 1024), (4096, 8192)
"""Of the matrices."""
COPIED, CUDA_COPIED = 256 << 20, 1 << 30
"""Bytes of a copy, more than caches hold."""
PROBE, LEAST = 192, 1e9
"""Side of a product that shows whether a CPU has a type at all, and the FLOP/s that it then does: without, they are a
hundred times fewer."""


def measure(device: str, seconds: float = SECONDS) -> Roof:
    """Of "cpu" (all cores) or "cuda". Types narrower than fp32 are told where they are quicker than it."""
    gflops = {kind: found / 1e9 for kind, found in (_cuda(seconds) if device == "cuda" else _cpu(seconds))}
    kept = {kind: v for kind, v in gflops.items() if kind == "fp32" or v > gflops["fp32"]}
    return Roof(device, kept, copy_bandwidth(device, seconds) / 1e9)


def copy_bandwidth(device: str, seconds: float = SECONDS) -> float:
    """Bytes read and written a second by a plain copy; on a CPU by all cores."""
    if device == "cuda":
        import torch

        source = torch.empty(CUDA_COPIED, dtype=torch.uint8, device=device)
        target = torch.empty_like(source)
        return 2 * CUDA_COPIED / device_seconds([lambda: target.copy_(source)], 20)
    a, b = np.ones(COPIED, np.uint8), np.ones(COPIED, np.uint8)
    cores = len(os.sched_getaffinity(0))
    parts = list(zip(np.array_split(b, cores), np.array_split(a, cores), strict=True))
    with ThreadPoolExecutor(cores) as pool:
        return 2 * COPIED / _best(lambda: list(pool.map(lambda part: np.copyto(*part), parts)), seconds)


def device_seconds(works: Sequence[Callable[[], object]], rounds: int = 5) -> float:
    """The median of what a CUDA device is busy with a call, the calls in turns.

    Each is put behind a pause on the device, so that the host's own time is not in it.
    """
    import torch

    times = []
    for work in [*works, *list(works) * rounds]:
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda._sleep(3_000_000)
        begin.record()
        work()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end) / 1e3)
    return float(np.median(times[len(works) :]))


def one_core(seconds: float) -> float:
    """FLOP/s of float32 products by NumPy, in a process whose BLAS has one thread."""

    def product(side: int) -> Callable[[], object]:
        x = np.ones((side, side), np.float32)
        return partial(np.matmul, x, x, out=np.empty_like(x))

    return _most(product, SIDES, seconds)


def _cpu(seconds: float) -> Iterator[tuple[str, float]]:
    """FLOP/s by type: fp32 by a process for each core, all at once (the threads of one BLAS wait for each other, and on
    a machine with other work for that too); bf16 by PyTorch, where that is here and the processor does it."""
    asked = [
        "env", *(f"{blas}_NUM_THREADS=1" for blas in ("OPENBLAS", "MKL", "OMP")),
        sys.executable, "-c", f"from {__name__} import one_core; print(one_core({seconds}))",
    ]  # fmt: skip
    cores = len(os.sched_getaffinity(0))
    run = partial(subprocess.run, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)  # silent at Ctrl-C
    with ThreadPoolExecutor(cores) as pool:
        done = list(pool.map(run, [asked] * cores))
    yield "fp32", sum(float(process.stdout) for process in done)
    try:
        import torch
    except ImportError:
        return

    def bf16(side: int) -> Callable[[], object]:
        x = torch.ones(side, side, dtype=torch.bfloat16)
        return partial(torch.mm, x, x)

    if _most(bf16, (PROBE,), 0.0) > LEAST:
        yield "bf16", _most(bf16, SIDES, seconds)


def _most(make: Callable[[int], Callable[[], object]], sides: Sequence[int], seconds: float) -> float:
    """FLOP/s of the product of square matrices that does most."""
    return max(2 * side**3 / _best(make(side), seconds / len(sides)) for side in sides)


def _cuda(seconds: float) -> Iterator[tuple[str, float]]:
    """FLOP/s by type. tf32 is what cuDNN and ONNX Runtime take for float32 tensors."""
    import torch

    def product(kind: Any, side: int) -> Callable[[], object]:
        x = torch.ones(side, side, dtype=kind, device="cuda")
        return lambda: (torch.mm(x, x), torch.cuda.synchronize())

    kinds = {"fp32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    for name, kind in kinds.items():
        with _tf32(torch, name == "tf32"):
            yield name, _most(partial(product, kind), CUDA_SIDES, seconds)


@contextmanager
def _tf32(torch: Any, allowed: bool) -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if allowed else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _best(work: Callable[[], object], seconds: float) -> float:
    """Seconds of the quickest call, after one to warm up."""
    work()
    end, best = time.perf_counter() + seconds, float("inf")
    while True:
        begun = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - begun)
        if time.perf_counter() >= end:
            return best
