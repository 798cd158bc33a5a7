"""The roofline of each engine and kernel: what it reaches of what its machine gives for its arithmetic and its bytes.

Source: Williams, Waterman, Patterson, Roofline: an insightful visual performance model, CACM 52 (4), 2009. A call of F
FLOPs that moves B bytes takes at least the longer of F / peak and B / bandwidth; which of them it is bounds it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from subprocess import SubprocessError
from typing import Literal

from engines.errors import UserError, first_line
from engines.timing import measure
from engines.work import Call, Work
from stream.profiling import roof
from stream.profiling.results import Point, Roof, Roofline

SECONDS = 0.5
"""How long each is called, and five times at least."""
WIDE = {"fp32": "tf32"}
"""What cuDNN and ONNX Runtime compute float32 tensors in, on a GPU."""
_FAILURES = (UserError, RuntimeError, MemoryError, OSError, ValueError, SubprocessError)
"""Of one call or roof; the run that was measured is not to be lost for it. A GPU without memory left is PyTorch's
RuntimeError."""
HEADS = (
    "engine or kernel", "runs on", "rows", "GFLOP", "MB", "FLOP/byte", "ms", "GFLOP/s", "GB/s", "of its roof",
    "bound by",
)  # fmt: skip


def roofline(
    engines: Sequence[Call], kernels: Sequence[Call], tell: Callable[[float], None] = lambda _: None
) -> tuple[Roofline, list[str]]:
    """Each call measured alone, against the roof of its device; and a line for each that cannot be. tell: progress, in
    [0, 1]."""
    roofs: dict[str, Roof] = {}
    points, missing = list[Point](), list[str]()
    kinds: list[tuple[Literal["engine", "kernel"], Call]] = [
        *(("engine", call) for call in engines), *(("kernel", call) for call in kernels),
    ]  # fmt: skip
    for i, (kind, call) in enumerate(kinds):
        tell(i / len(kinds))
        try:
            work = call.work()
            seconds = _seconds(call, work.device, on_device=kind == "kernel")
            if work.device not in roofs:
                roofs[work.device] = roof.measure(work.device)
        except ImportError as e:
            missing.append(f"roofline of {call.name}: {e.name} is not installed: pip install '.[sam2]'")
            continue
        except _FAILURES as e:
            missing.append(f"roofline of {call.name}: {first_line(e)}")
            continue
        points.append(point(kind, call, work, seconds, roofs[work.device]))
    tell(1.0)
    return Roofline(list(roofs.values()), points), missing


def point(kind: Literal["engine", "kernel"], call: Call, work: Work, seconds: float, device: Roof) -> Point:
    """A call that took `seconds`, under a roof."""
    wide = kind == "engine" and device.device == "cuda"
    dtype = WIDE.get(work.dtype, work.dtype) if wide else work.dtype
    peak = device.gflops.get(dtype, device.gflops["fp32"]) * 1e9
    by_compute, by_memory = work.flops / peak, work.moved_bytes / (device.gb_s * 1e9)
    return Point(
        name=call.name,
        kind=kind,
        backend=call.backend,
        device=work.device,
        dtype=dtype,
        rows=call.rows,
        flops=work.flops,
        moved_bytes=work.moved_bytes,
        us=seconds * 1e6,
        intensity=work.flops / work.moved_bytes,
        gflops=work.flops / seconds / 1e9,
        gb_s=work.moved_bytes / seconds / 1e9,
        share=max(by_compute, by_memory) / seconds,
        bound="compute" if by_compute > by_memory else "memory",
    )


def _seconds(call: Call, device: str, *, on_device: bool) -> float:
    """The median call. on_device: of a GPU's own time, without the host's."""
    if device == "cpu":
        return measure(call.run, seconds=SECONDS).median_ms / 1e3
    if on_device:
        return roof.device_seconds([call.run])
    from engines.backends.torch_backend import wait

    return measure(call.run, seconds=SECONDS, wait=lambda: wait(device)).median_ms / 1e3


def told(roof: Roof) -> str:
    """A roof in one line."""
    peaks = ", ".join(f"{kind} products {gflops:,.0f} GFLOP/s" for kind, gflops in roof.gflops.items())
    return f"{roof.device}: {peaks}, copies {roof.gb_s:,.1f} GB/s"


def cells(p: Point) -> tuple[str, ...]:
    """A row of a table of `HEADS`."""
    return (
        p.name, f"{p.backend} {p.dtype}", str(p.rows), f"{p.flops / 1e9:.3g}", f"{p.moved_bytes / 1e6:.3g}",
        f"{p.intensity:.3g}", f"{p.us / 1e3:.2f}", f"{p.gflops:.3g}", f"{p.gb_s:.3g}", f"{p.share:.1%}", p.bound,
    )  # fmt: skip
