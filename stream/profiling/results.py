"""What a profiling run found, as profile.json holds it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from engines.errors import UserError
from stream.profiling.record import Span

FORMAT = 1
BLOCKS = 12
"""Parts of a run that follow one another: how their medians differ is the run's own noise, slow drifts included."""


class Stage(msgspec.Struct, frozen=True):
    """Microseconds of its calls. share: of all stages' time. blocks: medians of `BLOCKS` parts of the run, in order."""

    name: str
    calls: int
    p50_us: float
    p95_us: float
    p99_us: float
    total_us: float
    share: float
    blocks: list[float]


class Load(msgspec.Struct, frozen=True):
    """Feeds that were offered as cameras do. held: whether they were followed in time. Latency from a chunk's last
    frame to its events, seconds."""

    feeds: int
    due: int
    done: int
    waiting: int
    frames_s: float
    p50_s: float
    p95_s: float
    p99_s: float
    held: bool
    latency_s: list[float]


class Moment(msgspec.Struct, frozen=True):
    """The machine at one time. Shares in [0, 1]; gpu_* are of the first GPU, None where there is none or it does not
    tell."""

    at_s: float
    resident_mb: float
    cores: float
    gpu_mb: float | None = None
    sm: float | None = None
    decoder: float | None = None
    watts: float | None = None


class Kernel(msgspec.Struct, frozen=True):
    name: str
    calls: int
    total_us: float
    share: float
    """Of the time that the GPU was busy."""


class GpuTime(msgspec.Struct, frozen=True):
    """Of a traced stretch: how much of it the GPU was busy, how long it waited between kernels, what was copied."""

    traced_us: float
    busy: float
    gaps: int
    gap_p50_us: float
    gap_p99_us: float
    to_device_bytes: int
    to_host_bytes: int
    frames: int
    kernels: list[Kernel]


class Roof(msgspec.Struct, frozen=True):
    """What a device (cpu, cuda) gives at most. gflops: of a large matrix product, by type: fp32, and tf32, bf16, fp16
    where they are quicker. gb_s: read and written by a large copy."""

    device: str
    gflops: dict[str, float]
    gb_s: float


class Point(msgspec.Struct, frozen=True):
    """A call of an engine or a kernel, alone. us: its median. intensity: FLOPs a byte. share: of what the roof allows
    at that intensity. bound: what the roof is made of there."""

    name: str
    kind: Literal["engine", "kernel"]
    backend: str
    device: str
    dtype: str
    rows: int
    flops: int
    moved_bytes: int
    us: float
    intensity: float
    gflops: float
    gb_s: float
    share: float
    bound: Literal["compute", "memory"]


class Roofline(msgspec.Struct, frozen=True):
    roofs: list[Roof]
    points: list[Point]


class Profile(msgspec.Struct, frozen=True):
    """One run. frames_s: of the saturated load, of all feeds together. rate: of the source, frames a second.
    joules_a_frame: of all GPUs; None where nobody tells. missing: what could not be measured here, and why.
    frame_us: microseconds a frame of all feeds in `BLOCKS` parts of the saturated load, in order; those of earlier
    releases have none, and no roofline."""

    format: int
    made_at: str
    source: str
    profile: str
    engines: list[str]
    size: tuple[int, int]
    rate: float
    feeds: int
    objects: int
    seconds: float
    lanes: int
    machine: dict[str, str]
    frames_s: float
    most_feeds: int
    stages: list[Stage]
    loads: list[Load]
    moments: list[Moment]
    gpu: GpuTime | None
    joules_a_frame: float | None
    batches: dict[str, dict[str, int]]
    missing: list[str]
    frame_us: list[float] = []
    roofline: Roofline | None = None


def stages(spans: Sequence[Span]) -> list[Stage]:
    """By stage, the one that takes most first."""
    by: dict[str, list[float]] = {}
    for span in spans:
        by.setdefault(span.stage, []).append(span.took_ns / 1000)
    total = sum(sum(values) for values in by.values()) or 1.0
    found = []
    for name, values in by.items():
        p50, p95, p99 = (float(p) for p in np.percentile(values, (50, 95, 99)))
        parts = np.array_split(values, min(BLOCKS, len(values)))
        blocks = [round(float(np.median(part)), 1) for part in parts]
        found.append(Stage(name, len(values), p50, p95, p99, sum(values), sum(values) / total, blocks))
    return sorted(found, key=lambda s: -s.total_us)


def frame_us(begun_s: float, done: Sequence[tuple[float, int]]) -> list[float]:
    """Of chunks done (when, frames), in order: microseconds a frame in parts of as many chunks, each from the end of
    the one before."""
    found = []
    for part in np.array_split(np.arange(len(done)), min(BLOCKS, len(done)) or 1):
        frames = sum(done[i][1] for i in part)
        if frames:
            ended_s = done[part[-1]][0]
            found.append(round((ended_s - begun_s) * 1e6 / frames, 1))
            begun_s = ended_s
    return found


def read(path: Path) -> Profile:
    """A profile.json, or the folder that holds one. Raises UserError where it is none."""
    file = path / "profile.json" if path.is_dir() else path
    try:
        found = msgspec.json.decode(file.read_bytes(), type=Profile)
    except OSError as e:
        raise UserError(f"{file}: {e.strerror}; strefer profile SOURCE --out DIR writes one") from None
    except msgspec.MsgspecError as e:
        raise UserError(f"{file} is no profile: {e}") from None
    if found.format != FORMAT:
        raise UserError(f"{file} has format {found.format}, this release reads {FORMAT}")
    return found


def write(profile: Profile, path: Path) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(profile), indent=1))
