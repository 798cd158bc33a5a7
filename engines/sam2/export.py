"""The four parts as ONNX files, for whatever runs ONNX: onnxruntime, TensorRT.

Each file is one part with plain tensors in and out, of the shapes that its wrapper's docstring gives. Batches are
dynamic (frames, objects, points); memory is not: [N, M, cells, 64] with ages of -1 where there is none, so that one
engine of static inner shapes serves every fill level. Half precision comes of exporting a model built in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from engines.export import check_installed
from engines.sam2.build import Sam2

OPSET = 18
PARTS = ("encoder", "decoder", "memory", "attention")


@dataclass(frozen=True, slots=True)
class Signature:
    """A part's module, an example of its inputs by name, its outputs' names, and which axes of inputs are dynamic."""

    module: nn.Module
    inputs: dict[str, torch.Tensor]
    outputs: tuple[str, ...]
    dynamic: dict[str, dict[int, str]]


class PromptedDecoder(nn.Module):
    """Prompt encoder and mask decoder as one: what the exported decoder is. Prompts of label -1 are none."""

    def __init__(self, decoder: Any) -> None:
        super().__init__()
        self.decoder = decoder
        self.eval()

    def forward(
        self,
        tokens: torch.Tensor,
        mid: torch.Tensor,
        high: torch.Tensor,
        points: torch.Tensor,
        labels: torch.Tensor,
        mask: torch.Tensor,
        has_mask: torch.Tensor,
        multimask: torch.Tensor,
    ) -> tuple[torch.Tensor, ...]:
        """As MaskDecoder.embed and MaskDecoder.forward say; an object without prompts is one point of label -1."""
        sparse, dense = self.decoder.embed(points, labels, mask, has_mask)
        out: tuple[torch.Tensor, ...] = self.decoder(tokens, mid, high, sparse, dense, multimask)
        return out


def signature(model: Sam2, part: str, *, frames: int = 2, objects: int = 3, points: int = 2) -> Signature:
    """What a part takes and gives, with random inputs of these counts. Raises ValueError for another part."""
    side, grid, kind = model.side, model.grid, model.dtype
    cells = grid * grid
    generator = torch.Generator().manual_seed(0)

    def noise(*shape: int, of: torch.dtype = kind) -> torch.Tensor:
        return torch.randn(*shape, generator=generator).to(model.device, of)

    def count(*values: int) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.int64, device=model.device)

    n, frame = objects, count(*(i % frames for i in range(objects)))
    if part == "encoder":
        return Signature(
            model.encoder, {"frames": noise(frames, 3, side, side)}, ("top", "mid", "high"), {"frames": {0: "frames"}}
        )
    if part == "decoder":
        exact = torch.float32
        inputs = {
            "tokens": noise(n, cells, 256),
            "mid": noise(n, 64, 2 * grid, 2 * grid), "high": noise(n, 32, 4 * grid, 4 * grid),
            "points": side / 2 + noise(n, points, 2, of=exact),
            "labels": torch.ones(n, points, dtype=torch.int32, device=model.device),
            "mask": noise(n, 1, 4 * grid, 4 * grid, of=exact),
            "has_mask": count(*(i % 2 for i in range(n))).bool(),
            "multimask": count(*(i % 3 > 0 for i in range(n))).bool(),
        }  # fmt: skip
        dynamic = {name: {0: "objects"} for name in inputs}
        dynamic["points"], dynamic["labels"] = {0: "objects", 1: "points"}, {0: "objects", 1: "points"}
        return Signature(PromptedDecoder(model.decoder), inputs, ("logits", "pointer", "score", "iou"), dynamic)
    if part == "memory":
        inputs = {
            "top": noise(frames, cells, 256), "frame": frame,
            "logits": noise(n, 1, 4 * grid, 4 * grid, of=torch.float32), "score": noise(n, 1, of=torch.float32),
            "prompted": count(*(i % 2 for i in range(n))).bool(),
        }  # fmt: skip
        dynamic = {name: {0: "objects"} for name in inputs} | {"top": {0: "frames"}}
        return Signature(model.memory, inputs, ("memory",), dynamic)
    if part == "attention":
        fills = [1 + (3 * i) % model.memories for i in range(n)]
        ages = [[6, *range(f - 1), *[-1] * (model.memories - f)] for f in fills]
        distances = [[20, *range(1, 2 * f), *[-1] * (model.pointers - 2 * f)] for f in fills]
        inputs = {
            "top": noise(frames, cells, 256), "frame": frame, "memory": noise(n, model.memories, cells, 64),
            "age": torch.tensor(ages, device=model.device), "pointers": noise(n, model.pointers, 256),
            "distance": torch.tensor([d[: model.pointers] for d in distances], device=model.device),
        }  # fmt: skip
        dynamic = {name: {0: "objects"} for name in inputs} | {"top": {0: "frames"}}
        return Signature(model.attention, inputs, ("tokens",), dynamic)
    raise ValueError(f"no part {part!r}; there are {', '.join(PARTS)}")


def export(model: Sam2, part: str, path: Path) -> Signature:
    """Writes a part to an ONNX file with its weights inside.

    Needs a model built with attention="masked", whose operators ONNX has. Raises UserError where onnxscript is missing.
    """
    if model.attention.attend.__name__ != "masked":
        raise ValueError("a model is exported that was built with attention='masked'")
    told = signature(model, part)
    shapes = {name: dict.fromkeys(told.dynamic.get(name, {}), torch.export.Dim.DYNAMIC) or None for name in told.inputs}
    check_installed()
    with torch.no_grad():
        torch.onnx.export(
            told.module, tuple(told.inputs.values()), path, input_names=list(told.inputs),
            output_names=list(told.outputs), dynamic_shapes=tuple(shapes.values()), opset_version=OPSET, dynamo=True,
            external_data=False, verbose=False,
        )  # fmt: skip
    return told
