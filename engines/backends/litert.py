"""LiteRT backend: TFLite files on the CPU through XNNPACK (the only file that imports ai_edge_litert)."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from engines.backends import F32
from engines.errors import UserError, first_line
from engines.spec import EngineSpec
from engines.work import Work, flops


class LiteRtSession:
    """A TFLite file. Threads may share it: one runs at a time."""

    backend = "litert"

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        self._net = _load(path, threads)
        self._input = self._net.get_input_details()[0]["index"]
        self._outputs = [d["index"] for d in self._net.get_output_details()]
        self._lock = threading.Lock()

    def run(self, x: F32) -> tuple[F32, ...]:
        with self._lock:  # an interpreter belongs to one thread at a time
            self._net.set_tensor(self._input, x)
            self._net.invoke()
            return tuple(self._net.get_tensor(i) for i in self._outputs)

    def work(self, x: F32) -> Work:
        with self._lock:
            return _work(self._net)


class LiteRtEngine:
    """A TFLite file with named inputs and outputs, of any batch size where the spec has a batch axis: the network's
    input is resized when the size changes. Not thread-safe.

    Raises UserError where the file does not load, or its tensors are not the spec's.
    """

    backend = "litert"

    def __init__(self, spec: EngineSpec, path: Path, *, threads: int = 2) -> None:
        self.spec, self.path = spec, path
        self._net = _load(path, threads)
        self._inputs = {d["name"]: d for d in self._net.get_input_details()}
        names = {d["name"] for d in self._net.get_output_details()}
        missing = {t.name for t in spec.inputs} ^ set(self._inputs) | {t.name for t in spec.outputs} - names
        if missing:
            raise UserError(f"{path} is not {spec.name}: {', '.join(sorted(missing))} are in one of the two only")
        self._sizes: dict[str, int] | None = None

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        sizes = self.spec.measure(inputs)
        if sizes != self._sizes:
            for t in self.spec.inputs:
                self._net.resize_tensor_input(self._inputs[t.name]["index"], t.sized(sizes))
            self._net.allocate_tensors()
            self._sizes = sizes
        for t in self.spec.inputs:
            self._net.set_tensor(self._inputs[t.name]["index"], np.ascontiguousarray(inputs[t.name], t.host_dtype))
        self._net.invoke()
        found = {d["name"]: d["index"] for d in self._net.get_output_details()}
        return {t.name: self._net.get_tensor(found[t.name]) for t in self.spec.outputs}

    def work(self, inputs: Mapping[str, Any]) -> Work:
        self.run(inputs)  # which sets the shapes
        return _work(self._net)


def _work(net: Any) -> Work:
    """By the graph as it is in the file. Its operators are told under no public name."""
    tensors = {d["index"]: d for d in net.get_tensor_details()}
    nodes = [node for node in net._get_ops_details() if node["op_name"] != "DELEGATE"]
    read = {i for node in nodes for i in node["inputs"] if i in tensors}
    made = {i for node in nodes for i in node["outputs"]}
    ends = {d["index"] for d in (*net.get_input_details(), *net.get_output_details())}
    moved = sum(int(np.prod(tensors[i]["shape"])) * np.dtype(tensors[i]["dtype"]).itemsize for i in read - made | ends)

    def shape(i: int) -> list[int]:
        found: list[int] = tensors[i]["shape"].tolist() if i in tensors else []
        return found

    counted = (flops(n["op_name"], [shape(i) for i in n["inputs"]], shape(n["outputs"][0])) for n in nodes)
    return Work(sum(counted), moved)


def _load(path: Path, threads: int) -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        raise UserError("ai-edge-litert is not installed: pip install 'ai-edge-litert>=2.1'") from None
    try:
        with _silent_stderr():
            net = Interpreter(str(path), num_threads=threads)
            net.allocate_tensors()
    except ValueError as e:
        raise UserError(f"{path} does not load in LiteRT: {first_line(e)}") from None
    return net


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
    """LiteRT's C++ greets on file descriptor 2 and has no switch for it."""
    saved, sink = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(sink)
