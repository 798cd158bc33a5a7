"""The work of an ONNX file, counted by running it once on the CPU: ONNX Runtime's profile tells the shapes of every
operator, also those that only the input decides."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from engines.errors import UserError, first_line
from engines.work import Work, flops

_DTYPES = {"float": "fp32", "float16": "fp16", "bfloat16": "bf16"}
Typed = dict[str, list[int]]
"""A tensor as the profile has it: {type: shape}."""


class _Told(msgspec.Struct):
    op_name: str = ""
    parameter_size: str = "0"
    input_type_shape: list[Typed] = []
    output_type_shape: list[Typed] = []


class _Event(msgspec.Struct):
    name: str = ""
    args: _Told = msgspec.field(default_factory=_Told)


def work(path: Path, feeds: Mapping[str, Any], *, device: str = "cpu") -> Work:
    """Of a run with these inputs. The graph is left as the file has it: optimised, its convolutions are padded.

    Raises UserError where the CPU does not run it."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.enable_profiling = True
    options.add_session_config_entry("session.disable_prepacking", "1")  # packed weights are told as none
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    with TemporaryDirectory(prefix="strefer-profile-") as folder:
        options.profile_file_prefix = str(Path(folder) / "onnx")
        try:
            session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            outputs = session.run(None, dict(feeds))
        except Exception as e:  # onnxruntime raises its own classes, none of them exported
            raise UserError(f"{path} does not run on the CPU, to be counted: {first_line(e)}") from None
        told = msgspec.json.decode(Path(session.end_profiling()).read_bytes(), type=list[_Event])
    total, dtype, moved = 0, "fp32", sum(x.nbytes for x in (*feeds.values(), *outputs))
    for node in (event.args for event in told if event.name.endswith("_kernel_time")):
        moved += int(node.parameter_size)
        found = flops(node.op_name, [_shape(t) for t in node.input_type_shape], _shape(node.output_type_shape[0]))
        if found:
            dtype = _DTYPES.get(next(iter(node.input_type_shape[0])), dtype)
        total += found
    return Work(total, moved, device, dtype)


def _shape(tensor: Typed) -> list[int]:
    return next(iter(tensor.values()), [])
