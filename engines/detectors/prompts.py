"""What Grounding DINO is asked for: names into tokens, and which tokens are which name's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.detectors.shapes import MOST_NAMES, GroundingShape
from engines.errors import UserError

EVERYDAY = (
    "person", "dog", "cat", "horse", "cow", "sheep", "bird", "car", "truck", "bus", "bicycle", "motorcycle", "boat",
    "sports ball",
)  # fmt: skip
"""What is looked for where nobody says what."""


@dataclass(frozen=True, slots=True)
class Prompts:
    """names: as they were asked for. ids: [1, l] int64. used: [1, l] bool, no padding. spans: [p, l] bool, the tokens
    of each name, rows beyond the names empty."""

    names: tuple[str, ...]
    ids: NDArray[np.int64]
    used: NDArray[np.bool_]
    spans: NDArray[np.bool_]


def check_names(names: Sequence[str], most: int = MOST_NAMES) -> None:
    """Raises UserError where there are none, more than `most`, or one that the network cannot be told."""
    if not names:
        raise UserError("nothing to look for: name at least one thing")
    for name in names:
        if not name.strip() or set(name) & set(".?"):
            raise UserError(f"cannot look for {name!r}: wanted words, without full stops and question marks")
    if len(names) > most:
        besides = f" ({len(EVERYDAY)} of them the everyday ones)" if set(EVERYDAY) <= set(names) else ""
        raise UserError(f"{len(names)} things to look for{besides}: {most} fit, leave some out")


def encode(names: Sequence[str], tokenizer: Any, shape: GroundingShape) -> Prompts:
    """The names as one caption, "dog. red car.", which is how the network was trained.

    Raises UserError where there are none, one is empty or holds a full stop or a question mark (which end a name to
    the network), or they are too many or too long."""
    check_names(names, shape.names)
    caption, starts = "", []
    for name in names:
        starts.append(len(caption))
        caption += f"{name.strip().lower()}. "
    told = tokenizer(caption.rstrip(), return_offsets_mapping=True)
    ids, offsets = told["input_ids"], told["offset_mapping"]
    if len(ids) > shape.tokens:
        raise UserError(f"what to look for has {len(ids)} tokens: {shape.tokens} fit, leave some out")
    spans = np.zeros((shape.names, shape.tokens), np.bool_)
    for row, (name, start) in enumerate(zip(names, starts, strict=True)):
        end = start + len(name.strip())
        spans[row, [i for i, (a, b) in enumerate(offsets) if start <= a < b <= end]] = True
    padded = np.full((1, shape.tokens), tokenizer.pad_token_id, np.int64)
    padded[0, : len(ids)] = ids
    return Prompts(tuple(names), padded, np.arange(shape.tokens)[None] < len(ids), spans)
