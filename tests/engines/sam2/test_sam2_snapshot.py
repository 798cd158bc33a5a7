"""Objects that leave a tracker as bytes and come back."""

from __future__ import annotations

import pytest
import torch
from sam2_videos import prompts

from engines.sam2.build import Sam2, build
from engines.sam2.history import History
from engines.sam2.snapshot import _joined, last_mask
from engines.sam2.tracker import Tracker


def begun(model: Sam2, frames: torch.Tensor, count: int = 9) -> tuple[Tracker, list[int]]:
    tracker = Tracker(model, slots=3)
    features = tracker.encode(frames[:1])
    slots = [tracker.add(features, 0, prompt)[0] for prompt in prompts(2)]
    for t in range(1, count):
        tracker.step(tracker.encode(frames[t : t + 1]), dict.fromkeys(slots, 0))
    return tracker, slots


@pytest.mark.slow
def test_an_object_goes_on_from_a_snapshot_exactly(mini: Sam2, frames: torch.Tensor) -> None:
    """In another tracker and another slot."""
    tracker, slots = begun(mini, frames)
    data = tracker.snapshot(slots[1])
    assert data == tracker.snapshot(slots[1])
    other = Tracker(mini, slots=5)
    other.add(other.encode(frames[:1]), 0, prompts(1)[0])
    slot = other.restore(data)
    assert slot != slots[1] or len(other.objects) == 2
    for t in range(9, 13):
        features = tracker.encode(frames[t : t + 1])
        wanted, found = tracker.step(features, {slots[1]: 0}), other.step(features, {slot: 0})
        assert torch.equal(wanted.logits, found.logits)
        assert torch.equal(wanted.score, found.score)
    assert other.snapshot(slot) == tracker.snapshot(slots[1])


@pytest.mark.slow
def test_an_object_is_followed_anew_from_its_last_mask(mini: Sam2, frames: torch.Tensor) -> None:
    tracker, slots = begun(mini, frames)
    data = tracker.light_snapshot(slots[0])
    last = tracker.bank.last[slots[0]]
    assert len(data) < last.numel()
    other = Tracker(mini, slots=1)
    _, logits = other.resume(other.encode(frames[8:9]), 0, data)
    together, either = ((logits > 0) & last).sum(), ((logits > 0) | last).sum()
    assert together / either >= 0.95


@pytest.mark.parametrize("data", [b"", b"\x04\x00\x00\x00nope", b"\x02\x00\x00\x00{}", b"\xff\xff\xff\xff"])
def test_bytes_that_are_no_snapshot_are_told(data: bytes, mini: Sam2) -> None:
    tracker = Tracker(mini, slots=1)
    with pytest.raises(ValueError, match="no snapshot"):
        tracker.restore(data)
    tracker.restore(begun(mini, torch.zeros(1, 3, 256, 256), 1)[0].snapshot(1))  # the slot was given back


def test_a_snapshot_of_other_settings_or_cut_short_is_refused(mini: Sam2, frames: torch.Tensor) -> None:
    tracker, slots = begun(mini, frames, 2)
    data = tracker.snapshot(slots[0])
    with pytest.raises(ValueError, match="does not fit"):
        Tracker(mini, slots=1, prompts=2).restore(data)
    for damaged in (data[:-1], data + b"x", data[:5000] + bytes([data[5000] ^ 255]) + data[5001:]):
        with pytest.raises(ValueError, match="checksum"):
            Tracker(mini, slots=1).restore(damaged)
    other = build("mini", image_size=256, seed=5)
    with pytest.raises(ValueError, match="does not fit"):
        Tracker(other, slots=1).restore(data)
    with pytest.raises(ValueError, match="does not fit"):
        tracker.restore(tracker.light_snapshot(slots[0]))
    with pytest.raises(ValueError, match="an exact one"):
        tracker.resume(tracker.encode(frames[:1]), 0, data)


@pytest.mark.parametrize(
    "history",
    [
        History(prompted=[(0, 8)], now=2), History(prompted=[(0, -1)], now=2), History(prompted=[(5, 0)], now=2),
        History(frames=0), History(now="x"), History(prompted=[(0, 0), (1, 0)], prompts=2, now=2),
        History(tracked=[3], now=3), History(prompted=[(0, 0), (1, 1)], now=4),
    ],
)  # fmt: skip
def test_a_history_that_would_reach_into_anothers_rows_is_refused(history: History) -> None:
    with pytest.raises(ValueError, match="its"):
        history.check()


@pytest.mark.parametrize(("size", "body"), [([0, 0], b""), ([100_000, 100_000], b"x"), ([64, 64], b"x"), ("no", b"")])
def test_a_mask_that_is_none_is_refused(size: object, body: bytes) -> None:
    with pytest.raises(ValueError, match="damaged"):
        last_mask(_joined({"version": 2, "mask": size}, body))
