"""PyTorch backend: a module as it is, compiled (`torch.compile`), and as CUDA graphs. The reference of the others."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from engines.backends import torch_counting
from engines.backends.buckets import powers
from engines.backends.graphs import GraphRunner, Tensors
from engines.errors import UserError, first_line
from engines.spec import EngineSpec
from engines.work import Work

AUTOCAST = {"": None, "bf16": torch.bfloat16, "fp16": torch.float16}
MODES = ("default", "max-autotune-no-cudagraphs")
"""Of torch.compile. Not reduce-overhead: its own CUDA graphs hand out memory that the next run writes into."""


class TorchEngine:
    """A module that takes the spec's inputs by position and returns its outputs (one tensor, or several in order).

    compiled: by `torch.compile`. graphs: replayed as CUDA graphs, one for each bucket of the batch axis. Both together
    capture the compiled module. autocast: "", "bf16" or "fp16", for modules that keep their weights in float32.
    buckets: sizes of the batch axis to capture; by default powers of two up to the axis' largest.
    """

    def __init__(
        self,
        spec: EngineSpec,
        module: torch.nn.Module,
        *,
        device: str = "cpu",
        compiled: bool = False,
        graphs: bool = False,
        autocast: str = "",
        mode: str = "default",
        buckets: tuple[int, ...] | None = None,
    ) -> None:
        if autocast not in AUTOCAST:
            raise ValueError(f"autocast {autocast!r}, wanted one of {', '.join(map(repr, AUTOCAST))}")
        if mode not in MODES:
            raise ValueError(f"mode {mode!r}, wanted one of {', '.join(MODES)}")
        self.spec, self._device = spec, find_device(device)
        if graphs and self._device.type != "cuda":
            raise UserError(f"CUDA graphs need a CUDA device, not {self._device}: take torch or torch-compile there")
        self._module = module.eval().requires_grad_(False).to(self._device)
        self._dtype = AUTOCAST[autocast]
        self._cached = not graphs
        self._call: Callable[..., Any] = self._module
        if compiled:
            # Graphs have one shape each, and a kernel made for one shape is quicker than one for all.
            self._call = torch.compile(self._module, mode=mode, dynamic=False if graphs else None)
        self._graphs: GraphRunner | None = None
        if graphs:
            sizes = powers(spec.rows.most) if buckets is None else buckets
            self._graphs = GraphRunner(spec, lambda: self._launch, self._device, sizes)
        how = "+".join(["compile"] * compiled + ["cuda-graph"] * graphs) or "eager"
        self.backend = f"torch/{how}{' ' + autocast if autocast else ''} on {self._device}"

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        sizes = self.spec.measure(inputs)
        host = all(isinstance(x, np.ndarray) for x in inputs.values())
        tensors = {t.name: to_device(inputs[t.name], t.dtype, self._device) for t in self.spec.inputs}
        if self._graphs is not None:
            out = self._graphs.run(tensors, sizes)
        else:
            with torch.no_grad():
                out = self._launch(tensors)
        return {name: to_host(t) for name, t in out.items()} if host else out

    def work(self, inputs: Mapping[str, Any]) -> Work:
        self.spec.measure(inputs)
        tensors = [to_device(inputs[t.name], t.dtype, self._device) for t in self.spec.inputs]
        with self._narrowed():
            return torch_counting.work(self._module, tensors, self._dtype)

    def _launch(self, inputs: Tensors) -> Tensors:
        try:
            with self._narrowed():
                found = self._call(*(inputs[t.name] for t in self.spec.inputs))
        except Exception as e:  # of the compiler's classes, which are told apart by where they are from
            if "torch._inductor" in type(e).__module__ or "torch._dynamo" in type(e).__module__:
                raise UserError(
                    f"{self.spec.name} does not compile: {first_line(e, 200)}; take torch in its place"
                ) from e
            raise
        listed = [found] if isinstance(found, torch.Tensor) else list(found)
        return {t.name: x for t, x in zip(self.spec.outputs, listed, strict=True)}

    def _narrowed(self) -> contextlib.AbstractContextManager[Any]:
        if self._dtype is None:
            return contextlib.nullcontext()
        # A graph must not hold weights that the autocast cache frees when it is left.
        return torch.autocast(self._device.type, self._dtype, cache_enabled=self._cached)  # type: ignore[no-any-return]


def find_device(name: str) -> torch.device:
    """The device of this name. Raises UserError where it is none, or not on this machine."""
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UserError(f"{name!r} is no device of torch: name cpu, cuda or cuda:1") from None
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            raise UserError(f"{name} is not here: torch finds {count} CUDA devices; take --device cpu")
        return torch.device("cuda", device.index or 0)
    return device


def gpu_name(device: str) -> str:
    """Name and compute capability of a CUDA device, what compiled engines are bound to."""
    at = find_device(device)
    if at.type != "cuda":
        raise UserError(f"{device} is no CUDA device: take --device cuda")
    major, minor = torch.cuda.get_device_capability(at)
    return f"{torch.cuda.get_device_name(at)} sm_{major}{minor}"


def wait(device: str) -> None:
    """Until all work of a CUDA device is done; nothing on a CPU."""
    at = find_device(device)
    if at.type == "cuda":
        torch.cuda.synchronize(at)


def to_device(x: Any, dtype: str, device: torch.device) -> torch.Tensor:
    """An array or tensor on `device` in a spec's dtype; itself where it is there already."""
    if isinstance(x, np.ndarray):
        x = torch.from_numpy(np.ascontiguousarray(x) if x.flags.writeable else x.copy())
    tensor: torch.Tensor = x
    return tensor.to(device=device, dtype=getattr(torch, dtype), non_blocking=True)


def to_host(x: torch.Tensor) -> Any:
    """A tensor as a NumPy array, bfloat16 widened to float32."""
    return (x.float() if x.dtype == torch.bfloat16 else x).cpu().numpy()
