"""How far a backend's outputs are from the reference's (after Polygraphy: two runners on the same inputs)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.backends import Engine
from engines.spec import Arrays, EngineSpec

BOUNDS = {"fp32": 2e-3, "fp16": 2e-2, "bf16": 8e-2, "int8": 5e-1}
"""Largest error that `verify` lets pass, as a part of the output's largest magnitude. fp32: other kernels and orders of
summation alone. int8: says only that nothing is broken; what it costs masks is for `python -m bench.precision`."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Of one output over all inputs. largest: the reference's largest magnitude. errors absolute."""

    output: str
    max_error: float
    mean_error: float
    largest: float

    @property
    def part(self) -> float:
        """The largest error as a part of the largest magnitude."""
        return self.max_error / max(self.largest, 1e-12)


class RowByRow:
    """An engine given the rows of a batch one at a time: what proves that a batched one keeps them apart."""

    def __init__(self, inner: Engine) -> None:
        self._inner, self.spec, self.backend = inner, inner.spec, inner.backend

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        spec = self.spec
        count = spec.measure(inputs).get(spec.batch, 1)
        rows = [self._inner.run(row(spec, inputs, i)) for i in range(count)]
        return {t.name: np.concatenate([r[t.name] for r in rows], axis=_axis(t.shape, spec)) for t in spec.outputs}


def row(spec: EngineSpec, inputs: Mapping[str, Any], index: int) -> Arrays:
    """One row of a batch; what has no batch axis as it is."""
    return {
        t.name: np.take(inputs[t.name], [index], axis=_axis(t.shape, spec)) if spec.batch in t.shape else inputs[t.name]
        for t in spec.inputs
    }


def stack(spec: EngineSpec, rows: Sequence[Arrays], most: int) -> list[Arrays]:
    """Inputs of one row each, in batches of up to `most`; as they are where there is no batch axis."""
    if not spec.batch:
        return list(rows)
    groups = [rows[i : i + most] for i in range(0, len(rows), most)]
    return [{t.name: _stacked([r[t.name] for r in g], t.shape, spec) for t in spec.inputs} for g in groups]


def _stacked(parts: Sequence[NDArray[Any]], shape: tuple[int | str, ...], spec: EngineSpec) -> NDArray[Any]:
    return np.concatenate(parts, axis=_axis(shape, spec)) if spec.batch in shape else parts[0]


def random_inputs(spec: EngineSpec, count: int) -> list[Arrays]:
    """`count` random inputs; sizes of dynamic axes least, usual, and one between, in turn. Never the most: that is for
    a benchmark."""
    out = []
    for seed in range(count):
        sizes = {a.name: (a.least, a.usual, (a.least + a.usual + 1) // 2)[seed % 3] for a in spec.axes}
        out.append(spec.random(seed, sizes))
    return out


def differences(
    engine: Engine, reference: Engine, inputs: Sequence[Arrays],
    align: Callable[[Arrays, Arrays], tuple[Arrays, Arrays]] | None = None,
) -> list[Difference]:  # fmt: skip
    """One for each output. align: see `Network`. Raises ValueError where there are no inputs."""
    if not inputs:
        raise ValueError("nothing to compare on: no inputs")
    worst = {t.name: [0.0, 0.0, 0.0] for t in engine.spec.outputs}
    counts = dict.fromkeys(worst, 0)
    for x in inputs:
        ours, theirs = engine.run(x), reference.run(x)
        if align is not None:
            ours, theirs = align(ours, theirs)
        for name, found in worst.items():
            a, b = np.asarray(ours[name], np.float64), np.asarray(theirs[name], np.float64)
            if a.shape != b.shape:
                raise ValueError(f"{name} is {a.shape} of {engine.backend}, {b.shape} of {reference.backend}")
            with np.errstate(invalid="ignore"):  # inf less inf
                error = np.abs(a - b)
            error[~np.isfinite(error)] = np.inf
            error[(a == b) | (np.isnan(a) & np.isnan(b))] = 0
            found[0] = max(found[0], float(error.max(initial=0)))
            found[1] += float(error.sum())
            found[2] = max(found[2], float(np.abs(b[np.isfinite(b)]).max(initial=0)))
            counts[name] += error.size
    return [Difference(name, m, total / max(counts[name], 1), top) for name, (m, total, top) in worst.items()]


def _axis(shape: tuple[int | str, ...], spec: EngineSpec) -> int:
    return shape.index(spec.batch) if spec.batch in shape else 0
