"""What an engine is, apart from what runs it: its tensors, the sizes of its dynamic axes, its licence and weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]
DTYPES = ("float32", "float16", "bfloat16", "int64", "int32", "uint8", "bool")
"""bfloat16 is no dtype of NumPy: in host memory such a tensor is float32, and the backend narrows it."""


@dataclass(frozen=True, slots=True)
class Axis:
    """A dynamic axis: the sizes it may have, and the one that is most often met."""

    name: str
    least: int
    usual: int
    most: int

    def __post_init__(self) -> None:
        if not 0 < self.least <= self.usual <= self.most:
            raise ValueError(f"axis {self.name}: wanted 0 < least <= usual <= most, got {self.sizes}")

    @property
    def sizes(self) -> tuple[int, int, int]:
        return self.least, self.usual, self.most


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output. shape: an int is fixed, a name is a dynamic axis. low, high: what random examples span."""

    name: str
    shape: tuple[int | str, ...]
    dtype: str = "float32"
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise ValueError(f"{self.name}: dtype {self.dtype!r}, wanted one of {', '.join(DTYPES)}")

    def sized(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """The shape with these sizes of its axes."""
        return tuple(sizes[d] if isinstance(d, str) else d for d in self.shape)

    @property
    def host_dtype(self) -> np.dtype[Any]:
        return np.dtype("float32" if self.dtype == "bfloat16" else self.dtype)


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """One network as every backend runs it: named tensors in, named tensors out.

    batch: the axis along which rows are independent of each other: it may be padded and cut. weights: sha256 of the
    weights, of which caches are keyed. Names are those of the ONNX file.
    """

    name: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    licence: str
    weights: str
    axes: tuple[Axis, ...] = ()
    batch: str = ""

    def __post_init__(self) -> None:
        used = {d for t in (*self.inputs, *self.outputs) for d in t.shape if isinstance(d, str)}
        named = {a.name for a in self.axes}
        given = {d for t in self.inputs for d in t.shape if isinstance(d, str)}
        if used != named or used != given:
            raise ValueError(
                f"{self.name}: axes told {sorted(named)}, of inputs {sorted(given)}, of all {sorted(used)}"
            )
        if self.batch and self.batch not in named:
            raise ValueError(f"{self.name}: batch axis {self.batch!r} is none of {sorted(named)}")

    @property
    def rows(self) -> Axis:
        """The batch axis; of a spec without one, an axis of 1."""
        return next((axis for axis in self.axes if axis.name == self.batch), Axis("", 1, 1, 1))

    def measure(self, inputs: Mapping[str, Any]) -> dict[str, int]:
        """The sizes of the dynamic axes in these inputs (anything with a shape).

        Raises ValueError where a name, a rank, a fixed size or two inputs do not fit; a size out of its axis' range is
        the backend's business, for only some are bound to it."""
        if set(inputs) != {t.name for t in self.inputs}:
            raise ValueError(f"{self.name} takes {', '.join(t.name for t in self.inputs)}, got {', '.join(inputs)}")
        sizes: dict[str, int] = {}
        for tensor in self.inputs:
            shape = tuple(inputs[tensor.name].shape)
            fits = len(shape) == len(tensor.shape) and all(
                n == (sizes.setdefault(d, n) if isinstance(d, str) else d)
                for n, d in zip(shape, tensor.shape, strict=True)
            )
            if not fits:
                raise ValueError(f"{self.name}: {tensor.name} is {shape}, wanted {tensor.shape} with {sizes}")
        return sizes

    def within(self, sizes: Mapping[str, int]) -> None:
        """Raises ValueError where a size is out of its axis' range."""
        for axis in self.axes:
            if not axis.least <= sizes[axis.name] <= axis.most:
                raise ValueError(
                    f"{self.name}: {axis.name} is {sizes[axis.name]}, built for {axis.least} to {axis.most}"
                )

    def usual(self, **sizes: int) -> dict[str, int]:
        """The usual size of every axis, but for those given."""
        return {axis.name: axis.usual for axis in self.axes} | sizes

    def random(self, seed: int, sizes: Mapping[str, int]) -> Arrays:
        """Random inputs of these sizes: uniform in [low, high), integers and flags likewise; the same for one seed."""
        rng = np.random.default_rng(seed)
        made: Arrays = {}
        for t in self.inputs:
            x = rng.random(t.sized(sizes), np.float32) * np.float32(t.high - t.low) + np.float32(t.low)
            made[t.name] = x >= (t.low + t.high) / 2 if t.dtype == "bool" else x.astype(t.host_dtype)
        return made

    def up_to(self, most: int) -> EngineSpec:
        """The same with a batch axis from 1 to `most`, `most` being usual."""
        axes = tuple(Axis(a.name, 1, most, most) if a.name == self.batch else a for a in self.axes)
        return replace(self, axes=axes)
