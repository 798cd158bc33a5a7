"""TensorRT backend, 10.x and 11.x (the only file that imports tensorrt). Not yet run with a real TensorRT.

Networks are strongly typed: precision is what the ONNX file says, which 10.x takes as a flag and 11.x always does. Only
calls that both have are used. Source: NVIDIA's Python API reference of both, and the 10.x to 11.x migration guide.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engines.backends.buckets import powers
from engines.backends.graphs import GraphRunner, Launch, Tensors
from engines.backends.torch_backend import find_device, to_device, to_host
from engines.errors import UserError
from engines.spec import EngineSpec
from engines.work import Work

MAJORS = (10, 11)
WORKSPACE_BYTES = 4 << 30
Progress = Callable[[str, int, int], bool]
"""Phase, step, steps -> whether to go on."""


def version() -> str:
    """Of TensorRT, e.g. 10.16.1.11. Raises UserError where it is not installed or of another major."""
    return str(_import().__version__)


def build_plan(
    onnx: Path, spec: EngineSpec, *, timing: bytes = b"", tf32: bool = False, level: int = 3,
    progress: Progress | None = None,
) -> tuple[bytes, bytes]:  # fmt: skip
    """The serialized engine of an ONNX file for the spec's range of axes, and the timing cache as it is afterwards.

    timing: the cache of earlier builds; one of another GPU or version is begun anew. tf32: let float32 products round
    to TF32. level: 0 (quick build) to 5 (quick engine). Raises UserError with TensorRT's own reason.
    """
    trt = _import()
    log = _logger(trt)
    builder = trt.Builder(log)
    typed = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED) if _major(trt) < 11 else 0
    network = builder.create_network(typed)
    parser = trt.OnnxParser(network, log)
    if not parser.parse_from_file(str(onnx)):
        causes = [str(parser.get_error(i)) for i in range(parser.num_errors)]
        raise UserError(f"TensorRT cannot read {onnx}: {_one_line(causes)}")
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE_BYTES)
    config.builder_optimization_level = level
    if not tf32:
        config.clear_flag(trt.BuilderFlag.TF32)
    if progress is not None:
        config.progress_monitor = _monitor(trt, progress)
    cache = config.create_timing_cache(timing)
    if cache is None or not config.set_timing_cache(cache, False):
        config.set_timing_cache(config.create_timing_cache(b""), False)
    if spec.axes:
        profile = builder.create_optimization_profile()
        for t in spec.inputs:
            least, usual, most = (t.sized({a.name: a.sizes[i] for a in spec.axes}) for i in range(3))
            profile.set_shape(t.name, least, usual, most)
        if config.add_optimization_profile(profile) < 0:
            raise UserError(f"TensorRT does not take the ranges of {spec.name}: {_one_line(log.errors)}")
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise UserError(f"TensorRT cannot build {spec.name}: {_one_line(log.errors)}")
    return bytes(plan), bytes(config.get_timing_cache().serialize())


class TrtEngine:
    """A plan on a CUDA device, by `execute_async_v3` on torch's current stream and the addresses of torch's tensors.

    graphs: replay it as a CUDA graph, one for each bucket of the batch axis, each with an execution context of its own.
    Raises UserError where the plan is of another GPU, version or network.
    """

    def __init__(
        self, spec: EngineSpec, plan: bytes, *, device: str = "cuda", graphs: bool = True,
        buckets: tuple[int, ...] | None = None,
    ) -> None:  # fmt: skip
        trt = _import()
        self.spec, self._device = spec, find_device(device)
        self._log = _logger(trt)
        self._runtime = trt.Runtime(self._log)
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise UserError(f"TensorRT cannot load the plan of {spec.name}: {_one_line(self._log.errors)}")
        _check(trt, self._engine, spec)
        self._graphs: GraphRunner | None = None
        self._plain: Launch | None = None
        if graphs:
            self._graphs = GraphRunner(
                spec, self._launcher, self._device, powers(spec.rows.most) if buckets is None else buckets
            )
        how = "+cuda-graph" if graphs else ""
        self.backend = f"tensorrt {trt.__version__}{how} on {self._device}"

    def work(self, inputs: Mapping[str, Any]) -> Work:
        raise UserError("TensorRT does not tell a plan's arithmetic")

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        sizes = self.spec.measure(inputs)
        self.spec.within(sizes)
        host = all(isinstance(x, np.ndarray) for x in inputs.values())
        tensors = {t.name: to_device(inputs[t.name], t.dtype, self._device).contiguous() for t in self.spec.inputs}
        if self._graphs is not None:
            out = self._graphs.run(tensors, sizes)
        else:
            self._plain = self._plain or self._launcher()
            out = self._plain(tensors)
        return {name: to_host(t) for name, t in out.items()} if host else out

    def _launcher(self) -> Launch:
        """One execution context, which keeps the shapes and addresses of its last run."""
        context = self._engine.create_execution_context()
        if context is None:
            raise UserError(f"TensorRT has no memory for {self.spec.name}: {_one_line(self._log.errors)}")

        def launch(inputs: Tensors) -> Tensors:
            done = all(
                context.set_input_shape(name, tuple(x.shape)) and context.set_tensor_address(name, x.data_ptr())
                for name, x in inputs.items()
            )
            if not done or context.infer_shapes():
                raise ValueError(f"{self.spec.name} refuses its inputs: {_one_line(self._log.errors)}")
            out = {}
            for t in self.spec.outputs:
                shape = tuple(context.get_tensor_shape(t.name))
                out[t.name] = torch.empty(shape, dtype=getattr(torch, t.dtype), device=self._device)
                context.set_tensor_address(t.name, out[t.name].data_ptr())
            self._enqueue(context)
            return out

        return launch

    def _enqueue(self, context: Any) -> None:
        """On the current stream; for the default one, on which TensorRT would synchronise the device, a side stream
        that it waits for."""
        stream = torch.cuda.current_stream(self._device)
        on = stream if stream.cuda_stream else torch.cuda.Stream(self._device)
        if on is not stream:
            on.wait_stream(stream)
        if not context.execute_async_v3(on.cuda_stream):
            raise RuntimeError(f"TensorRT cannot run {self.spec.name}: {_one_line(self._log.errors)}")
        if on is not stream:
            stream.wait_stream(on)


def _check(trt: Any, engine: Any, spec: EngineSpec) -> None:
    """Raises UserError where a plan's tensors are not the spec's."""
    names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
    inputs = {n for n in names if engine.get_tensor_mode(n) == trt.TensorIOMode.INPUT}
    if inputs != {t.name for t in spec.inputs} or not {t.name for t in spec.outputs} <= set(names) - inputs:
        raise UserError(f"the plan is not {spec.name}: it has {', '.join(names)}")
    kinds = {"float32": trt.float32, "float16": trt.float16, "bfloat16": trt.bfloat16, "int64": trt.int64,
             "int32": trt.int32, "uint8": trt.uint8, "bool": trt.bool}  # fmt: skip
    for t in (*spec.inputs, *spec.outputs):
        if engine.get_tensor_dtype(t.name) != kinds[t.dtype]:
            raise UserError(f"the plan of {spec.name} has {t.name} as {engine.get_tensor_dtype(t.name)}, not {t.dtype}")
        if engine.get_tensor_location(t.name) != trt.TensorLocation.DEVICE:
            raise UserError(f"the plan of {spec.name} wants {t.name} in host memory, which we do not give")


def _import() -> Any:
    try:
        import tensorrt as trt
    except (ImportError, OSError):
        raise UserError(
            "TensorRT is not installed: pip install '.[tensorrt]' where NVIDIA's package index can be "
            "reached, or work in NVIDIA's pytorch image"
        ) from None
    if _major(trt) not in MAJORS:
        raise UserError(f"TensorRT {trt.__version__} is not known here: install 10.x or 11.x")
    return trt


def _major(trt: Any) -> int:
    return int(str(trt.__version__).partition(".")[0])


def _logger(trt: Any) -> Any:
    """A logger that keeps the errors and prints nothing."""

    class Log(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR):
                self.errors.append(message)

    return Log()


def _monitor(trt: Any, progress: Progress) -> Any:
    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        """TensorRT calls it from its own threads; phases are nested, each with its steps."""

        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._steps: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._steps[phase_name] = num_steps

        def phase_finish(self, phase_name: str) -> None:
            self._steps.pop(phase_name, None)

        def step_complete(self, phase_name: str, step: int) -> bool:
            return progress(phase_name, step + 1, self._steps.get(phase_name, step + 1))

    return Monitor()


def _one_line(causes: list[str]) -> str:
    return " ".join(causes[0].split())[:300] if causes else "it does not say why"
