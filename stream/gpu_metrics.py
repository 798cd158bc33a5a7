"""What NVIDIA's management library (NVML) tells of the GPUs, for Prometheus and for a profiling run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU now. Shares are in [0, 1], of NVML's last sampling period; None where this GPU does not tell."""

    index: int
    name: str
    used_bytes: int
    total_bytes: int
    sm: float | None = None
    decoder: float | None = None
    encoder: float | None = None
    watts: float | None = None
    joules: float | None = None
    """Since the driver was loaded."""


class Nvml:
    """`gpus` asks all GPUs of this machine. Raises ImportError or OSError where there is no library or no driver."""

    def __init__(self) -> None:
        import pynvml

        self._nvml: Any = pynvml
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as e:
            raise OSError(f"NVML does not start: {e}") from None

    def gpus(self) -> list[Gpu]:
        return [self._one(i) for i in range(self._nvml.nvmlDeviceGetCount())]

    def _one(self, index: int) -> Gpu:
        nvml = self._nvml
        device = nvml.nvmlDeviceGetHandleByIndex(index)
        memory, name = nvml.nvmlDeviceGetMemoryInfo(device), nvml.nvmlDeviceGetName(device)

        def told(ask: str, scale: float, *field: Any) -> float | None:
            with contextlib.suppress(nvml.NVMLError):  # not every GPU tells everything; under MIG nearly none does
                found = getattr(nvml, ask)(device)
                for part in field:
                    found = getattr(found, part) if isinstance(part, str) else found[part]
                return float(found) * scale
            return None

        return Gpu(
            index, name.decode() if isinstance(name, bytes) else name, int(memory.used), int(memory.total),
            sm=told("nvmlDeviceGetUtilizationRates", 0.01, "gpu"),
            decoder=told("nvmlDeviceGetDecoderUtilization", 0.01, 0),
            encoder=told("nvmlDeviceGetEncoderUtilization", 0.01, 0),
            watts=told("nvmlDeviceGetPowerUsage", 0.001),
            joules=told("nvmlDeviceGetTotalEnergyConsumption", 0.001),
        )  # fmt: skip


def nvml() -> Nvml | None:
    """NVML, None where there is none (no GPU, or `nvidia-ml-py` of the extra `gpu` is not installed)."""
    try:
        return Nvml()
    except (ImportError, OSError):
        return None


class GpuMetrics(Collector):
    def __init__(self, library: Nvml) -> None:
        self._nvml = library

    def collect(self) -> Iterator[Metric]:
        gpus = self._nvml.gpus()
        used = GaugeMetricFamily("strefer_gpu_memory_bytes", "GPU memory.", labels=["gpu", "name", "kind"])
        busy = GaugeMetricFamily(
            "strefer_gpu_busy_ratio", "Share of time that a part of the GPU was busy: sm, decoder, encoder.",
            labels=["gpu", "part"],
        )  # fmt: skip
        watts = GaugeMetricFamily("strefer_gpu_power_watts", "What the GPU takes.", labels=["gpu"])
        for gpu in gpus:
            used.add_metric([str(gpu.index), gpu.name, "used"], gpu.used_bytes)
            used.add_metric([str(gpu.index), gpu.name, "total"], gpu.total_bytes)
            for part, share in (("sm", gpu.sm), ("decoder", gpu.decoder), ("encoder", gpu.encoder)):
                if share is not None:
                    busy.add_metric([str(gpu.index), part], share)
            if gpu.watts is not None:
                watts.add_metric([str(gpu.index)], gpu.watts)
        yield from (used, busy, watts)
