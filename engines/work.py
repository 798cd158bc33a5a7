"""What a call of a network takes at the least: its arithmetic, and the bytes that it cannot but move."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Protocol, TypeVar

Shape = Sequence[int]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Work:
    """flops: of convolutions and matrix products only, a multiply-add being two. moved_bytes: weights as they are
    stored, inputs and outputs, each once. device: cpu or cuda. dtype: of the arithmetic: fp32, bf16, fp16."""

    flops: int
    moved_bytes: int
    device: str = "cpu"
    dtype: str = "fp32"


@dataclass(frozen=True, slots=True)
class Call:
    """A call that can be made again. rows: of its batch. run: makes it. work: counts it; raises UserError where what
    runs the network does not tell."""

    name: str
    backend: str
    rows: int
    run: Callable[[], object]
    work: Callable[[], Work]


class Tap(Protocol):
    """Is shown each session or engine that is opened, by name, and may give another in its place.

    Ours tell the `Work` of a run besides: `work(inputs)` runs it for that, and raises UserError where what runs it does
    not tell.
    """

    def __call__(self, name: str, opened: T) -> T: ...


def as_it_is(name: str, opened: T) -> T:
    """The tap that changes nothing."""
    return opened


def flops(operator: str, inputs: Sequence[Shape], output: Shape) -> int:
    """Of an operator of ONNX or TFLite, by the shapes of its inputs and first output; 0 of one that is no convolution
    and no matrix product."""
    if operator in ("Conv", "CONV_2D", "FULLY_CONNECTED"):  # weights [out, in / groups, ...] or [out, ..., in / groups]
        return 2 * prod(output) * prod(inputs[1][1:])
    if operator == "DEPTHWISE_CONV_2D":  # weights [1, h, w, channels]
        return 2 * prod(output) * prod(inputs[1][1:3])
    if operator == "ConvTranspose":  # weights [in, out / groups, ...]
        return 2 * prod(inputs[0]) * prod(inputs[1][1:])
    if operator == "TRANSPOSE_CONV":  # the output's shape, weights [out, h, w, in], then the input
        return 2 * prod(inputs[2]) * prod(inputs[1][:3])
    if operator == "MatMul":
        return 2 * prod(output) * inputs[0][-1]
    if operator in ("Gemm", "BATCH_MATMUL"):  # the left one [m, k], or transposed
        return 2 * prod(output) * (inputs[0][-1] * inputs[0][-2] // output[-2])
    return 0
