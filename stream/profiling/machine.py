"""The machine beside the load: what it is, and its memory and GPU through time."""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from engines.versions import installed
from stream.gpu_metrics import Gpu, Nvml

PACKAGES = (
    "strefer-stream", "numpy", "opencv-python-headless", "onnxruntime", "onnxruntime-gpu", "ai-edge-litert", "av",
    "torch", "triton", "tensorrt", "nvidia-dali-cuda130", "sam2",
)  # fmt: skip


def facts(library: Nvml | None = None) -> dict[str, str]:
    """Processor, GPUs, system and versions, by name."""
    told = {
        "processor": f"{_processor()}, {len(os.sched_getaffinity(0))} cores to use",
        "load": f"{os.getloadavg()[0]:.1f}",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "gpu": ", ".join(f"{g.name} ({g.total_bytes / 2**30:.0f} GB)" for g in library.gpus()) if library else "none",
    }
    return told | {package: release for package in PACKAGES if (release := installed(package))}


def resident_bytes() -> int:
    """Resident memory of this process now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Sample:
    """One look. cores: processor time that this process has taken since the look before, in cores."""

    at_s: float
    resident_bytes: int
    cores: float
    gpus: tuple[Gpu, ...] = ()


@dataclass(slots=True)
class Sampler:
    """Samples every `every_s` while its block is entered."""

    library: Nvml | None
    every_s: float = 0.2
    samples: list[Sample] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Sampler:
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        assert self._thread is not None
        self._thread.join()

    def _run(self) -> None:
        begun, last, used = time.monotonic(), time.monotonic(), time.process_time()
        while not self._over.wait(self.every_s):
            now, now_used = time.monotonic(), time.process_time()
            gpus = tuple(self.library.gpus()) if self.library is not None else ()
            self.samples.append(Sample(now - begun, resident_bytes(), (now_used - used) / (now - last), gpus))
            last, used = now, now_used


def joules(samples: Sequence[Sample]) -> float | None:
    """What all GPUs took from the first sample to the last; None where they do not tell."""
    if len(samples) < 2 or not samples[0].gpus:
        return None
    pairs = [(a.joules, b.joules) for a, b in zip(samples[0].gpus, samples[-1].gpus, strict=True)]
    known = [(a, b) for a, b in pairs if a is not None and b is not None]
    return sum(b - a for a, b in known) if known else None


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
