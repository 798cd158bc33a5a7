"""A torch module as an ONNX file, by torch's own exporter (needs onnx and onnxscript: extra `engines`)."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

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
        raise UserError("onnxscript is not installed: pip install 'strefer-stream[engines]'") from None
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
            )  # fmt: skip
    except Exception as e:  # torch.onnx wraps every cause in a class of its own
        raise UserError(f"{spec.name} does not export to ONNX: {first_line(e)}") from e


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
