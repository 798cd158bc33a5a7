"""The whole of a profiling run: load, warm up, measure, trace, and write what was found into a folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engines.lite import Lite
from engines.together import BatchCounts
from stream.chunk import ChunkHeader
from stream.gpu_metrics import Nvml, nvml
from stream.pipeline import Pipeline
from stream.profiling import kernel_calls, machine, report, results, trace
from stream.profiling.load import Loads, Measured
from stream.profiling.record import Recorder
from stream.profiling.results import GpuTime, Load, Moment, Profile
from stream.profiling.roofline import roofline
from stream.profiling.tape import Tape
from stream.profiling.taps import Taps
from stream.sam import Segments

HELD = 0.8
"""Share of the chunks due that must be done for a load to be held: of six chunks a feed, one may be under way."""
LEAST_CHUNKS = 6
"""Of a feed, that each offered load lasts for at least."""
WAITING = 2
"""Chunks of a feed that may wait at the end of a load that is held: the one in work, and the next."""
TRACED_S = 2.0
MOST_LOADS = 6
MOST_FRAMES = 8
"""That `preprocess` takes at once under the roof: a batch, however many feeds there are."""
Tell = Callable[[str, float, float], None]
"""Progress: (what is being done, seconds of it done, seconds in all)."""


@dataclass(frozen=True, slots=True)
class Asked:
    """feeds: of the saturated load, and the most that are offered; 0 finds out. objects: more than the source shows, of
    profile sam2, are followed besides; 0 is none. seconds: of each load, after `warm_s` of warm-up."""

    profile: str
    feeds: int = 0
    objects: int = 0
    seconds: float = 20.0
    warm_s: float = 3.0
    nvtx: bool = False


def profile(
    tape: Tape, asked: Asked, networks: Lite, segmenter: Segments | None, counts: BatchCounts, taps: Taps,
    out: Path, tell: Tell = lambda *_: None,
) -> Profile:  # fmt: skip
    """Measure, and write profile.json, profile.html and the traces into `out`, which is there. taps: were shown the
    networks."""
    library = nvml()
    recorder = Recorder(nvtx=asked.nvtx)
    pipeline = Pipeline(networks, segmenter=segmenter, stopwatch=recorder.stopwatch)
    quick = segmenter is not None and segmenter.quick
    feeds = asked.feeds or (8 if quick else 1)
    lanes = min(feeds, 8) if quick else min(feeds, 2)
    loads = Loads(tape, pipeline, lanes=lanes, warm_s=asked.warm_s)

    def progress(what: str, seconds: float) -> Callable[[float], None]:
        return lambda done_s: tell(what, min(done_s, seconds), seconds)

    whole_s = asked.warm_s + asked.seconds
    with machine.Sampler(library) as sampler:
        measured = loads.saturated(
            feeds, asked.seconds, warmed=recorder.begin, tell=progress(f"{feeds} feeds, all they can", whole_s)
        )
        spans = recorder.end()
    samples = [s for s in sampler.samples if s.at_s >= asked.warm_s]
    trace.write_stages(spans, out / "stages.trace.json.gz")
    gpu = _gpu(loads, feeds, out, progress("trace the GPU", asked.warm_s + TRACED_S)) if quick else None
    offered = _offered(loads, tape, asked, measured, progress)
    used = machine.joules(samples)
    width, height = tape.size
    roofs, unknown = roofline(
        [*taps.calls(), *(segmenter.calls() if segmenter is not None else [])],
        kernel_calls.calls((height, width), min(feeds, MOST_FRAMES), "cuda" if quick else "cpu"),
        lambda done: tell("rooflines", done, 1.0),
    )
    found = Profile(
        format=results.FORMAT,
        made_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        source=tape.name,
        profile=asked.profile,
        engines=_engines(pipeline, tape.chunks[0][0]),
        size=tape.size,
        rate=tape.rate,
        feeds=feeds,
        objects=asked.objects,
        seconds=measured.seconds,
        lanes=lanes,
        machine=machine.facts(library),
        frames_s=measured.frames_s,
        most_feeds=max((load.feeds for load in offered if load.held), default=0),
        stages=results.stages(spans),
        loads=offered,
        moments=[_moment(s) for s in sampler.samples],
        gpu=gpu,
        joules_a_frame=used / measured.frames if used is not None and measured.frames else None,
        batches={engine: {str(n): c for n, c in sizes.items()} for engine, sizes in counts.read().items()},
        missing=[*_missing(library, gpu, recorder), *unknown],
        frame_us=results.frame_us(measured.begun_s, measured.done),
        roofline=roofs,
    )
    results.write(found, out / "profile.json")
    (out / "profile.html").write_text(report.page(found), "utf-8")
    return found


def _offered(
    loads: Loads, tape: Tape, asked: Asked, measured: Measured,
    progress: Callable[[str, float], Callable[[float], None]],
) -> list[Load]:  # fmt: skip
    """Loads about as large as the saturated one lets expect: the largest that is held, and one that is not."""
    guess = max(1, int(measured.frames_s / tape.rate))
    most = asked.feeds or 10**6
    feeds, found = min(guess, most), list[Load]()
    seconds = max(asked.seconds, LEAST_CHUNKS * tape.lap_us / 1e6 / len(tape.chunks))
    while len(found) < MOST_LOADS and 1 <= feeds <= most and feeds not in [load.feeds for load in found]:
        tell = progress(f"{feeds} feeds as cameras send", asked.warm_s + seconds)
        one = _load(loads.offered(feeds, seconds, tell=tell))
        found.append(one)
        feeds += 1 if one.held else -1
    return sorted(found, key=lambda load: load.feeds)


def _load(m: Measured) -> Load:
    latency = m.latency_s or [0.0]
    p50, p95, p99 = (float(p) for p in np.percentile(latency, (50, 95, 99)))
    third = max(1, len(m.latency_s) // 3)
    early, late = (float(np.median(part)) for part in (m.latency_s[:third] or latency, m.latency_s[-third:] or latency))
    grows = late - early >= max(0.5, 0.5 * early)
    held = bool(m.latency_s) and m.waiting <= WAITING * m.feeds and m.chunks >= HELD * m.due and not grows
    kept = [round(v, 4) for v in m.latency_s]
    return Load(m.feeds, m.due, m.chunks, m.waiting, m.frames_s, p50, p95, p99, held, kept)


def _gpu(loads: Loads, feeds: int, out: Path, tell: Callable[[float], None]) -> GpuTime | None:
    """A few seconds under PyTorch's profiler, on a load of their own: it takes time itself."""
    from torch.profiler import ProfilerActivity, profile

    path = out / "gpu.trace.json"
    running: Any = profile(activities=[ProfilerActivity.CUDA])
    measured = loads.saturated(feeds, TRACED_S, warmed=running.start, tell=tell)
    running.stop()
    running.export_chrome_trace(str(path))
    return trace.gpu_time(path, measured.frames)


