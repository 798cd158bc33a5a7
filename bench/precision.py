"""What fp16 and int8 cost lite's mask networks, and what they save: milliseconds a crop and mask IoU against fp32.

    python -m bench.precision [--crops N] [--seconds S] [--device cpu|cuda] [--backend onnxruntime|tensorrt]

Real crops of the sample clips (STREFER_SAMPLES), the networks of STREFER_MODELS. The int8 variants are calibrated on
the first `building.CALIBRATION` crops, and judged on those after them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from engines.backends import Engine
from engines.building import CALIBRATION
from engines.cache import Cache
from engines.errors import UserError
from engines.networks import Network, lite
from engines.opening import How, open_engine
from engines.spec import Arrays
from engines.store import environment_cache, environment_store
from engines.timing import measure
from kernels.iou import mask_iou
from stream.profiling.machine import facts

MASKS = {"blazepose-full": "Identity_2", "deeplabv3-voc": "ResizeBilinear_3"}
"""The networks that give masks, and the output that holds them."""


def masks(network: Network, engine: Engine, crops: Sequence[Arrays]) -> NDArray[np.bool_]:
    """[N, S, S] bool: a person's logit over 0, or any category before the background."""
    name = MASKS[network.name]
    out = np.concatenate([engine.run(x)[name] for x in crops])
    return np.asarray(out[..., 0] > 0 if out.shape[-1] == 1 else out.argmax(axis=-1) > 0)


def ious(ours: NDArray[np.bool_], theirs: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Of each pair of which one shows anything."""
    pairs = [(a, b) for a, b in zip(ours, theirs, strict=True) if a.any() or b.any()]
    return np.array([mask_iou(a[None], b[None])[0, 0] for a, b in pairs])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--crops", type=int, default=24, help="crops judged")
    parser.add_argument("--seconds", type=float, default=1.0, help="how long each is timed")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--backend", default="onnxruntime")
    args = parser.parse_args()
    networks = [n for n in lite(environment_store()) if n.name in MASKS and n.onnx and n.real]
    cache = Cache(environment_cache() / "engines", say=print)
    console = Console(width=140)
    for name, value in facts().items():
        console.print(f"{name}: {value}")
    table = Table(
        "network", "backend", "precision", "MB", "best ms", "median ms", "mask IoU, mean", "least", "crops", box=None
    )
    for network in networks:
        crops = network.real(CALIBRATION + args.crops)[CALIBRATION:] if network.real else []
        if not crops:
            raise SystemExit("no crops: set STREFER_SAMPLES to a folder of clips")
        first = open_engine(network, How("onnxruntime-cpu"), cache)
        reference = masks(network, first, crops)
        ways = [(How(args.backend, p, args.device)) for p in ("fp32", "fp16", "int8")]
        if network.tflite is not None and args.device == "cpu":
            ways.insert(0, How("litert"))
        for how in ways:
            try:
                engine = open_engine(network, how, cache)
            except UserError as e:
                console.print(f"{how.backend} {how.precision}: {e}")
                continue
            found = ious(masks(network, engine, crops), reference)
            path = getattr(engine, "path", None)
            size = f"{path.stat().st_size / 1e6:.1f}" if path is not None else "-"
            t = measure(partial(engine.run, crops[0]), seconds=args.seconds)
            table.add_row(network.name, engine.backend, how.precision, size, f"{t.best_ms:.1f}", f"{t.median_ms:.1f}",
                          f"{found.mean():.4f}", f"{found.min():.4f}", str(len(found)))  # fmt: skip
    console.print(table)


if __name__ == "__main__":
    main()
