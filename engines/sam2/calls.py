"""The four parts of a loaded model as calls that can be made again, for whoever measures them."""

from __future__ import annotations

from functools import partial
from typing import Any

from engines.backends.torch_backend import TorchEngine, find_device, to_device
from engines.sam2.attend import masked
from engines.sam2.build import Sam2
from engines.sam2.export import module
from engines.sam2.parts import PARTS, spec
from engines.work import Call, Work


def calls(model: Sam2, frames: int, objects: int) -> list[Call]:
    """Of `frames` encoded together and `objects` followed, memory full, as a tracker runs them: on a GPU by CUDA
    graphs, on a CPU objects one by one. A part of which there are 0 is left out."""
    cuda, kind = model.device.startswith("cuda"), str(model.dtype).removeprefix("torch.")
    found = []
    for part in PARTS:
        rows = frames if part == "encoder" else min(objects, model.together or objects)
        if not rows:
            continue
        told = spec(f"sam2-{part}", part, model.side, "", kind)
        engine = TorchEngine(
            told, module(model, part), device=model.device, graphs=cuda, buckets=(rows,) if cuda else None
        )
        inputs: dict[str, Any] = dict(told.random(0, told.usual(**{told.batch: rows})))
        if cuda:
            at = find_device(model.device)
            inputs = {t.name: to_device(inputs[t.name], t.dtype, at) for t in told.inputs}
        count = partial(_counted, model, engine, inputs)
        found.append(Call(told.name, engine.backend, rows, partial(engine.run, inputs), count))
    return found


def _counted(model: Sam2, engine: TorchEngine, inputs: dict[str, Any]) -> Work:
    """With attention in its plain form, which the counter sees through."""
    way, model.attention.attend = model.attention.attend, masked
    try:
        return engine.work(inputs)
    finally:
        model.attention.attend = way
