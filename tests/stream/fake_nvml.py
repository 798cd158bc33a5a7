"""NVML as `nvidia-ml-py` has it, for two GPUs of which one tells little."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

from stream.gpu_metrics import Nvml


class NVMLError(Exception):
    pass


def module(*, driver: bool = True) -> ModuleType:
    made = ModuleType("pynvml")

    def init() -> None:
        if not driver:
            raise NVMLError("Driver Not Loaded")

    def only_first(value: Any) -> Any:
        def tell(index: int) -> Any:
            if index:
                raise NVMLError("Not Supported")
            return value

        return tell

    made.NVMLError = NVMLError  # type: ignore[attr-defined]
    made.nvmlInit = init  # type: ignore[attr-defined]
    made.nvmlDeviceGetCount = lambda: 2  # type: ignore[attr-defined]
    made.nvmlDeviceGetHandleByIndex = lambda i: i  # type: ignore[attr-defined]
    made.nvmlDeviceGetName = lambda i: b"Old" if i else "H200"  # type: ignore[attr-defined]
    made.nvmlDeviceGetMemoryInfo = lambda i: SimpleNamespace(used=1 << 30, total=4 << 30)  # type: ignore[attr-defined]
    made.nvmlDeviceGetUtilizationRates = only_first(SimpleNamespace(gpu=75, memory=20))  # type: ignore[attr-defined]
    made.nvmlDeviceGetDecoderUtilization = only_first([40, 1000])  # type: ignore[attr-defined]
    made.nvmlDeviceGetEncoderUtilization = only_first([5, 1000])  # type: ignore[attr-defined]
    made.nvmlDeviceGetPowerUsage = only_first(350_000)  # type: ignore[attr-defined]
    made.nvmlDeviceGetTotalEnergyConsumption = only_first(9_000)  # type: ignore[attr-defined]
    return made


def fake_nvml() -> Nvml:
    with mock.patch.dict(sys.modules, {"pynvml": module()}):
        return Nvml()
