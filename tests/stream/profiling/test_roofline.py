"""Rooflines: what is asked is called again alone, and held against what the machine gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.errors import UserError
from engines.work import Call, Work
from stream.profiling import kernel_calls, report, results, roof
from stream.profiling.results import Roof, Roofline
from stream.profiling.roofline import HEADS, cells, point, roofline, told
from stream.profiling.taps import Taps
from tests.stream.profiling.test_profiling_parts import profile_of

ROOF = Roof("cpu", {"fp32": 100.0}, 10.0)


def a_call(name: str, work: Work, run: Any = lambda: None) -> Call:
    return Call(name, "ours", 1, run, lambda: work)


def test_a_point_lies_under_the_roof_of_its_intensity() -> None:
    much, little = Work(10**9, 10**7), Work(10**7, 10**8)
    compute = point("engine", a_call("much", much), much, 0.02, ROOF)
    assert (compute.intensity, compute.gflops, compute.bound) == (100, 50, "compute")
    assert compute.share == pytest.approx(0.5), "50 of 100 GFLOP/s"
    memory = point("kernel", a_call("little", little), little, 0.1, ROOF)
    assert (memory.intensity, memory.gb_s, memory.bound) == (0.1, 1, "memory")
    assert memory.share == pytest.approx(0.1), "1 of 10 GB/s"
    nothing = point("kernel", a_call("copies", Work(0, 10**8)), Work(0, 10**8), 0.01, ROOF)
    assert (nothing.share, nothing.bound) == (pytest.approx(1), "memory")


def test_the_roof_of_a_type() -> None:
    gpu = Roof("cuda", {"fp32": 50.0, "tf32": 400.0, "bf16": 800.0}, 4000.0)
    for dtype, held, peak in (("fp32", "tf32", 400), ("bf16", "bf16", 800), ("fp16", "fp16", 50)):
        work = Work(4 * 10**12, 10**6, "cuda", dtype)
        found = point("engine", a_call("x", work), work, 10.0, gpu)
        assert (found.dtype, found.share) == (held, pytest.approx(400 / peak))
    exact = Work(10**12, 10**6, "cuda")
    assert point("kernel", a_call("x", exact), exact, 1.0, gpu).dtype == "fp32", "no kernel of ours rounds to tf32"


@pytest.mark.slow
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.needs_cuda)])
def test_this_machines_roof_and_our_kernels_under_it(device: str) -> None:
    found, missing = roofline([], kernel_calls.calls((90, 160), 1, device))
    assert missing == []
    (measured,) = found.roofs
    assert measured.gflops["fp32"] > 0.1
    assert measured.gb_s > 0.01
    assert all(v >= measured.gflops["fp32"] for v in measured.gflops.values())
    assert [(p.name, p.kind, p.rows) for p in found.points] == [
        ("rle", "kernel", 16), ("iou", "kernel", 16), ("preprocess", "kernel", 1),
    ]  # fmt: skip
    assert all(0 < p.share < 10 for p in found.points)  # what stays in caches may pass a copy's bandwidth
    assert f"{device}: fp32 products" in told(measured)
    assert all(len(cells(p)) == len(HEADS) for p in found.points)


def test_the_work_of_our_kernels() -> None:
    rle, iou, preprocess = (call.work() for call in kernel_calls.calls((1024, 2048), 2, "cpu"))
    pixels = 1024 * 2048
    assert rle.flops == 16 * pixels * 9
    assert 0 < rle.moved_bytes - 16 * 256 * 256 * 4 < 60_000, "the runs"
    assert (iou.flops, iou.moved_bytes) == (16 * 16 * pixels // 64 * 3, 32 * pixels + 16 * 16 * 8)
    # Half as wide: sums over 4 pixels across, 2 down; then the normalisation.
    assert preprocess.flops == 2 * 2 * 3 * 1024 * 1024 * (4 + 2 + 1)
    assert preprocess.moved_bytes == 2 * 3 * pixels + 2 * 3 * 4 * 1024**2


def test_what_cannot_be_counted_or_run_is_a_line() -> None:
    def silent() -> Work:
        raise UserError("it does not tell")

    def absent() -> Work:
        raise ModuleNotFoundError("No module named 'numba'", name="numba")

    calls = [Call("plan", "tensorrt", 1, lambda: None, silent), Call("rle", "CPU", 1, lambda: None, absent)]
    done: list[float] = []
    found, missing = roofline(calls, [], done.append)
    assert found == Roofline([], [])
    assert missing == [
        "roofline of plan: it does not tell",
        "roofline of rle: numba is not installed: pip install '.[sam2]'",
    ]
    assert done == [0, 0.5, 1]


class Doubling:
    """A session, and with names an image-text tower."""

    backend = "ours"

    def run(self, x: Any) -> Any:
        return 2 * x

    def run_named(self, feeds: Any, output: str) -> Any:
        return 2 * feeds[output]

    def work(self, x: Any) -> Work:
        return Work(len(x), 1)


def test_a_tap_keeps_what_was_asked_last_and_changes_nothing() -> None:
    taps = Taps()
    one, named, _ = (taps(name, Doubling()) for name in ("one", "named", "never asked"))
    for rows in (1, 3):
        assert (one.run(np.ones((rows, 2))) == 2).all()
    assert (named.run_named({"a": np.ones((5, 2)), "b": np.ones(1)}, "b") == 2).all()
    assert one.backend == "ours"
    first, second = taps.calls()
    assert (first.name, first.backend, first.rows, first.work().flops) == ("one", "ours", 3, 3)
    assert np.shape(first.run()) == (3, 2)
    assert (second.name, second.rows, np.shape(second.run())) == ("named", 5, (1,))


def test_a_profile_holds_and_draws_it(tmp_path: Path) -> None:
    work = Work(10**9, 10**7)
    points = [point("engine", a_call(f"engine <{i}>", work), work, 0.02 * (i + 1), ROOF) for i in range(9)]
    found = profile_of({"a": [1.0]}, roofline=Roofline([ROOF], points), frame_us=[1.0, 2.0])
    results.write(found, tmp_path / "profile.json")
    assert results.read(tmp_path) == found
    page = report.page(found)
    assert page.count("<svg") == 1
    assert 'aria-label="Rooflines: GFLOP/s by FLOP/byte"' in page
    assert "engine &lt;8&gt;" in page
    assert "50.0%" in page
    assert "Rooflines" not in report.page(profile_of({"a": [1.0]}))
    copies = Work(0, 10**7)
    plain = Roofline([ROOF], [point("engine", a_call("copies", copies), copies, 0.02, ROOF)])
    page = report.page(profile_of({"a": [1.0]}, roofline=plain))
    assert "copies" in page
    assert "<svg" not in page, "no arithmetic has no place on a logarithm"


@pytest.mark.slow
def test_copies_and_products_are_measured() -> None:
    assert roof.copy_bandwidth("cpu", 0.0) > 1e7
    assert roof.one_core(0.0) > 1e8
