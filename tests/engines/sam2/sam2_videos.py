"""Videos, prompts and the peer's answers that the tests of engines/sam2 hold ours against."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from bench import sam2_peer
from engines.sam2.prompt import Prompt

SIDE = 256


def prompts(count: int, side: int = SIDE) -> list[Prompt]:
    """Of all kinds in turn: a box, one point, a mask, two points, a box with a point."""
    mask = torch.zeros(side, side, dtype=torch.bool)
    mask[side // 8 : side // 3, side // 4 : side // 2] = True
    a, b, c = side / 10, side / 4, side / 2
    kinds = [
        Prompt(box=(a, a, b, c)),
        Prompt(points=((b, c),), labels=(1,)),
        Prompt(mask=mask),
        Prompt(points=((c, c), (a, b)), labels=(1, 0)),
        Prompt(box=(b, b, 3 * b, c + a), points=((c, b + a),), labels=(1,)),
    ]
    return [kinds[i % len(kinds)] for i in range(count)]


def tell(peer: Any, state: Any, frame: int, name: int, prompt: Prompt) -> None:
    """Prompts the peer."""
    if prompt.mask is not None:
        peer.add_new_mask(state, frame, name, prompt.mask)
        return
    points, labels = list(prompt.points) or None, list(prompt.labels) or None
    peer.add_new_points_or_box(state, frame, name, points=points, labels=labels, box=prompt.box)


def followed(peer: Any, frames: torch.Tensor, given: Sequence[Prompt], at: int = 0) -> torch.Tensor:
    """[T - at, objects, s/4, s/4]: what the peer makes of prompts on frame `at`."""
    state = sam2_peer.state(peer, frames)
    for name, prompt in enumerate(given):
        tell(peer, state, at, name, prompt)
    for _ in peer.propagate_in_video(state, start_frame_idx=at):
        pass
    return sam2_peer.logits(state, at)
