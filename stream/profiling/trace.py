"""Traces that Perfetto (ui.perfetto.dev) and chrome://tracing open, and what a trace of PyTorch's says of the GPU."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from stream.profiling.record import Span
from stream.profiling.results import GpuTime, Kernel

TOP = 15
"""Kernels that are told by name."""


class TraceEvent(msgspec.Struct, omit_defaults=True):
    """One event of Chrome's trace format. Times are microseconds; `ph` X is one with a duration."""

    name: str = ""
    ph: str = "X"
    ts: float = 0.0
    dur: float = 0.0
    pid: int | str = 0
    tid: int | str = 0
    cat: str = ""
    args: dict[str, object] = msgspec.field(default_factory=dict)


class Trace(msgspec.Struct):
    trace_events: list[TraceEvent] = msgspec.field(name="traceEvents", default_factory=list)


def write_stages(spans: Sequence[Span], path: Path) -> None:
    """The stages of every thread, gzipped JSON."""
    begun_ns = min((s.begun_ns for s in spans), default=0)
    events = [
        TraceEvent(s.stage, ts=(s.begun_ns - begun_ns) / 1000, dur=s.took_ns / 1000, pid=1, tid=s.thread, cat="stage")
        for s in spans
    ]
    path.write_bytes(gzip.compress(msgspec.json.encode(Trace(events)), 6))


def gpu_time(path: Path, frames: int) -> GpuTime | None:
    """What a trace of torch.profiler says of the GPU; None where no kernel ran. frames: followed meanwhile."""
    data = path.read_bytes()
    trace = msgspec.json.decode(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data, type=Trace)
    kernels = [e for e in trace.trace_events if e.ph == "X" and e.cat == "kernel"]
    copies = [e for e in trace.trace_events if e.ph == "X" and e.cat == "gpu_memcpy"]
    if not kernels:
        return None
    work = sorted((e.ts, e.ts + e.dur) for e in (*kernels, *copies))
    begun, ended, busy, gaps = work[0][0], work[0][1], 0.0, list[float]()
    since = begun
    for start, end in work[1:]:
        if start > ended:
            busy += ended - since
            gaps.append(start - ended)
            since = start
        ended = max(ended, end)
    busy += ended - since
    p50, p99 = (float(p) for p in np.percentile(gaps, (50, 99))) if gaps else (0.0, 0.0)
    return GpuTime(
        traced_us=ended - begun,
        busy=busy / (ended - begun),
        gaps=len(gaps),
        gap_p50_us=p50,
        gap_p99_us=p99,
        to_device_bytes=_bytes(copies, "HtoD"),
        to_host_bytes=_bytes(copies, "DtoH"),
        frames=frames,
        kernels=_top(kernels),
    )


def _bytes(copies: Sequence[TraceEvent], way: str) -> int:
    sizes = [e.args.get("bytes") for e in copies if way in e.name]
    return sum(size for size in sizes if isinstance(size, int))


def _top(kernels: Sequence[TraceEvent]) -> list[Kernel]:
    by: dict[str, list[float]] = {}
    for e in kernels:
        by.setdefault(e.name, []).append(e.dur)
    total = sum(e.dur for e in kernels)
    found = [Kernel(name[:120], len(took), sum(took), sum(took) / total) for name, took in by.items()]
    return sorted(found, key=lambda k: -k.total_us)[:TOP]
