"""Checks of what runs networks: ONNX Runtime's providers, LiteRT, torch, TensorRT, and the GPU itself."""

from __future__ import annotations

import ctypes
import warnings
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

from stream.doctor.rows import Row, first_line, load, off_or_warn

IN_PIECES = "installed in pieces"
ORT = "pip install onnxruntime (or onnxruntime-gpu, never both)"
_PROVIDER_MENDS = {
    "CUDAExecutionProvider": "needs an NVIDIA driver, CUDA and cuDNN of the release onnxruntime-gpu names",
    "TensorrtExecutionProvider": "needs TensorRT 10 (libnvinfer.so.10) on the library path",
}


def onnxruntime() -> list[Row]:
    """One row for each provider, tried by a session: ONNX Runtime lists providers that cannot load."""
    ort, detail = load("onnxruntime", "onnxruntime")
    if ort is None:
        return [Row("ONNX Runtime", "missing", detail, ORT)]
    if not hasattr(ort, "InferenceSession"):
        return [Row("ONNX Runtime", "missing", IN_PIECES, f"pip uninstall both, then {ORT}")]
    rows = [Row("ONNX Runtime", "ok", detail)]
    for provider in ort.get_available_providers():
        if provider == "AzureExecutionProvider":
            continue  # calls a service, runs nothing here
        name = f"ORT {provider.removesuffix('ExecutionProvider')}"
        try:
            loaded = _session_providers(ort, provider)
            reason = "listed, but a session falls back to the CPU"
        except Exception as e:  # onnxruntime's own exceptions have no common base
            loaded, reason = [], first_line(e)
        if provider in loaded:
            rows.append(Row(name, "ok", "a session runs on it"))
        else:
            state = "missing" if provider == "CPUExecutionProvider" else "warn"
            rows.append(Row(name, state, reason, _PROVIDER_MENDS.get(provider, ORT)))  # type: ignore[arg-type]
    return rows


def _session_providers(ort: Any, provider: str) -> list[str]:
    options = ort.SessionOptions()
    options.log_severity_level = 4  # a provider that cannot load is our row, not a page on stderr
    session = ort.InferenceSession(relu_model(), options, providers=[provider])
    return list(session.get_providers())


def relu_model() -> bytes:
    """The smallest ONNX model: y = Relu(x), float32 [1]. Written by hand, for the `onnx` package is not needed else."""

    def field(number: int, value: bytes | int) -> bytes:
        if isinstance(value, int):
            return bytes([number << 3, value])
        return bytes([number << 3 | 2, len(value)]) + value

    shape = field(2, field(1, field(1, 1)))
    float_tensor = field(2, field(1, field(1, 1) + shape))
    node = field(1, b"x") + field(2, b"y") + field(4, b"Relu")
    graph = field(1, node) + field(2, b"g")
    graph += field(11, field(1, b"x") + float_tensor) + field(12, field(1, b"y") + float_tensor)
    return field(1, 8) + field(7, graph) + field(8, field(2, 13))  # IR version 8, opset 13


def litert() -> list[Row]:
    module, detail = load("ai_edge_litert.interpreter", "ai-edge-litert")
    if module is None:
        return [Row("LiteRT", "missing", detail, "pip install ai-edge-litert")]
    return [Row("LiteRT", "ok", detail)]


def load_torch() -> tuple[Any, str]:
    """torch and its version, or None and why not: as `load`, and where it is there without its parts."""
    module, detail = load("torch", "torch")
    return (module, detail) if module is None or hasattr(module, "nn") else (None, IN_PIECES)


def torch() -> list[Row]:
    module, detail = load_torch()
    if detail == IN_PIECES:
        return [Row("torch", "warn", detail, "install it anew (docs/sam2.md)")]
    if module is None:
        told = f"{detail}; profile sam2, GPU decoding and kernels need it"
        return [Row("torch", off_or_warn(detail), told, "pip install torch")]
    rows = [Row("torch", "ok", detail)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a driver that is too old warns, and is_available says the rest
        if module.cuda.is_available():
            names = [module.cuda.get_device_name(i) for i in range(module.cuda.device_count())]
            rows.append(Row("torch CUDA", "ok", f"CUDA {module.version.cuda}: {', '.join(names)}"))
        elif module.version.cuda:
            mend = "check `nvidia-smi`, and that the driver is new enough"
            rows.append(_no_cuda(f"built for CUDA {module.version.cuda}, no GPU found", mend))
        else:
            rows.append(_no_cuda("a CPU build", "install torch's CUDA build on a machine with a GPU"))
    return rows


def _no_cuda(detail: str, mend: str) -> Row:
    there = has_driver()
    return Row("torch CUDA", "warn" if there else "off", detail, mend if there else "")


def sam2() -> list[Row]:
    """The package, without which profile sam2 does not run; it is not imported, for that takes seconds."""
    if find_spec("sam2") is None:
        mend = "SAM2_BUILD_CUDA=0 pip install --no-deps --no-build-isolation sam2==1.1.0 (docs/sam2.md)"
        return [Row("sam2", "off", "not installed; only profile sam2 needs it", mend)]
    return [Row("sam2", "ok", version("sam2"))]


def tensorrt() -> list[Row]:
    module, detail = load("tensorrt", "tensorrt")
    if module is None:
        mend = "use the gpu image, or pip install tensorrt-cu13 where NVIDIA's index can be reached"
        return [Row("TensorRT", off_or_warn(detail), detail, mend)]
    return [Row("TensorRT", "ok", detail)]


def gpu() -> list[Row]:
    """The GPUs as their driver tells (NVML), whatever Python packages are there."""
    nvml = _nvml()
    if nvml is None:
        return [Row("GPU", "off", "no NVIDIA driver (libnvidia-ml.so.1)", "profile lite needs none")]
    if code := nvml.nvmlInit_v2():
        return [Row("GPU", "warn", f"the NVIDIA driver does not answer (NVML error {code})", "check `nvidia-smi`")]
    try:
        return _devices(nvml) or [Row("GPU", "warn", "a driver, but no GPU", "check `nvidia-smi`")]
    finally:
        nvml.nvmlShutdown()


def has_driver() -> bool:
    """Whether NVIDIA's driver is here: what wants a GPU is else merely off."""
    return _nvml() is not None


def _nvml() -> Any:
    try:
        return ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return None


def _devices(nvml: Any) -> list[Row]:
    text = ctypes.create_string_buffer(96)
    nvml.nvmlSystemGetDriverVersion(text, ctypes.c_uint(len(text)))
    driver = text.value.decode(errors="replace")
    count = ctypes.c_uint()
    nvml.nvmlDeviceGetCount_v2(ctypes.byref(count))
    rows = []
    for i in range(count.value):
        handle = ctypes.c_void_p()
        if nvml.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(i), ctypes.byref(handle)):
            rows.append(Row(f"GPU {i}", "warn", "cannot be reached", "check `nvidia-smi`"))
            continue
        nvml.nvmlDeviceGetName(handle, text, ctypes.c_uint(len(text)))
        memory = (ctypes.c_ulonglong * 3)()  # total, free, used
        nvml.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory))
        name, gib = text.value.decode(errors="replace"), memory[0] / 2**30
        rows.append(Row(f"GPU {i}", "ok", f"{name}, {gib:.0f} GiB, driver {driver}"))
    return rows
