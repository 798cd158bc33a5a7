"""From a network and a backend's name to an engine that runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engines import building
from engines.backends import Engine, Session
from engines.backends.shared import SharedSession
from engines.cache import Cache
from engines.errors import UserError
from engines.networks import Network
from engines.together import BatchCounts
from engines.work import Tap, as_it_is

TORCH = ("torch", "torch-compile", "torch-cuda-graph", "torch-compile-cuda-graph")
ORT = ("onnxruntime", "onnxruntime-tensorrt", "onnxruntime-tensorrt-rtx", "onnxruntime-cuda", "onnxruntime-cpu")
BACKENDS = (*TORCH, *ORT, "litert", "tensorrt")
PRECISIONS = ("fp32", "fp16", "bf16", "int8")
_ON_CPU = ("onnxruntime-cpu", "litert")


@dataclass(frozen=True, slots=True)
class How:
    """backend: one of BACKENDS; `onnxruntime` takes the best of the device's providers that runs. precision: of torch
    fp32, fp16, bf16 (autocast), of ONNX files fp32, fp16, int8. device: cpu, cuda, cuda:1; what is asked for on a GPU
    never runs beside it. threads: of a CPU backend."""

    backend: str
    precision: str = "fp32"
    device: str = "cpu"
    threads: int = 2

    def __post_init__(self) -> None:
        if self.backend not in BACKENDS:
            raise ValueError(f"backend {self.backend!r}, wanted one of {', '.join(BACKENDS)}")
        if not re.fullmatch(r"cpu|cuda(:\d+)?", self.device):
            raise UserError(f"--device {self.device!r}: there are cpu, cuda and cuda:N")
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision {self.precision!r}, wanted one of {', '.join(PRECISIONS)}")

    @property
    def index(self) -> int:
        """Number of the CUDA device."""
        return int(self.device.partition(":")[2] or 0)


def candidates(network: Network, precision: str, device: str) -> list[str]:
    """The backends that a network's forms and this precision allow, best known first; whether each is installed only
    `open_engine` tells."""
    on_gpu = device != "cpu"
    found = [b for b in TORCH if "graph" not in b or on_gpu] if network.module and precision != "int8" else []
    if (network.module or network.onnx) and precision != "bf16":
        found.append("onnxruntime")
    if network.tflite and precision == "fp32" and not on_gpu:
        found.append("litert")
    if (network.module or network.onnx) and precision != "bf16":
        found.append("tensorrt")
    return found


def open_engine(
    network: Network, how: How, cache: Cache, *, say: building.Say = lambda line: None,
    progress: building.Steps | None = None,
) -> Engine:  # fmt: skip
    """The engine, its files built into the cache where they are not there yet.

    Raises UserError in one line where the network has no form for the backend, or what runs it is missing."""
    if how.backend in _ON_CPU and how.device != "cpu":
        raise UserError(f"{how.backend} runs on the CPU: take --device cpu")
    if how.backend in TORCH:
        return _torch(network, how)
    if how.backend == "litert":
        return _litert(network, how)
    if how.backend == "tensorrt":
        return _tensorrt(network, how, cache, say, progress)
    return _ort(network, how, cache, say)


def shared(
    networks: Sequence[Network], how: How, cache: Cache, counts: BatchCounts | None = None, tap: Tap = as_it_is
) -> Callable[[str], Session]:
    """A way to open a network of one input as a session in which what several feeds ask at the same time is one batch.

    tap: is shown the engines. Raises UserError where there is no network of that name, or `how` does not run it."""
    known = {network.name: network for network in networks}

    def open_(name: str) -> Session:
        network = known.get(name)
        if network is None or network.onnx is None or not network.spec.batch:
            raise UserError(f"{name} runs on the CPU, one by one: it has no ONNX form here that takes batches")
        try:
            return SharedSession(tap(name, open_engine(network, how, cache)), counts)
        except UserError as e:
            raise UserError(f"{name} runs on the CPU, one by one: {e}") from None

    return open_


def reference(network: Network, how: How) -> tuple[Engine, bool]:
    """What other backends are held to, at fp32: the torch module, the ONNX file as it came on the CPU, or the TFLite
    file; and whether it takes one row at a time only."""
    if network.module is not None:
        return _torch(network, How("torch", device=how.device)), False
    if network.onnx is not None:
        from engines.backends.ort import OrtEngine

        return OrtEngine(network.spec, network.onnx, providers=("cpu",), threads=how.threads), True
    return _litert(network, How("litert")), False


def _torch(network: Network, how: How) -> Engine:
    if network.module is None:
        raise UserError(f"{network.name} has no torch form: take onnxruntime, litert or tensorrt")
    if how.precision == "int8":
        raise UserError("torch runs fp32, fp16 and bf16 here: for int8 take onnxruntime or tensorrt")
    try:
        from engines.backends.torch_backend import TorchEngine
    except ImportError:
        raise UserError("torch is not installed: pip install '.[sam2]' (or [gpu])") from None
    return TorchEngine(
        network.spec, network.module(), device=how.device, compiled="compile" in how.backend,
        graphs="graph" in how.backend, autocast="" if how.precision == "fp32" else how.precision,
    )  # fmt: skip


def _litert(network: Network, how: How) -> Engine:
    from engines.backends.litert import LiteRtEngine

    if network.tflite is None:
        raise UserError(f"{network.name} has no TFLite form here: take onnxruntime")
    if how.precision != "fp32":
        raise UserError(f"{network.tflite} is fp32, and LiteRT runs it as it is: take onnxruntime for {how.precision}")
    return LiteRtEngine(network.spec, network.tflite, threads=how.threads)


def _ort(network: Network, how: How, cache: Cache, say: building.Say) -> Engine:
    from engines.backends.ort import OrtEngine
    from engines.backends.providers import ORDER

    on_gpu = how.device != "cpu"
    name = how.backend.removeprefix("onnxruntime").removeprefix("-")
    if name not in ("", "cpu") and not on_gpu:
        raise UserError(f"{how.backend} wants a CUDA device: add --device cuda")
    wanted = (name,) if name else tuple(p for p in ORDER if (p != "cpu") == on_gpu)
    path = building.onnx_file(network, how.precision, cache, say=say)
    return OrtEngine(network.spec, path, providers=wanted, threads=how.threads, cache=cache.folder, device=how.index)


def _tensorrt(network: Network, how: How, cache: Cache, say: building.Say, progress: building.Steps | None) -> Engine:
    try:
        from engines.backends.trt import TrtEngine, version
    except ImportError:
        raise UserError("torch is not installed, on whose tensors TensorRT runs: install '.[gpu]'") from None
    version()
    path = building.plan_file(network, how.precision, cache, how.device, say=say, progress=progress)
    return TrtEngine(network.spec, path.read_bytes(), device=how.device)
