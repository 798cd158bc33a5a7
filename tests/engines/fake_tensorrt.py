"""A recorded fake of TensorRT's Python API, 10.x and 11.x, for control flow only: a network is y = 2 x on host memory.

Names are those of the bindings of 10.16.1.11 and 11.4.0.106 (wheels tensorrt-cu13-bindings, read, not run: they need
libraries that are not on PyPI). 11 has no weakly typed networks, precision flags or calibrators: no FP16 there.
Every call goes into `calls`.
"""

from __future__ import annotations

import ctypes
import enum
import json
import math
import types
from pathlib import Path
from typing import Any


class Severity(enum.Enum):
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)


class ILogger:
    def log(self, severity: Severity, message: str) -> None:
        raise NotImplementedError


ILogger.Severity = Severity  # type: ignore[attr-defined]


class IProgressMonitor:
    pass


class TensorIOMode(enum.Enum):
    NONE, INPUT, OUTPUT = range(3)


class TensorLocation(enum.Enum):
    DEVICE, HOST = range(2)


def module(version: str, **faults: Any) -> types.ModuleType:
    """The fake as a module. faults: what goes wrong (parse, plan, profile, names, dtype, host, context, execute)."""
    trt = types.ModuleType("tensorrt")
    calls: list[tuple[Any, ...]] = []
    trt.calls, trt.__version__ = calls, version  # type: ignore[attr-defined]
    major = int(version.partition(".")[0])
    trt.ILogger, trt.IProgressMonitor = ILogger, IProgressMonitor  # type: ignore[attr-defined]
    trt.TensorIOMode, trt.TensorLocation = TensorIOMode, TensorLocation  # type: ignore[attr-defined]
    for kind in ("float32", "float16", "bfloat16", "int64", "int32", "uint8", "bool"):
        setattr(trt, kind, f"DataType.{kind}")
    typed = {"EXPLICIT_BATCH": 0, "STRONGLY_TYPED": 1} if major < 11 else {"STRONGLY_TYPED": 1}
    trt.NetworkDefinitionCreationFlag = enum.IntEnum("NetworkDefinitionCreationFlag", typed)  # type: ignore[attr-defined]
    flags = ["TF32", "REFIT"] + (["FP16", "INT8"] if major < 11 else [])
    trt.BuilderFlag = enum.IntEnum("BuilderFlag", flags)  # type: ignore[attr-defined]
    trt.MemoryPoolType = enum.IntEnum("MemoryPoolType", ["WORKSPACE"])  # type: ignore[attr-defined]

    class TimingCache:
        def __init__(self, data: bytes) -> None:
            self.data = data

        def serialize(self) -> memoryview:
            return memoryview(self.data)

    class Profile:
        def __init__(self) -> None:
            self.shapes: dict[str, Any] = {}

        def set_shape(self, input: str, min: Any, opt: Any, max: Any) -> None:
            calls.append(("set_shape", input, min, opt, max))
            self.shapes[input] = (min, opt, max)

    class Config:
        def __init__(self) -> None:
            self.progress_monitor: Any = None
            self.builder_optimization_level = 3
            self.profiles: list[Profile] = []
            self.cache: TimingCache | None = None

        def set_memory_pool_limit(self, pool: Any, size: int) -> None:
            calls.append(("pool", pool.name, size))

        def clear_flag(self, flag: Any) -> None:
            calls.append(("clear_flag", flag.name))

        def create_timing_cache(self, data: bytes) -> TimingCache | None:
            return None if data == b"damaged" else TimingCache(data)

        def set_timing_cache(self, cache: TimingCache, ignore_mismatch: bool) -> bool:
            calls.append(("set_timing_cache", cache.data, ignore_mismatch))
            if cache.data == b"of another GPU":
                return False
            self.cache = cache
            return True

        def get_timing_cache(self) -> TimingCache | None:
            return self.cache

        def add_optimization_profile(self, profile: Profile) -> int:
            self.profiles.append(profile)
            return -1 if faults.get("profile") else len(self.profiles) - 1

    class Builder:
        def __init__(self, log: ILogger) -> None:
            self._log = log

        def create_network(self, flags: int = 0) -> dict[str, Any]:
            calls.append(("create_network", flags))
            return {}

        def create_builder_config(self) -> Config:
            return Config()

        def create_optimization_profile(self) -> Profile:
            return Profile()

        def build_serialized_network(self, network: dict[str, Any], config: Config) -> memoryview | None:
            if faults.get("plan"):
                self._log.log(Severity.WARNING, "only a warning")
                self._log.log(Severity.ERROR, "no implementation\nfor node Foo")
                return None
            if config.progress_monitor is not None:
                config.progress_monitor.phase_start("building", None, 2)
                going = [config.progress_monitor.step_complete("building", i) for i in range(2)]
                config.progress_monitor.phase_finish("building")
                calls.append(("progress", going))
            assert config.cache is not None
            config.cache.data += b"+learnt"
            calls.append(("build", config.builder_optimization_level))
            return memoryview(json.dumps({"version": version, "of": network["of"]}).encode())

    class Parser:
        num_errors = 1

        def __init__(self, network: dict[str, Any], log: ILogger) -> None:
            self._network = network

        def parse_from_file(self, path: str) -> bool:
            self._network["of"] = Path(path).name
            return not faults.get("parse")

        def get_error(self, index: int) -> str:
            return "node 7:\n no such operator"

    class Context:
        def __init__(self) -> None:
            self.shapes: dict[str, tuple[int, ...]] = {}
            self.addresses: dict[str, int] = {}

        def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
            self.shapes[name] = shape
            return name == "x"

        def set_tensor_address(self, name: str, memory: int) -> bool:
            self.addresses[name] = memory
            return True

        def infer_shapes(self) -> list[str]:
            return [] if "x" in self.shapes else ["x"]

        def get_tensor_shape(self, name: str) -> tuple[int, ...]:
            return self.shapes["x"]

        def execute_async_v3(self, stream_handle: int) -> bool:
            calls.append(("execute", id(self), stream_handle, self.shapes["x"]))
            if faults.get("execute"):
                return False
            kind = ctypes.c_float * math.prod(self.shapes["x"])
            x, y = kind.from_address(self.addresses["x"]), kind.from_address(self.addresses["y"])
            for i, value in enumerate(x):
                y[i] = 2 * value
            return True

    class Engine:
        num_io_tensors = 2

        def get_tensor_name(self, index: int) -> str:
            return faults.get("names", ("x", "y"))[index]  # type: ignore[no-any-return]

        def get_tensor_mode(self, name: str) -> TensorIOMode:
            return TensorIOMode.INPUT if name == "x" else TensorIOMode.OUTPUT

        def get_tensor_dtype(self, name: str) -> str:
            return f"DataType.{faults.get('dtype', 'float32')}"

        def get_tensor_location(self, name: str) -> TensorLocation:
            return TensorLocation.HOST if faults.get("host") else TensorLocation.DEVICE

        def create_execution_context(self) -> Context | None:
            calls.append(("context",))
            return None if faults.get("context") else Context()

    class Runtime:
        def __init__(self, log: ILogger) -> None:
            self._log = log

        def deserialize_cuda_engine(self, plan: bytes) -> Engine | None:
            if plan.startswith(b'{"version": "%s"' % version.encode()):
                return Engine()
            self._log.log(Severity.ERROR, "serialized with another version")
            return None

    trt.Builder, trt.OnnxParser, trt.Runtime = Builder, Parser, Runtime  # type: ignore[attr-defined]
    return trt
