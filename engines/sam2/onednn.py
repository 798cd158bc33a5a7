"""Linear layers by oneDNN, for CPUs in float32: about a tenth quicker than the BLAS that PyTorch takes for them.

It adds one product after the other, which rounds two to three times as coarsely as a BLAS that adds in blocks.
The operators are those that torch.compile lowers linear layers to; they have no public name, so that a PyTorch without
them leaves everything as it was.
"""

from __future__ import annotations

import torch
from torch import nn

ACTIVATIONS: dict[type, tuple[str, str]] = {nn.GELU: ("gelu", "none"), nn.ReLU: ("relu", "")}
"""What can be taken along in the same pass: oneDNN's name of it, and which way it is computed."""


def available() -> bool:
    ops = torch.ops.mkldnn
    return bool(torch.backends.mkldnn.is_available()) and hasattr(ops, "_linear_pointwise")


def product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """a [M, K] times b [N, K] transposed: [M, N], float32."""
    if not available():
        return a @ b.t()
    return torch.ops.mkldnn._linear_pointwise(a, b, None, "none", [], "")


class PackedLinear(nn.Module):
    """A linear layer whose weight lies as oneDNN reads it, and an activation after it."""

    def __init__(self, layer: nn.Linear, activation: tuple[str, str] = ("none", "")) -> None:
        super().__init__()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach().contiguous())
        self.bias = None if layer.bias is None else layer.bias.detach()
        self.activation = activation

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        name, way = self.activation
        return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, name, [], way)


def pack(module: nn.Module) -> nn.Module:
    """Puts a PackedLinear in place of every linear layer inside, and of what follows those of MLPs; gives it back."""
    if type(module).__name__ == "MLP" and type(module.act) in ACTIVATIONS:
        *inner, last = module.layers
        activation = ACTIVATIONS[type(module.act)]
        module.layers = nn.ModuleList([*(PackedLinear(layer, activation) for layer in inner), PackedLinear(last)])
        module.act = nn.Identity()
    for name, child in module.named_children():
        if isinstance(child, nn.Linear):
            setattr(module, name, PackedLinear(child))
        else:
            pack(child)
    return module
