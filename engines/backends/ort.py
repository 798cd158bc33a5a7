"""ONNX Runtime backend (the only file that imports onnxruntime to run networks)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.backends import F32, ort_counting
from engines.backends.providers import CPU, MENDS, ORDER, RTX, Attempt, attempts
from engines.errors import UserError, first_line
from engines.spec import EngineSpec, TensorSpec
from engines.work import Work

_BFLOAT16 = 16
"""Of onnx.TensorProto: the one dtype NumPy has no name for."""


class OrtSession:
    """An ONNX file on the CPU. `threads` is fixed so that results do not depend on the machine's load."""

    def __init__(self, path: Path, *, threads: int = 2) -> None:
        ort = _import()
        options = _options(ort, threads)
        try:
            self._session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as e:  # onnxruntime raises its own classes, none of them exported
            raise UserError(f"{path} does not load in onnxruntime: {first_line(e)}") from None
        self._input = self._session.get_inputs()[0].name
        self.path = path
        self.inputs = tuple(i.name for i in self._session.get_inputs())
        self.outputs = tuple(o.name for o in self._session.get_outputs())
        self.backend = "onnxruntime/" + _short(self._session.get_providers()[0])

    def run(self, x: F32) -> tuple[F32, ...]:
        return tuple(self._session.run(None, {self._input: x}))

    def work(self, x: F32 | Mapping[str, NDArray[Any]]) -> Work:
        """x: the input, or inputs by name."""
        return ort_counting.work(self.path, x if isinstance(x, Mapping) else {self._input: x})

    def run_named(self, feeds: Mapping[str, NDArray[np.generic]], output: str) -> F32:
        """One output by name, for inputs by name. Raises UserError where the network does not take them."""
        try:
            found: F32 = self._session.run([output], dict(feeds))[0]
        except Exception as e:  # onnxruntime raises its own classes, none of them exported
            raise UserError(f"{self.path} does not run: {first_line(e)}") from None
        return found


class OrtEngine:
    """An ONNX file on the first of `providers` (short names of `ORDER`) that a session really runs on.

    Tensors are bound where they lie: CUDA tensors go in and out without a copy when a GPU provider runs. cache: where
    the TensorRT provider keeps engines. device: number of the CUDA device. exclusive: no node may fall back to the CPU.
    Raises UserError in one line where no provider runs it.
    """

    def __init__(
        self,
        spec: EngineSpec,
        path: Path,
        *,
        providers: Sequence[str] = tuple(ORDER),
        threads: int = 2,
        cache: Path | None = None,
        device: int = 0,
        exclusive: bool = False,
    ) -> None:
        ort = _import()
        self.spec, self.path, self._device = spec, path, device
        causes = []
        for attempt in attempts(spec, providers, cache, device):
            options = _options(ort, threads)
            options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
            try:
                self._session = _try(ort, attempt, path, options, exclusive)
                break
            except UserError as e:
                causes.append(str(e))
        else:
            raise UserError(causes[-1])  # of the provider that wants least; each by its name tells its own
        missing = {t.name for t in spec.inputs} ^ {i.name for i in self._session.get_inputs()}
        missing |= {t.name for t in spec.outputs} - {o.name for o in self._session.get_outputs()}
        if missing:
            raise UserError(f"{path} is not {spec.name}: {', '.join(sorted(missing))} are in one of the two only")
        self._on_gpu = self._session.get_providers()[0] != CPU
        self.backend = f"onnxruntime/{ran_on(self._session)}"

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        sizes = self.spec.measure(inputs)
        try:
            if all(isinstance(x, np.ndarray) for x in inputs.values()):
                names = [t.name for t in self.spec.outputs]
                feeds = {t.name: np.ascontiguousarray(inputs[t.name], t.host_dtype) for t in self.spec.inputs}
                return dict(zip(names, self._session.run(names, feeds), strict=True))
            return self._bound(inputs, sizes)
        except Exception as e:  # onnxruntime raises its own classes, none of them exported
            raise UserError(f"{self.path} does not run: {first_line(e)}") from None

    def work(self, inputs: Mapping[str, Any]) -> Work:
        self.spec.measure(inputs)
        feeds = {t.name: np.asarray(inputs[t.name], t.host_dtype) for t in self.spec.inputs}
        return ort_counting.work(self.path, feeds, device="cuda" if self._on_gpu else "cpu")

    def _bound(self, inputs: Mapping[str, Any], sizes: Mapping[str, int]) -> dict[str, Any]:
        import torch

        at = torch.device("cuda", self._device) if self._on_gpu else torch.device("cpu")
        binding = self._session.io_binding()
        held = []  # until the run is over
        for t in self.spec.inputs:
            x = torch.as_tensor(inputs[t.name]).to(device=at, dtype=getattr(torch, t.dtype)).contiguous()
            held.append(x)
            binding.bind_input(t.name, at.type, at.index or 0, _element(t), tuple(x.shape), x.data_ptr())
        out = {}
        for t in self.spec.outputs:
            y = out[t.name] = torch.empty(t.sized(sizes), dtype=getattr(torch, t.dtype), device=at)
            binding.bind_output(t.name, at.type, at.index or 0, _element(t), tuple(y.shape), y.data_ptr())
        if self._on_gpu:
            # The provider runs on a stream of its own and does not wait for torch's; when run returns, it is done.
            torch.cuda.current_stream(at).synchronize()
        self._session.run_with_iobinding(binding)
        return out


