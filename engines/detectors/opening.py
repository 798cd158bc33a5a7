"""A detector by its name: its network opened, and what turns frames into its inputs and its outputs into detections."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from engines.backends import Engine
from engines.cache import Cache
from engines.catalogue import find
from engines.detections import BatchDetector
from engines.detectors import hub
from engines.detectors.detector import EngineDetector
from engines.detectors.networks import (
    GROUNDING_DINO,
    RF_DETR,
    GroundingFiles,
    grounded,
    grounding_dino,
    grounding_files,
    rf_detr,
    told,
)
from engines.detectors.prompts import EVERYDAY, encode
from engines.detectors.shapes import GROUNDING_DINO_TINY, RF_DETR_MEDIUM, GroundingShape
from engines.errors import UserError
from engines.labels import COCO_IDS
from engines.lite import Used
from engines.networks import Network
from engines.opening import How, open_engine
from engines.store import Store
from engines.work import Tap, as_it_is

NAMES = (RF_DETR, GROUNDING_DINO)


@dataclass(frozen=True, slots=True)
class Opened:
    """A detector and what to tell of it."""

    detector: BatchDetector
    used: Used


class Grounding:
    """Grounding DINO, loaded. `looking_for` makes a detector of it for a set of names, which it reads once."""

    def __init__(self, frames: Engine, reads: Engine, words: Any, shape: GroundingShape, device: str) -> None:
        self._frames, self._reads, self._words = frames, reads, words
        self._shape, self._device = shape, device

    def looking_for(self, names: Sequence[str]) -> EngineDetector:
        """Finds these, and calls them by these names. Raises UserError where they do not fit (`prompts.encode`)."""
        prompts = encode(names, self._words, self._shape)
        given = told(prompts, self._reads.run({"ids": prompts.ids})["text"])
        placed = {name: torch.from_numpy(x).to(self._device) for name, x in given.items()}
        return EngineDetector(
            self._frames.spec.name, self._frames, prompts.names, device=self._device, given=placed, corner=True
        )


def open_detector(
    name: str, store: Store, how: How, cache: Cache, prompts: Sequence[str] = EVERYDAY, tap: Tap = as_it_is
) -> Opened:
    """One of `NAMES`. prompts: what one that takes words looks for. tap: is shown the engines.

    Raises UserError in one line where its files or what runs it are missing, and ValueError for another name."""
    if name not in NAMES:
        raise ValueError(f"no detector {name!r}; there are {', '.join(NAMES)}")
    item = find(name)
    detector: EngineDetector
    if name == RF_DETR:
        weights = store.locate(item)
        if weights is None:
            raise UserError(store.lack(item))
        detector = open_rf_detr(rf_detr(RF_DETR_MEDIUM, weights, item.sha256, store), how, cache, tap)
    else:
        files = grounding_files(store)
        if files is None:
            raise UserError(store.lack(item))
        detector = open_grounding(GROUNDING_DINO_TINY, files, store, how, cache, tap).looking_for(prompts)
    return Opened(detector, Used(name, item.role, detector.backend, item.sha256))


def usual() -> How:
    """How a detector runs where nobody says: by torch, on a GPU where there is one."""
    return How("torch", device="cuda" if torch.cuda.is_available() else "cpu")


def open_rf_detr(network: Network, how: How, cache: Cache, tap: Tap = as_it_is) -> EngineDetector:
    return EngineDetector(
        network.name, tap(network.name, open_engine(network, how, cache)), COCO_IDS, device=how.device
    )


def open_grounding(
    shape: GroundingShape, files: GroundingFiles, store: Store, how: How, cache: Cache, tap: Tap = as_it_is
) -> Grounding:
    modules = functools.cache(lambda: grounded(shape, files))  # both, once one of them is wanted
    frames, reads = grounding_dino(shape, files, store)
    return Grounding(
        tap(frames.name, open_engine(replace(frames, module=lambda: modules()[0]), how, cache)),
        tap(reads.name, open_engine(replace(reads, module=lambda: modules()[1]), how, cache)),
        hub.tokenizer(files.words), shape, how.device,
    )  # fmt: skip
