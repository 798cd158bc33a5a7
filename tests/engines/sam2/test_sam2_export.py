"""The four parts as ONNX: what onnxruntime makes of them, at other batch sizes and fill levels than were exported."""

from __future__ import annotations

from pathlib import Path

import onnxruntime as ort
import pytest
import torch
from sam2_videos import SIDE

from engines.sam2.build import Sam2, build
from engines.sam2.export import PARTS, export, signature

EQUAL = 1e-4
"""Greatest difference, in parts of the greatest value (logits here reach 11)."""
COUNTS = ((2, 3, 2), (1, 1, 1), (3, 5, 3))
"""Frames, objects and points; the first is what is exported. Objects' fill levels differ: see signature."""


@pytest.fixture(scope="module")
def plain() -> Sam2:
    return build("mini", image_size=SIDE, attention="masked")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of onnxscript and torch's exporter, at each other
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("part", PARTS)
def test_onnxruntime_agrees(part: str, plain: Sam2, tmp_path: Path) -> None:
    path = tmp_path / f"{part}.onnx"
    told = export(plain, part, path)
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert [i.name for i in session.get_inputs()] == list(told.inputs)
    assert [o.name for o in session.get_outputs()] == list(told.outputs)
    for frames, objects, points in COUNTS:
        given = signature(plain, part, frames=frames, objects=objects, points=points)
        with torch.no_grad():
            wanted = given.module(*given.inputs.values())
        found = session.run(None, {name: value.numpy() for name, value in given.inputs.items()})
        pairs = zip(found, wanted if isinstance(wanted, tuple) else (wanted,), strict=True)
        errors = [float((torch.from_numpy(a) - b).abs().max() / max(1.0, float(b.abs().max()))) for a, b in pairs]
        print(f"{part} of {frames} frames, {objects} objects: {max(errors):.1e}")
        assert max(errors) <= EQUAL


def test_only_what_onnx_has_is_exported(mini: Sam2, plain: Sam2, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="attention='masked'"):
        export(mini, "attention", tmp_path / "x.onnx")
    with pytest.raises(ValueError, match="there are encoder, decoder, memory, attention"):
        signature(plain, "head")
