"""The four parts of SAM 2.1 as engines: what `strefer engines` lists, builds, verifies and times."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from engines.networks import Network
from engines.sam2.variants import STRIDE, VARIANTS
from engines.spec import Axis, EngineSpec, TensorSpec
from engines.store import Store, sha256

SIDE = 1024
MEMORIES, POINTERS = 7, 16
LICENCE = "Apache-2.0"
ABOUT = {
    "encoder": "SAM 2.1: frames to features",
    "decoder": "SAM 2.1: prompts and memory to masks",
    "memory": "SAM 2.1: a mask to a memory of it",
    "attention": "SAM 2.1: a frame's features in the light of memory",
}
_OBJECTS, _FRAMES, _POINTS = Axis("n", 1, 2, 16), Axis("b", 1, 1, 8), Axis("p", 1, 2, 8)


def networks(store: Store) -> tuple[Network, ...]:
    """The parts of each variant whose weights are in the folder sam2 of STREFER_MODELS, at 1024 pixels."""
    folder = store.folder("sam2")
    if folder is None:
        return ()
    here = {name: folder / v.file for name, v in VARIANTS.items() if v.file and (folder / v.file).is_file()}
    return tuple(n for name, path in here.items() for n in parts(name, side=SIDE, weights=path))


def parts(variant: str, *, side: int, weights: Path | None) -> Sequence[Network]:
    """The parts of one variant for inputs of `side` pixels; weights None: drawn."""
    key = "drawn" if weights is None else sha256(weights)
    return [
        Network(
            _spec(f"sam2.1-{variant}-{part}", part, side, key),
            ABOUT[part],
            module=partial(_module, variant, part, side, weights),
        )
        for part in ABOUT
    ]


def _module(variant: str, part: str, side: int, weights: Path | None) -> Any:
    from engines.sam2.build import build
    from engines.sam2.export import signature

    # The plain form of attention: what exports, and what the others are held against.
    return signature(build(variant, image_size=side, weights=weights, attention="masked"), part).module


def _spec(name: str, part: str, side: int, weights: str) -> EngineSpec:
    """As the wrappers' docstrings tell; random inputs name frame 0, and memories and pointers that are there."""
    t, grid = TensorSpec, side // STRIDE
    cells = grid * grid
    frame = t("frame", ("n",), "int64")
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    if part == "encoder":
        inputs = (t("frames", ("b", 3, side, side), low=-2, high=2),)
        outputs = (
            t("top", ("b", cells, 256)), t("mid", ("b", 64, 2 * grid, 2 * grid)),
            t("high", ("b", 32, 4 * grid, 4 * grid)),
        )  # fmt: skip
        return EngineSpec(name, inputs, outputs, LICENCE, weights, (_FRAMES,), "b")
    if part == "decoder":
        inputs = (
            t("tokens", ("n", cells, 256), low=-1), t("mid", ("n", 64, 2 * grid, 2 * grid), low=-1),
            t("high", ("n", 32, 4 * grid, 4 * grid), low=-1), t("points", ("n", "p", 2), high=side),
            t("labels", ("n", "p"), "int32", 0, 2), t("mask", ("n", 1, 4 * grid, 4 * grid), low=-8, high=8),
            t("has_mask", ("n",), "bool"), t("multimask", ("n",), "bool"),
        )  # fmt: skip
        outputs = (
            t("logits", ("n", 1, 4 * grid, 4 * grid)), t("pointer", ("n", 256)), t("score", ("n", 1)), t("iou", ("n",)),
        )  # fmt: skip
        return EngineSpec(name, inputs, outputs, LICENCE, weights, (_OBJECTS, _POINTS), "n")
    top = t("top", ("b", cells, 256), low=-1)
    if part == "memory":
        inputs = (
            top, frame, t("logits", ("n", 1, 4 * grid, 4 * grid), low=-8, high=8), t("score", ("n", 1), low=-4, high=8),
            t("prompted", ("n",), "bool"),
        )  # fmt: skip
        outputs = (t("memory", ("n", cells, 64)),)
        return EngineSpec(name, inputs, outputs, LICENCE, weights, (_OBJECTS, _FRAMES), "n")
    inputs = (
        top, frame, t("memory", ("n", MEMORIES, cells, 64), low=-1), t("age", ("n", MEMORIES), "int64", 0, MEMORIES),
        t("pointers", ("n", POINTERS, 256), low=-1), t("distance", ("n", POINTERS), "int64", 1, POINTERS),
    )  # fmt: skip
    outputs = (t("tokens", ("n", cells, 256)),)
    return EngineSpec(name, inputs, outputs, LICENCE, weights, (_OBJECTS, _FRAMES), "n")
