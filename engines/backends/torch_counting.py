"""The work of a torch module, counted by PyTorch's own counter while it runs once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from engines.work import Work

DTYPES = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}


def work(module: torch.nn.Module, inputs: Sequence[torch.Tensor], dtype: torch.dtype | None = None) -> Work:
    """Of a call with these inputs, in the type of most weights. dtype: of autocast, where there is one. Kernels of
    Triton are not seen."""
    linear = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
    with torch.no_grad(), FlopCounterMode(display=False, custom_mapping={linear: _linear} if linear else {}) as counter:
        found = module(*inputs)
    outputs = [found] if isinstance(found, torch.Tensor) else list(found)
    weights = _weights(module)
    moved = sum(t.numel() * t.element_size() for t in (*weights, *inputs, *outputs))
    held = Counter[torch.dtype]()
    for tensor in weights:
        held[tensor.dtype] += tensor.numel()
    kind = dtype or next((most for most, _ in held.most_common(1)), inputs[0].dtype)
    return Work(counter.get_total_flops(), moved, inputs[0].device.type, DTYPES.get(kind, "fp32"))


def _linear(x: Sequence[int], weight: Sequence[int], *args: Any, out_shape: Sequence[int], **kwargs: Any) -> int:
    """oneDNN's linear layer, which the counter does not know: x [..., K], weight [N, K]."""
    return 2 * prod(out_shape) * x[-1]


def _weights(module: torch.nn.Module) -> list[torch.Tensor]:
    """Parameters, buffers, and tensors that a layer holds beside them (packed ones), each once."""
    held = (
        tensor for layer in module.modules()
        for tensor in (*layer._parameters.values(), *layer._buffers.values(), *vars(layer).values())
    )  # fmt: skip
    return list({id(t): t for t in held if isinstance(t, torch.Tensor)}.values())
