"""Small pieces that the parts of SAM 2 are put together from."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class ChannelNorm(nn.Module):
    """LayerNorm over the channels of [N, C, H, W] by the fused kernel, which adds in float32 whatever the type.

    The same sum as sam2.modeling.sam2_utils.LayerNorm2d, which takes six passes and rounds between them.
    """

    def __init__(self, weight: nn.Parameter, bias: nn.Parameter, eps: float) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = weight, bias, eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        last = functional.layer_norm(x.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias, self.eps)
        return last.permute(0, 3, 1, 2)


def fuse_norms(module: nn.Module) -> nn.Module:
    """Puts a ChannelNorm in place of every LayerNorm2d inside, which may be a copy of the caller's; gives it back."""
    for name, child in module.named_children():
        if type(child).__name__ == "LayerNorm2d":
            setattr(module, name, ChannelNorm(child.weight, child.bias, child.eps))
        else:
            fuse_norms(child)
    return module


def linear(weight: torch.Tensor, bias: torch.Tensor) -> nn.Linear:
    """A linear layer of weight [out, in] and bias [out]."""
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight = nn.Parameter(weight.detach().clone().contiguous(), requires_grad=False)
    layer.bias = nn.Parameter(bias.detach().clone(), requires_grad=False)
    return layer


def pointwise(conv: nn.Conv2d) -> nn.Linear:
    """A 1 x 1 convolution as a linear layer over channels-last pixels."""
    return linear(conv.weight[:, :, 0, 0], conv.bias)


def chain(first: nn.Linear, then: nn.Linear) -> nn.Linear:
    """Two linear layers as the one that they are together, multiplied in float64."""
    weight = then.weight.double() @ first.weight.double()
    bias = then.weight.double() @ first.bias.double() + then.bias.double()
    return linear(weight.to(first.weight.dtype), bias.to(first.weight.dtype))


def per_object(x: torch.Tensor, frame: torch.Tensor) -> torch.Tensor:
    """Frames' tensors [B, ...] as objects' [N, ...] by frame [N] int64; one frame is left to broadcast: [1, ...]."""
    return x if x.shape[0] == 1 else x.index_select(0, frame)


def cast(part: nn.Module, device: str, dtype: torch.dtype) -> nn.Module:
    """Brings a part to a device, and all of it to a type but what its `exact` names (prefixes), which stays float32."""
    exact = getattr(part, "exact", ())
    for prefix, module in part.named_modules():
        for tensors in (module._parameters, module._buffers):
            for name, value in tensors.items():
                if value is None:
                    continue
                keep = f"{prefix}.{name}".lstrip(".").startswith(exact) if exact else False
                kind = dtype if value.is_floating_point() and not keep else value.dtype
                moved = value.detach().to(device=device, dtype=kind)
                tensors[name] = nn.Parameter(moved, requires_grad=False) if isinstance(value, nn.Parameter) else moved
    return part.eval()
