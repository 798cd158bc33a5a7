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

from engines.export import export_onnx
from engines.sam2.build import Sam2
from engines.sam2.parts import PARTS, spec


@dataclass(frozen=True, slots=True)
class Signature:
    """A part's module, an example of its inputs by name, and its outputs' names."""

    module: nn.Module
    inputs: dict[str, torch.Tensor]
    outputs: tuple[str, ...]


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


def module(model: Sam2, part: str) -> nn.Module:
    """A part as it is exported. Raises ValueError for another part."""
    if part == "decoder":
        return PromptedDecoder(model.decoder)
    if part not in PARTS:
        raise ValueError(f"no part {part!r}; there are {', '.join(PARTS)}")
    found: nn.Module = getattr(model, part)
    return found


def signature(model: Sam2, part: str, *, frames: int = 2, objects: int = 3, points: int = 2) -> Signature:
    """A part, with random inputs of these counts, fill levels differing. Raises ValueError for another part."""
    side, grid, kind = model.side, model.grid, model.dtype
    cells = grid * grid
    generator = torch.Generator().manual_seed(0)

    def noise(*shape: int, of: torch.dtype = kind) -> torch.Tensor:
        return torch.randn(*shape, generator=generator).to(model.device, of)

    def count(*values: int) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.int64, device=model.device)

    n, frame, exact = objects, count(*(i % frames for i in range(objects))), torch.float32
    inputs: dict[str, torch.Tensor] = {}
    if part == "encoder":
        inputs = {"frames": noise(frames, 3, side, side)}
    elif part == "decoder":
        inputs = {
            "tokens": noise(n, cells, 256),
            "mid": noise(n, 64, 2 * grid, 2 * grid), "high": noise(n, 32, 4 * grid, 4 * grid),
            "points": side / 2 + noise(n, points, 2, of=exact),
            "labels": torch.ones(n, points, dtype=torch.int32, device=model.device),
            "mask": noise(n, 1, 4 * grid, 4 * grid, of=exact),
            "has_mask": count(*(i % 2 for i in range(n))).bool(),
            "multimask": count(*(i % 3 > 0 for i in range(n))).bool(),
        }  # fmt: skip
    elif part == "memory":
        inputs = {
            "top": noise(frames, cells, 256), "frame": frame,
            "logits": noise(n, 1, 4 * grid, 4 * grid, of=exact), "score": noise(n, 1, of=exact),
            "prompted": count(*(i % 2 for i in range(n))).bool(),
        }  # fmt: skip
    elif part == "attention":
        fills = [1 + (3 * i) % model.memories for i in range(n)]
        ages = [[6, *range(f - 1), *[-1] * (model.memories - f)] for f in fills]
        distances = [[20, *range(1, 2 * f), *[-1] * (model.pointers - 2 * f)] for f in fills]
        inputs = {
            "top": noise(frames, cells, 256), "frame": frame, "memory": noise(n, model.memories, cells, 64),
            "age": torch.tensor(ages, device=model.device), "pointers": noise(n, model.pointers, 256),
            "distance": torch.tensor([d[: model.pointers] for d in distances], device=model.device),
        }  # fmt: skip
    return Signature(module(model, part), inputs, tuple(t.name for t in spec(part, part, side, "").outputs))


def export(model: Sam2, part: str, path: Path) -> Signature:
    """Writes a part to an ONNX file with its weights inside.

    Needs a model built with attention="masked", whose operators ONNX has. Raises UserError where onnxscript is missing.
    """
    if model.attention.attend.__name__ != "masked":
        raise ValueError("a model is exported that was built with attention='masked'")
    told = signature(model, part)
    export_onnx(told.module, spec(part, part, model.side, "", str(model.dtype).removeprefix("torch.")), path)
    return told
