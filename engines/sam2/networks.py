"""The four parts of SAM 2.1 as engines: what `strefer engines` lists, builds, verifies and times."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from engines.catalogue import find
from engines.digest import sha256
from engines.networks import Network
from engines.sam2.parts import spec
from engines.sam2.variants import VARIANTS
from engines.store import Store

SIDE = 1024
ABOUT = {
    "encoder": "SAM 2.1: frames to features",
    "decoder": "SAM 2.1: prompts and memory to masks",
    "memory": "SAM 2.1: a mask to a memory of it",
    "attention": "SAM 2.1: a frame's features in the light of memory",
}


def networks(store: Store) -> tuple[Network, ...]:
    """The parts of each variant whose weights are in a folder sam2 of STREFER_MODELS or the cache, at 1024 pixels."""
    found = {name: store.locate(find(f"sam2.1-{name}")) for name, v in VARIANTS.items() if v.file}
    here = {name: path for name, path in found.items() if path is not None}
    return tuple(n for name, path in here.items() for n in parts(name, side=SIDE, weights=path))


def parts(variant: str, *, side: int, weights: Path | None) -> Sequence[Network]:
    """The parts of one variant for inputs of `side` pixels; weights None: drawn."""
    key = "drawn" if weights is None else sha256(weights)
    return [
        Network(
            spec(f"sam2.1-{variant}-{part}", part, side, key),
            ABOUT[part],
            module=partial(_module, variant, part, side, weights),
        )
        for part in ABOUT
    ]


def _module(variant: str, part: str, side: int, weights: Path | None) -> Any:
    from engines.sam2.build import build
    from engines.sam2.export import module

    # The plain form of attention: what exports, and what the others are held against.
    return module(build(variant, image_size=side, weights=weights, attention="masked"), part)
