"""What goes into each of SAM 2.1's four parts and what comes out: names, shapes, types and dynamic axes (no tensor)."""

from __future__ import annotations

from engines.sam2.variants import STRIDE
from engines.spec import Axis, EngineSpec, TensorSpec

PARTS = ("encoder", "decoder", "memory", "attention")
MEMORIES, POINTERS = 7, 16
LICENCE = "Apache-2.0"
_OBJECTS, _FRAMES, _POINTS = Axis("n", 1, 2, 16), Axis("b", 1, 1, 8), Axis("p", 1, 2, 8)


def spec(name: str, part: str, side: int, weights: str, kind: str = "float32") -> EngineSpec:
    """A part's tensors for inputs of `side` pixels; random ones name frame 0, and memories and pointers that are there.

    kind: the model's type; prompts, masks and scores are float32 in every one. Raises ValueError for another part.
    """
    if part not in PARTS:
        raise ValueError(f"no part {part!r}; there are {', '.join(PARTS)}")
    t, grid = TensorSpec, side // STRIDE
    cells = grid * grid
    frame = t("frame", ("n",), "int64")
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    if part == "encoder":
        inputs = (t("frames", ("b", 3, side, side), kind, low=-2, high=2),)
        outputs = (
            t("top", ("b", cells, 256), kind), t("mid", ("b", 64, 2 * grid, 2 * grid), kind),
            t("high", ("b", 32, 4 * grid, 4 * grid), kind),
        )  # fmt: skip
        return EngineSpec(name, inputs, outputs, LICENCE, weights, (_FRAMES,), "b")
    if part == "decoder":
        inputs = (
            t("tokens", ("n", cells, 256), kind, low=-1), t("mid", ("n", 64, 2 * grid, 2 * grid), kind, low=-1),
            t("high", ("n", 32, 4 * grid, 4 * grid), kind, low=-1), t("points", ("n", "p", 2), high=side),
            t("labels", ("n", "p"), "int32", 0, 2), t("mask", ("n", 1, 4 * grid, 4 * grid), low=-8, high=8),
            t("has_mask", ("n",), "bool"), t("multimask", ("n",), "bool"),
        )  # fmt: skip
        outputs = (
            t("logits", ("n", 1, 4 * grid, 4 * grid)), t("pointer", ("n", 256)), t("score", ("n", 1)), t("iou", ("n",)),
        )  # fmt: skip
        return EngineSpec(name, inputs, outputs, LICENCE, weights, (_OBJECTS, _POINTS), "n")
    top = t("top", ("b", cells, 256), kind, low=-1)
    if part == "memory":
        inputs = (
            top, frame, t("logits", ("n", 1, 4 * grid, 4 * grid), low=-8, high=8), t("score", ("n", 1), low=-4, high=8),
            t("prompted", ("n",), "bool"),
        )  # fmt: skip
        outputs = (t("memory", ("n", cells, 64), kind),)
        return EngineSpec(name, inputs, outputs, LICENCE, weights, (_OBJECTS, _FRAMES), "n")
    inputs = (
        top, frame, t("memory", ("n", MEMORIES, cells, 64), kind, low=-1),
        t("age", ("n", MEMORIES), "int64", 0, MEMORIES),
        t("pointers", ("n", POINTERS, 256), kind, low=-1), t("distance", ("n", POINTERS), "int64", 1, POINTERS),
    )  # fmt: skip
    outputs = (t("tokens", ("n", cells, 256), kind),)
    return EngineSpec(name, inputs, outputs, LICENCE, weights, (_OBJECTS, _FRAMES), "n")
