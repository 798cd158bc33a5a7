"""A torch module as an ONNX file, by torch's own exporter (needs onnx and onnxscript: extra `engines`)."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from engines.errors import UserError, first_line
from engines.spec import EngineSpec

OPSET = 18


def export_onnx(module: torch.nn.Module, spec: EngineSpec, target: Path) -> None:
    """Writes `module` (inputs by position, as the spec lists them) with the spec's names and dynamic axes.

    An axis whose least size is 1 is traced at 2 or more: the exporter would take a 1 for a constant. Raises UserError
    in one line where it does not export, or what exports is missing."""
    try:
        import onnxscript  # noqa: F401 - torch.onnx imports it, and tells a missing one in twenty lines
    except ImportError:
        raise UserError("onnxscript is not installed: pip install '.[engines]'") from None
    sizes = {axis.name: min(axis.most, max(2, axis.usual)) for axis in spec.axes}
    ranges = {
        axis.name: torch.export.Dim(axis.name, min=axis.least, max=axis.most) for axis in spec.axes if axis.most > 1
    }
    made = spec.random(0, sizes)
    like = next(module.parameters(), None)
    device = like.device if like is not None else torch.device("cpu")
    example = tuple(
        torch.from_numpy(made[t.name]).to(device=device, dtype=getattr(torch, t.dtype)) for t in spec.inputs
    )
    shapes = tuple(
        {i: ranges[d] for i, d in enumerate(t.shape) if isinstance(d, str) and d in ranges} for t in spec.inputs
    )
    try:
        with torch.no_grad(), _quiet():
            torch.onnx.export(
                module.eval(), example, str(target), dynamo=True, opset_version=OPSET, verbose=False,
                input_names=[t.name for t in spec.inputs], output_names=[t.name for t in spec.outputs],
                dynamic_shapes=shapes if ranges else None, external_data=False, optimize=True,
                custom_translation_table=_more(),
            )  # fmt: skip
    except Exception as e:  # torch.onnx wraps every cause in a class of its own
        raise UserError(f"{spec.name} does not export to ONNX: {first_line(e)}") from e


def _more() -> dict[Any, Any]:
    """Operators that torch's exporter has no ONNX for, and transformers' Grounding DINO finds its phrases with.

    Running extremes of the rows of a matrix are made as a triangle of them; the places that go with the values are not
    made: nothing asks."""
    from onnxscript import opset18 as op

    to_int32, to_bool = 6, 9

    def running(x: Any, reduce: Any, worst: int) -> tuple[Any, Any]:
        length = op.Gather(op.Shape(x), op.Constant(value_ints=[1]))
        square = op.Concat(length, length, axis=0)
        earlier = op.Cast(op.Trilu(op.Expand(op.Constant(value_int=1), square), upper=0), to=to_bool)
        rows = op.Where(earlier, op.Unsqueeze(x, op.Constant(value_ints=[1])), op.Constant(value_int=worst))
        return reduce(rows, op.Constant(value_ints=[2]), keepdims=0), x

    def cummax(x: Any, dim: int) -> tuple[Any, Any]:
        assert dim == 1
        return running(x, op.ReduceMax, -(2**62))

    def cummin(x: Any, dim: int) -> tuple[Any, Any]:
        assert dim == 1
        return running(x, op.ReduceMin, 2**62)

    def isin(x: Any, among: Any) -> Any:
        same = op.Equal(op.Unsqueeze(x, op.Constant(value_ints=[-1])), among)
        return op.Cast(op.ReduceMax(op.Cast(same, to=to_int32), op.Constant(value_ints=[-1]), keepdims=0), to=to_bool)

    def all_true(x: Any) -> Any:
        return op.Cast(op.ReduceMin(op.Cast(x, to=to_int32), keepdims=0), to=to_bool)

    aten = torch.ops.aten
    return {
        aten.cummax.default: cummax, aten.cummin.default: cummin, aten.isin.Tensor_Tensor: isin,
        aten._is_all_true.default: all_true,
    }  # fmt: skip


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter warns of every torchvision operator that it could have had, and of axes that have one name."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="# The axis name")
            yield
    finally:
        log.setLevel(level)
