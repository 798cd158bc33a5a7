"""Variants of an ONNX file: a dynamic batch axis, float16 inside, int8 inside (the only file that rewrites ONNX).

Needs the package onnx (extra `engines`); float16 and int8 also onnxruntime's own converters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engines.errors import UserError, first_line
from engines.spec import Arrays

VARIANTS = ("fp32", "fp16", "int8")
OPSET = 13
_HIDDEN = "strefer.hidden"


def dynamic_batch(source: Path, target: Path, axis: str = "n") -> None:
    """Writes `source` with its first axis, fixed at 1, made dynamic.

    Inputs and outputs get the axis' name; a Reshape of what depends on the input takes its first size from there, and
    a mean over all axes becomes one over all but the first. Whether rows then really are independent is for
    `engines.compare` to say, which the tests ask of every network.
    Raises UserError where the first axis is not 1, or the batch is mixed into another axis."""
    onnx = _import()
    model = onnx.load(str(source))
    graph = model.graph
    constants = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    made = (node for node in graph.node if node.op_type == "Constant")
    constants |= {n.output[0]: onnx.numpy_helper.to_array(n.attribute[0].t) for n in made}
    inputs = [v for v in graph.input if v.name not in constants]
    for value in (*inputs, *graph.output):
        first = value.type.tensor_type.shape.dim[0]
        if first.dim_value != 1:
            raise UserError(f"{source} has {value.name} of {first.dim_value or first.dim_param} rows, wanted 1")
        first.dim_param = axis
    live = {v.name for v in inputs}
    for node in graph.node:
        if not live & set(node.input):
            continue
        live |= set(node.output)
        if node.input[0] not in live:
            continue
        if node.op_type == "Reshape":
            _reshape(onnx, source, graph, node, constants.get(node.input[1]))
        elif node.op_type.startswith("Reduce"):
            _reduce(onnx, source, graph, node, constants)
    del graph.value_info[:]  # they tell the shapes of a batch of 1
    _sweep(graph)
    onnx.save(model, str(target))


def _reshape(onnx: Any, source: Path, graph: Any, node: Any, shape: Any) -> None:
    """Lets the first size be the input's."""
    if shape is None or shape[0] not in (-1, 0, 1):
        raise UserError(f"{source} has a batch of 1 built in ({node.name}: Reshape to {shape}): it stays at 1")
    if shape[0] == 1:
        node.input[1] = _constant(onnx, graph, node, [0, *shape[1:]])


def _reduce(onnx: Any, source: Path, graph: Any, node: Any, constants: Mapping[str, Any]) -> None:
    """Takes the batch out of the axes that are summed over: of a batch of 1 it changed nothing."""
    told = next((a for a in node.attribute if a.name == "axes"), None)
    axes = (
        list(told.ints) if told is not None else list(constants.get(node.input[1], ())) if len(node.input) > 1 else []
    )
    if axes and 0 not in axes:
        return
    kept = next((a.i for a in node.attribute if a.name == "keepdims"), 1)
    if not axes or not kept or axes == [0]:
        raise UserError(f"{source} has a batch of 1 built in ({node.name}: {node.op_type} over it): it stays at 1")
    axes.remove(0)
    if told is not None:
        told.CopyFrom(onnx.helper.make_attribute("axes", axes))
    else:
        node.input[1] = _constant(onnx, graph, node, axes)


def _sweep(graph: Any) -> None:
    """Takes out constants that nothing reads any more."""
    read = {name for node in graph.node for name in node.input} | {v.name for v in graph.output}
    kept = [t for t in graph.initializer if t.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def modernise(model: Any) -> Any:
    """The model in opset 13, which quantization by channel wants. onnx's converter has no way for Upsample, which is
    Resize with asymmetric coordinates: it is hidden from it and replaced afterwards."""
    onnx = _import()
    if next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx")) >= OPSET:
        return model
    for node in model.graph.node:
        if node.op_type == "Upsample":
            node.domain = _HIDDEN
    model.opset_import.append(onnx.helper.make_opsetid(_HIDDEN, 1))
    model.ir_version = max(model.ir_version, 7)
    done = onnx.version_converter.convert_version(model, OPSET)
    for node in done.graph.node:
        if node.domain == _HIDDEN:
            node.domain, node.op_type = "", "Resize"
            node.input.insert(1, "")
            node.attribute.append(onnx.helper.make_attribute("coordinate_transformation_mode", "asymmetric"))
            if next(a.s for a in node.attribute if a.name == "mode") == b"nearest":
                node.attribute.append(onnx.helper.make_attribute("nearest_mode", "floor"))
    kept = [o for o in done.opset_import if o.domain != _HIDDEN]
    del done.opset_import[:]
    done.opset_import.extend(kept)
    return done


def _constant(onnx: Any, graph: Any, node: Any, values: Sequence[int]) -> str:
    name = f"{node.output[0]}__{node.op_type}"
    graph.initializer.append(onnx.numpy_helper.from_array(np.array(values, np.int64), name))
    return name


def float16(source: Path, target: Path) -> None:
    """Writes `source` with float16 weights and arithmetic; inputs and outputs stay float32."""
    onnx = _import()
    try:
        from onnxruntime.transformers.float16 import convert_float_to_float16
    except ImportError as e:
        raise UserError(f"{e.name} is not installed: pip install '.[engines]'") from None
    model = convert_float_to_float16(onnx.load(str(source)), keep_io_types=True)
    onnx.save(model, str(target))


def int8(source: Path, target: Path, examples: Sequence[Arrays]) -> None:
    """Writes `source` with int8 convolutions and products (QDQ: weights per channel, activations per tensor), ranges
    measured on `examples`. Raises UserError where there are none."""
    if not examples:
        raise UserError(f"{source} cannot be quantized without real inputs: set STREFER_SAMPLES to a folder of clips")
    onnx = _import()
    try:
        from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError as e:
        raise UserError(f"{e.name} is not installed: pip install '.[engines]'") from None

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._rest: Iterator[Arrays] = iter(examples)

        def get_next(self) -> Arrays | None:
            return next(self._rest, None)

    prepared = target.with_suffix(".prepared.onnx")
    onnx.save(modernise(onnx.load(str(source))), str(prepared))
    quant_pre_process(str(prepared), str(prepared), skip_symbolic_shape=True)
    quantize_static(
        str(prepared), str(target), Reader(), quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, op_types_to_quantize=["Conv", "MatMul", "Gemm"],
    )  # fmt: skip
    prepared.unlink()


def write(source: Path, target: Path, precision: str, examples: Callable[[], Sequence[Arrays]]) -> None:
    """Writes the variant of this precision, fp16 or int8. Raises UserError in one line where it cannot be made."""
    try:
        if precision == "fp16":
            float16(source, target)
        else:
            int8(source, target, examples())
    except UserError:
        raise
    except Exception as e:  # the converters raise whatever they meet
        raise UserError(f"{source} cannot be made {precision}: {first_line(e)}") from e


def _import() -> Any:
    try:
        import onnx
        import onnx.helper
        import onnx.numpy_helper
        import onnx.version_converter
    except ImportError:
        raise UserError("onnx is not installed: pip install '.[engines]'") from None
    return onnx
