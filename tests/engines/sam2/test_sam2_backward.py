"""Looking back from a prompt, against the predictor followed in reverse."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from sam2_videos import prompts, tell

from bench import sam2_peer
from engines.sam2.backward import backward
from engines.sam2.build import Sam2
from engines.sam2.tracker import Tracker

EQUAL = 1e-3
"""As in test_sam2_tracker."""


@pytest.mark.slow
def test_looking_back_equals_the_predictor_in_reverse(mini: Sam2, peer: Any, frames: torch.Tensor) -> None:
    clip, given = frames[:17], prompts(2)
    tracker = Tracker(mini, slots=4)
    features = [tracker.encode(frame[None]) for frame in clip]
    found = backward(mini, features, *given)
    state = sam2_peer.state(peer, clip)
    for name, prompt in enumerate(given):
        tell(peer, state, 16, name, prompt)
    for _ in peer.propagate_in_video(state, start_frame_idx=16, reverse=True):
        pass
    theirs = sam2_peer.logits(state)[:-1]
    error = float((found - theirs).abs().max())
    print(f"16 frames back, 2 objects: {error:.1e}")
    assert error <= EQUAL


def test_lent_slots_are_free_again(mini: Sam2, frames: torch.Tensor) -> None:
    tracker = Tracker(mini, slots=2)
    features = [tracker.encode(frame[None]) for frame in frames[:3]]
    kept, _ = tracker.add(features[0], 0, prompts(1)[0])
    before = tracker.snapshot(kept)
    found = backward(mini, features, prompts(2)[1], tracker=tracker)
    assert torch.equal(found, backward(mini, features, prompts(2)[1]))
    assert list(tracker.objects) == [kept]
    assert tracker.snapshot(kept) == before
    with pytest.raises(ValueError, match="all 2 slots"):
        backward(mini, features, *prompts(2), tracker=tracker)
    assert list(tracker.objects) == [kept]


def test_a_first_frame_has_nothing_before_it(mini: Sam2, frames: torch.Tensor) -> None:
    features = [Tracker(mini, slots=1).encode(frames[:1])]
    assert backward(mini, features, *prompts(2)).shape == (0, 2, 64, 64)
    with pytest.raises(ValueError, match="0 frames and 1 prompts"):
        backward(mini, [], prompts(1)[0])
