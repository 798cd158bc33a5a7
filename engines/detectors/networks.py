"""The detectors as engines: what `strefer engines` lists, builds, verifies and times, and how they are opened."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from engines import real
from engines.catalogue import find
from engines.detectors.align import align
from engines.detectors.prompts import EVERYDAY, Prompts, encode
from engines.detectors.shapes import GROUNDING_DINO_TINY, RF_DETR_MEDIUM, GroundingShape, RfDetrShape
from engines.networks import Network
from engines.spec import Arrays, Axis, EngineSpec, TensorSpec
from engines.store import Store

RF_DETR, GROUNDING_DINO, GROUNDING_TEXT = "rf-detr-medium", "grounding-dino-tiny", "grounding-dino-tiny-text"
_BATCH = Axis("n", 1, 4, 16)
_OUTPUTS = ("boxes", "scores", "labels")


@dataclass(frozen=True, slots=True)
class GroundingFiles:
    """Where Grounding DINO's files lie. sha256: of the weights."""

    weights: Path
    config: Path
    words: Path
    sha256: str


def networks(store: Store) -> tuple[Network, ...]:
    """All of them, each with a torch form where its files are on this machine; what reads Grounding DINO's prompts
    only there."""
    item = find(RF_DETR)
    files = grounding_files(store)
    return (
        rf_detr(RF_DETR_MEDIUM, store.locate(item), item.sha256, store),
        *grounding_dino(GROUNDING_DINO_TINY, files, store)[: 1 if files is None else 2],
    )


def rf_detr(shape: RfDetrShape, weights: Path | None, sha256: str, store: Store) -> Network:
    """RF-DETR of this shape; without weights it has no form."""
    spec = _spec(RF_DETR, sha256, shape.side, shape.queries, ())
    return Network(
        spec,
        "finds 80 COCO categories",
        module=None if weights is None else partial(_rf_detr, shape, weights),
        real=partial(_real, store, shape.side, corner=False, given=dict),
        calibration=partial(real.fingerprint, store),
        align=align,
    )


def grounding_dino(shape: GroundingShape, files: GroundingFiles | None, store: Store) -> tuple[Network, Network]:
    """What looks at frames and what reads the prompts, once a set of them; without files they have no form."""
    t = TensorSpec
    ids = t("ids", (1, shape.tokens), "int64", 0, shape.vocabulary)
    text = t("text", (1, shape.tokens, shape.dim), low=-1)
    sha256 = find(GROUNDING_DINO).sha256 if files is None else files.sha256
    more = (
        t("extent", ("n", 2), low=shape.side // 2, high=shape.side), text, ids,
        t("used", (1, shape.tokens), "bool"), t("spans", (shape.names, shape.tokens), "bool"),
    )  # fmt: skip
    frames = Network(
        _spec(GROUNDING_DINO, sha256, shape.side, shape.keep, more),
        "finds what it is told to look for",
        module=None if files is None else lambda: grounded(shape, files)[0],
        real=partial(_real, store, shape.side, corner=True, given=partial(_everyday, shape, files)),
        calibration=partial(real.fingerprint, store),
        align=align,
    )
    reads = Network(
        EngineSpec(GROUNDING_TEXT, (ids,), (text,), "Apache-2.0", sha256),
        "reads what grounding-dino-tiny looks for",
        module=None if files is None else lambda: grounded(shape, files)[1],
    )
    return frames, reads


def grounding_files(store: Store) -> GroundingFiles | None:
    """Grounding DINO's files, where all are on this machine."""
    item = find(GROUNDING_DINO)
    paths = [store.locate(i) for i in (item, *(find(n) for n in item.needs))]
    weights, config, words = paths
    if weights is None or config is None or words is None:
        return None
    return GroundingFiles(weights, config, words, item.sha256)


def _spec(name: str, sha256: str, side: int, keep: int, more: tuple[TensorSpec, ...]) -> EngineSpec:
    t = TensorSpec
    inputs = (t("frames", ("n", 3, side, side), low=-2, high=2.6), t("size", ("n", 2), low=side / 2, high=2 * side))
    outputs = (t("boxes", ("n", keep, 4)), t("scores", ("n", keep)), t("labels", ("n", keep), "int64"))
    return EngineSpec(name, (*inputs, *more), outputs, "Apache-2.0", sha256, (_BATCH,), "n")


def _rf_detr(shape: RfDetrShape, weights: Path) -> Any:
    from engines.detectors import hub, modules

    return modules.RfDetr(hub.rf_detr(shape, weights))


def grounded(shape: GroundingShape, files: GroundingFiles) -> tuple[Any, Any]:
    """The modules of `grounding_dino`, of weights that are read once."""
    from engines.detectors import hub, modules

    model = hub.grounding_dino(files.config, files.weights)
    reads = modules.GroundedText(model)
    return modules.GroundedFrames(model, shape.keep), reads


def told(prompts: Prompts, text: Any) -> dict[str, Any]:
    """The inputs of Grounding DINO that are the same for all frames. text: what it read the prompts' ids as."""
    return {"text": text, "ids": prompts.ids, "used": prompts.used, "spans": prompts.spans}


def _everyday(shape: GroundingShape, files: GroundingFiles | None) -> Arrays:
    from engines.backends.torch_backend import TorchEngine
    from engines.detectors import hub

    assert files is not None, "a network without a form is not run"
    prompts = encode(EVERYDAY, hub.tokenizer(files.words), shape)
    _, reads = grounding_dino(shape, files, Store(Path()))
    return told(prompts, TorchEngine(reads.spec, grounded(shape, files)[1]).run({"ids": prompts.ids})["text"])


def _real(store: Store, side: int, count: int, *, corner: bool, given: Callable[[], Arrays]) -> Sequence[Arrays]:
    """Frames of the clips as the detector hands them to its network, one each."""
    from engines.detectors.detector import prepare

    if store.samples is None:
        return ()
    fixed = given()
    made = (prepare([f], side, corner=corner) for f in islice(real.frames(store.samples), count))
    return [{name: np.asarray(x) for name, x in one.items()} | fixed for one in made]