def ran_on(session: Any) -> str:
    """The providers that really have nodes of this session, with their numbers where there are several: `CPU`,
    `CUDA(365)+CPU(4)`. Where this onnxruntime does not tell nodes, the session's first provider."""
    try:
        subgraphs = session.get_provider_graph_assignment_info()
    except Exception:  # releases before 1.24 have no such method, and a plugin may not tell
        subgraphs = []
    nodes = Counter(dict.fromkeys(session.get_providers(), 0))
    for subgraph in subgraphs:
        nodes[subgraph.ep_name] += len(subgraph.get_nodes())
    used = [(p, n) for p, n in nodes.items() if n]
    if len(used) < 2:
        return _short(used[0][0] if used else session.get_providers()[0])
    return "+".join(f"{_short(p)}({n})" for p, n in used)


def available() -> tuple[str, ...]:
    """Short names of the providers this onnxruntime lists, best first. Listed is not loaded: only a session tells.
    Raises UserError where onnxruntime is not installed."""
    listed = set(_import().get_available_providers())
    return tuple(name for name, provider in ORDER.items() if provider in listed or (provider == RTX and _plugin()))


def _try(ort: Any, attempt: Attempt, path: Path, options: Any, exclusive: bool) -> Any:
    """A session whose first provider is the wanted one. Raises UserError in one line where it is not."""
    wanted, name = attempt.wanted, _short(attempt.wanted)
    barred = CPU if exclusive and wanted != CPU else ""
    if barred:
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    try:
        if attempt.plugin:
            options.add_provider_for_devices(_plugin_devices(ort), attempt.providers[0][1])
            session = ort.InferenceSession(str(path), options)
        else:
            listed = ort.get_available_providers()
            if wanted not in listed:
                raise UserError(f"this onnxruntime has no {name} provider: {MENDS[wanted]}")
            session = ort.InferenceSession(
                str(path), options, [p for p in attempt.providers if p[0] in listed and p[0] != barred]
            )
    except UserError:
        raise
    except Exception as e:  # onnxruntime raises its own classes, none of them exported
        raise UserError(f"{path} does not load in onnxruntime on {name}: {first_line(e)}") from None
    if session.get_providers()[0] != wanted:
        raise UserError(f"{name} is listed, but the session runs on {ran_on(session)}: {MENDS[wanted]}")
    return session


def _plugin() -> Any:
    try:
        import onnxruntime_ep_nv_tensorrt_rtx as plugin
    except ImportError:
        return None
    return plugin


def _plugin_devices(ort: Any) -> list[Any]:
    """Devices of the TensorRT-RTX plugin, registered with this process on the first call."""
    plugin = _plugin()
    if plugin is None:
        raise UserError(f"the TensorRT-RTX plugin is not installed: {MENDS[RTX]}")
    name = plugin.get_ep_name()
    devices = [d for d in ort.get_ep_devices() if d.ep_name == name]
    if not devices:
        ort.register_execution_provider_library(name, plugin.get_library_path())
        devices = [d for d in ort.get_ep_devices() if d.ep_name == name]
    if not devices:
        raise UserError(f"the TensorRT-RTX plugin finds no card of its kind: {MENDS[RTX]}")
    return devices


def _import() -> Any:
    try:
        import onnxruntime as ort
    except ImportError:
        raise UserError("onnxruntime is not installed: pip install '.[cpu]' (or [gpu])") from None
    return ort


def _options(ort: Any, threads: int) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Spinning threads would take the other core from decoding and from the other engines.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _element(tensor: TensorSpec) -> Any:
    return _BFLOAT16 if tensor.dtype == "bfloat16" else tensor.host_dtype.type


def _short(provider: str) -> str:
    return provider.removesuffix("ExecutionProvider")
