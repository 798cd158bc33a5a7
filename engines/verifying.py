"""One engine against its network's reference, on random and on real inputs."""

from __future__ import annotations

from collections.abc import Iterator

from engines import compare
from engines.backends import Engine
from engines.networks import Network
from engines.opening import How, reference

REAL_BATCH = 4


def verified(
    network: Network, how: How, engine: Engine, randoms: int, reals: int, missing: list[str]
) -> Iterator[tuple[str, compare.Difference]]:
    """What was compared (`6 random`, `12 real`) with the difference of each output. Where there are no real inputs, one
    line is added to `missing`."""
    base, singly = reference(network, how)
    rows = list(network.real(reals)) if network.real and reals else []
    if reals and not rows:
        missing.append(f"{network.name}: no real inputs (they want clips in STREFER_SAMPLES, and yolox-nano)")
    batches = compare.stack(network.spec, rows, REAL_BATCH)
    kinds = ((f"{randoms} random", compare.random_inputs(network.spec, randoms)), (f"{len(rows)} real", batches))
    for kind, inputs in kinds:
        if inputs:
            for difference in compare.differences(
                engine, compare.RowByRow(base) if singly else base, inputs, network.align
            ):
                yield kind, difference
