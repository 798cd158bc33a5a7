"""What a benchmark ran on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("numpy", "opencv-python-headless", "onnxruntime", "ai-edge-litert", "av")


def facts() -> dict[str, str]:
    """Machine and versions, by name."""
    return {
        "processor": f"{_processor()}, {len(os.sched_getaffinity(0))} cores to use, load {os.getloadavg()[0]:.1f}",
        "software": f"Python {platform.python_version()}, " + ", ".join(f"{p} {_version(p)}" for p in PACKAGES),
    }


def resident_mb() -> float:
    """Resident memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"
