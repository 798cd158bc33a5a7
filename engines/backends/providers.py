"""Which ONNX Runtime providers to try, in which order, with which options. Policy only: imports no onnxruntime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engines.spec import EngineSpec

CPU, CUDA, TENSORRT, RTX = (
    "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider", "NvTensorRTRTXExecutionProvider",
)  # fmt: skip
ORDER = {"tensorrt": TENSORRT, "tensorrt-rtx": RTX, "cuda": CUDA, "cpu": CPU}
"""Short name -> provider, best first. TensorRT-RTX is a plugin of its own package, for RTX cards."""
MENDS = {
    TENSORRT: "pip install onnxruntime-gpu in place of onnxruntime, and TensorRT's libraries (libnvinfer)",
    RTX: "pip install onnxruntime-ep-nv-tensorrt-rtx, beside the plain onnxruntime; it needs an RTX card",
    CUDA: "pip install onnxruntime-gpu in place of onnxruntime, with CUDA and cuDNN of the release that it names",
    CPU: "pip install onnxruntime",
}

Option = tuple[str, dict[str, str]]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One session to try. providers: with their options, the first being what is wanted; `plugin`: it is registered
    and added by device, not by name."""

    wanted: str
    providers: tuple[Option, ...]
    plugin: bool = False


def attempts(spec: EngineSpec, wanted: Sequence[str], cache: Path | None, device: int) -> tuple[Attempt, ...]:
    """The sessions to try in turn for these short names; each may leave what it cannot run to CUDA and the CPU.

    Raises ValueError for a name that is none."""
    unknown = [name for name in wanted if name not in ORDER]
    if unknown or not wanted:
        raise ValueError(f"no provider {', '.join(unknown)}; there are {', '.join(ORDER)}")
    at = {"device_id": str(device)}
    rest: tuple[Option, ...] = ((CUDA, at), (CPU, {}))
    found = []
    for name in sorted(wanted, key=list(ORDER).index):
        if name == "tensorrt":
            found.append(Attempt(TENSORRT, ((TENSORRT, at | tensorrt_options(spec, cache)), *rest)))
        elif name == "tensorrt-rtx":
            found.append(Attempt(RTX, ((RTX, profile(spec, "nv")),), plugin=True))
        elif name == "cuda":
            found.append(Attempt(CUDA, rest))
        else:
            found.append(Attempt(CPU, ((CPU, {}),)))
    return tuple(found)


def tensorrt_options(spec: EngineSpec, cache: Path | None) -> dict[str, str]:
    """Engine and timing cache in a folder of this network's weights (TensorRT itself keys by GPU and version), and the
    range of every dynamic axis."""
    options = profile(spec, "trt")
    if cache is not None:
        folder = str(cache / f"ort-tensorrt-{spec.weights[:16]}")
        options |= {"trt_engine_cache_enable": "1", "trt_engine_cache_path": folder}
        options |= {"trt_timing_cache_enable": "1", "trt_timing_cache_path": folder}
    return options


def profile(spec: EngineSpec, prefix: str) -> dict[str, str]:
    """`PREFIX_profile_min_shapes` and so on: input:AxBxC of every input, where any axis is dynamic."""
    if not spec.axes:
        return {}
    out = {}
    for i, part in enumerate(("min", "opt", "max")):
        sizes = {axis.name: axis.sizes[i] for axis in spec.axes}
        shapes = (f"{t.name}:{'x'.join(map(str, t.sized(sizes)))}" for t in spec.inputs)
        out[f"{prefix}_profile_{part}_shapes"] = ",".join(shapes)
    return out
