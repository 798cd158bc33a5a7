"""Following an object back through the frames before it was found: Strefer's backward pass, within a bound.

SAM 2 followed in reverse is SAM 2 on the frames in reverse order: it counts how far frames are apart, not which way
(held against SAM2VideoPredictor.propagate_in_video(reverse=True) in the tests).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from engines.sam2.build import Sam2
from engines.sam2.encoder import Features
from engines.sam2.prompt import Prompt
from engines.sam2.tracker import Tracker


def backward(
    model: Sam2, features: Sequence[Features], *prompts: Prompt, tracker: Tracker | None = None
) -> torch.Tensor:
    """[T - 1, N, s/4, s/4] float32: logits of N objects on the frames before the one that they are prompted on.

    features: of T frames of one feed, one each, oldest first; the prompts are for the last. What is to be looked back
    on is the caller's to keep and to bound.
    tracker: lends its slots (and, with graphs, its graphs), which are free again afterwards; else one is made for this.
    """
    if not features or not prompts:
        raise ValueError(f"{len(features)} frames and {len(prompts)} prompts: wanted one of each or more")
    lent = tracker or Tracker(model, slots=len(prompts))
    slots: dict[int, int] = {}
    found = []
    try:
        for prompt in prompts:
            slots[lent.add(features[-1], 0, prompt)[0]] = 0
        for frame in reversed(features[:-1]):
            found.append(lent.step(frame, slots).logits)
    finally:
        for slot in slots:
            lent.remove(slot)
    low = 4 * model.grid
    return torch.stack(found[::-1]) if found else torch.zeros(0, len(prompts), low, low, device=model.device)