def _engines(pipeline: Pipeline, header: ChunkHeader) -> list[str]:
    return [f"{e.name} ({e.backend})" for e in pipeline.start(header).engines]


def _moment(s: machine.Sample) -> Moment:
    at_s, resident_mb, cores = round(s.at_s, 2), round(s.resident_bytes / 1e6, 1), round(s.cores, 2)
    if not s.gpus:
        return Moment(at_s, resident_mb, cores)
    gpu = s.gpus[0]
    return Moment(at_s, resident_mb, cores, gpu.used_bytes / 1e6, gpu.sm, gpu.decoder, gpu.watts)


def _missing(library: Nvml | None, gpu: GpuTime | None, recorder: Recorder) -> list[str]:
    lines = []
    if library is None:
        lines.append("GPU use, memory, power and energy: NVML is not here (no GPU, or no nvidia-ml-py)")
    if gpu is None:
        lines.append("GPU kernels, gaps and bytes copied: nothing ran on a GPU")
    if recorder.full:
        lines.append("the last calls of stages: there were more than are kept")
    return lines


def held(found: Profile) -> str:
    """How many feeds, and whether it may be more: none that was offered was too many."""
    if not found.most_feeds:
        return f"not one feed ({found.frames_s:.3g} of its frames a second)"
    many = "1 feed" if found.most_feeds == 1 else f"{found.most_feeds} feeds"
    return many if any(not load.held for load in found.loads) else f"{many} or more"


def summary(found: Profile) -> Sequence[str]:
    """The run in a few lines."""
    width, height = found.size
    load = next((one for one in reversed(found.loads) if one.held), None)
    lines = [
        f"{found.frames_s:.1f} frames/s of {width}x{height} over {found.feeds} feed(s), {found.profile}",
        f"held in real time: {held(found)} of {found.rate:.3g} frames/s"
        + (f", p50/p95/p99 {load.p50_s:.2f}/{load.p95_s:.2f}/{load.p99_s:.2f} s after a chunk's end" if load else ""),
    ]
    return [*lines, *(f"not measured: {line}" for line in found.missing)]
