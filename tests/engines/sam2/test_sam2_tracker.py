"""The streaming tracker against SAM2VideoPredictor, and against itself in other company."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from sam2_videos import SIDE, followed, prompts

from engines.sam2.bank import Plan
from engines.sam2.build import Sam2, build
from engines.sam2.encoder import Features
from engines.sam2.graphs import GraphTracker, padded
from engines.sam2.prompt import Prompt
from engines.sam2.step import track
from engines.sam2.tracker import Outputs, Tracker, Wanted

EQUAL = 1e-3
"""Greatest difference of a logit from the predictor's, of deviation 3. Memories are kept in bfloat16 and some are cut
at a threshold, by the predictor too: its own logits move by 3e-4 where its frames are changed by 1e-7."""
SAME = 5e-4
"""Greatest difference of a logit between two batches of ours: sums are taken in another order."""


def stream(model: Sam2, frames: torch.Tensor, given: list[Prompt], at: int = 0) -> torch.Tensor:
    """[T - at, objects, s/4, s/4], frame by frame, by ours."""
    tracker = Tracker(model, slots=len(given))
    features = tracker.encode(frames[at : at + 1])
    added = [tracker.add(features, 0, prompt) for prompt in given]
    slots, rows = [slot for slot, _ in added], [torch.stack([logits for _, logits in added])]
    for t in range(at + 1, len(frames)):
        out = tracker.step(tracker.encode(frames[t : t + 1]), dict.fromkeys(slots, 0))
        assert out.slots == tuple(slots)
        rows.append(out.logits)
    return torch.stack(rows)


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 5])
def test_thirty_frames_equal_the_predictors(count: int, mini: Sam2, peer: Any, frames: torch.Tensor) -> None:
    given = prompts(count)
    ours, theirs = stream(mini, frames, given), followed(peer, frames, given)
    error = float((ours - theirs).abs().max())
    print(f"{count} objects, 30 frames: {error:.1e}")
    assert error <= EQUAL
    assert float(theirs.std()) > 1
    if count > 1:  # what one prompt makes of the last frame is not what another makes of it
        assert float((theirs[-1, 0] - theirs[-1, 1]).abs().max()) > max(2 * EQUAL, 5 * error)


@pytest.mark.slow
def test_an_object_added_later_equals_the_predictors(mini: Sam2, peer: Any, frames: torch.Tensor) -> None:
    """One object from frame 0 on, another from frame 10 on, in one batch from then on."""
    first, late = prompts(2)
    clip = frames[:20]
    tracker = Tracker(mini, slots=4)
    features = tracker.encode(clip[:1])
    slots = {tracker.add(features, 0, first)[0]: 0}
    rows = []
    for t in range(1, len(clip)):
        features = tracker.encode(clip[t : t + 1])
        out = tracker.step(features, slots)
        rows.append(out.logits)
        if t == 10:
            slot, logits = tracker.add(features, 0, late)
            slots[slot] = 0
            begun = logits
    early, later = followed(peer, clip, [first]), followed(peer, clip, [late], at=10)
    ours = torch.stack([row[0] for row in rows])
    assert float((ours - early[1:, 0]).abs().max()) <= EQUAL
    ours_late = torch.stack([begun, *(row[1] for row in rows[10:])])
    error = float((ours_late - later[:, 0]).abs().max())
    print(f"added at frame 10: {error:.1e}")
    assert error <= EQUAL


@pytest.mark.slow
def test_two_feeds_in_one_batch_equal_each_alone(mini: Sam2, frames: torch.Tensor) -> None:
    feeds, given = (frames[:10], frames[15:25]), prompts(4)
    alone = [stream(mini, feed, given[2 * i : 2 * i + 2]) for i, feed in enumerate(feeds)]
    tracker = Tracker(mini, slots=4)
    features = tracker.encode(torch.stack([feed[0] for feed in feeds]))
    slots = {tracker.add(features, i // 2, prompt)[0]: i // 2 for i, prompt in enumerate(given)}
    for t in range(1, 10):
        out = tracker.step(tracker.encode(torch.stack([feed[t] for feed in feeds])), slots)
        for i, row in enumerate(out.logits):
            assert float((row - alone[i // 2][t, i % 2]).abs().max()) <= SAME


class Padded(Tracker):
    """Steps as GraphTracker does: all in one batch, padded, with room for all memories."""

    def _run(self, features: Features, wanted: list[Wanted]) -> Outputs:
        table, memories, points = self.bank.table(wanted, len(wanted) + 3, full=True)
        outputs = track(replace(self.model, fixed=True), self.bank, features, Plan(table, memories, points))
        logits, score, iou = (t[: len(wanted)] for t in outputs)
        return logits, score, iou


@pytest.mark.slow
def test_one_padded_batch_equals_object_by_object(mini: Sam2, frames: torch.Tensor) -> None:
    """Objects of different ages and frames; one of them rests on every other frame."""
    given = prompts(3)
    trackers = [kind(mini, slots=3) for kind in (Tracker, Padded)]
    found: list[list[torch.Tensor]] = [[], []]
    for tracker, rows in zip(trackers, found, strict=True):
        features = tracker.encode(frames[:2])
        slots = {tracker.add(features, i, prompt)[0]: i for i, prompt in enumerate(given[:2])}
        for t in range(2, 12):
            features = tracker.encode(frames[t : t + 2])
            if t == 5:
                slots[tracker.add(features, 1, given[2])[0]] = 0
                continue
            stepped = {slot: i for slot, i in slots.items() if slot or t % 2}
            rows.append(tracker.step(features, stepped).logits)
    for one, other in zip(*found, strict=True):
        assert float((one - other).abs().max()) <= SAME


@pytest.mark.slow
def test_a_removed_objects_slot_leaves_nothing_to_the_next(mini: Sam2, frames: torch.Tensor) -> None:
    one, other = prompts(2)
    tracker = Tracker(mini, slots=1)
    slot, _ = tracker.add(tracker.encode(frames[:1]), 0, one)
    for t in range(1, 9):
        tracker.step(tracker.encode(frames[t : t + 1]), {slot: 0})
    with pytest.raises(ValueError, match="all 1 slots"):
        tracker.add(tracker.encode(frames[:1]), 0, other)
    tracker.remove(slot)
    again, logits = tracker.add(tracker.encode(frames[9:10]), 0, other)
    assert again == slot
    fresh = stream(mini, frames[:14], [other], at=9)
    assert torch.equal(logits, fresh[0, 0])
    for t in range(10, 14):
        out = tracker.step(tracker.encode(frames[t : t + 1]), {slot: 0})
        assert torch.equal(out.logits[0], fresh[t - 9, 0])


@pytest.mark.slow
def test_memory_is_the_same_after_two_hundred_steps(mini: Sam2, frames: torch.Tensor) -> None:
    tracker = Tracker(mini, slots=3)
    features = tracker.encode(frames[:1])
    slots = dict.fromkeys((tracker.add(features, 0, prompt)[0] for prompt in prompts(2)), 0)
    held = _tensor_bytes(tracker)
    history = tracker.objects[next(iter(slots))]
    for _ in range(200):
        tracker.step(features, slots)
        assert len(history.tracked) <= 15
    assert _tensor_bytes(tracker) == held
    assert history.now == 201


def test_an_object_can_be_prompted_again(mini: Sam2, frames: torch.Tensor) -> None:
    """A mask is then the new prompt's, and later masks come of another memory."""
    one, other = prompts(2)
    tracker = Tracker(mini, slots=1)
    slot, _ = tracker.add(tracker.encode(frames[:1]), 0, one)
    tracker.step(tracker.encode(frames[1:2]), {slot: 0})
    features = tracker.encode(frames[2:3])
    prompted = tracker.prompt(slot, features, 0, other)
    assert torch.equal(prompted, stream(mini, frames[:3], [other], at=2)[0, 0])
    after = tracker.step(tracker.encode(frames[3:4]), {slot: 0}).logits[0]
    assert not torch.equal(after, stream(mini, frames[:4], [one])[3, 0])


def test_no_objects_are_no_step(mini: Sam2, frames: torch.Tensor) -> None:
    tracker = Tracker(mini, slots=1)
    out = tracker.step(tracker.encode(frames[:1]), {})
    assert out.slots == ()
    assert out.logits.shape == (0, SIDE // 4, SIDE // 4)


def test_wrong_slots_and_frames_are_told(mini: Sam2, frames: torch.Tensor) -> None:
    tracker = Tracker(mini, slots=2)
    features = tracker.encode(frames[:1])
    slot, _ = tracker.add(features, 0, prompts(1)[0])
    with pytest.raises(ValueError, match="no object in slot"):
        tracker.step(features, {slot + 7: 0})
    with pytest.raises(ValueError, match="frame 1 of 1"):
        tracker.step(features, {slot: 1})
    with pytest.raises(ValueError, match="wanted"):
        tracker.encode(frames[:1, :, :8])
    with pytest.raises(ValueError, match="frame 1 of 1"):
        tracker.add(features, 1, prompts(1)[0])
    assert len(tracker.objects) == 1
    assert len(list(features)) == 1
    assert isinstance(features[0], Features)


def _tensor_bytes(tracker: Tracker) -> int:
    held = [*vars(tracker.bank).values(), *vars(tracker).values()]
    return sum(t.numel() * t.element_size() for t in held if isinstance(t, torch.Tensor))


def test_graphs_are_for_cuda(mini: Sam2) -> None:
    with pytest.raises(ValueError, match="CUDA graphs are for CUDA devices"):
        GraphTracker(mini)
    assert [padded(n) for n in (1, 5, 17, 128)] == [1, 6, 24, 128]
    with pytest.raises(ValueError, match="at most 128"):
        padded(129)


@pytest.mark.needs_cuda
@pytest.mark.parametrize("attention", ["masked", "framed", "narrow"])
def test_graphs_equal_launches(attention: str, frames: torch.Tensor) -> None:
    model = build("mini", image_size=SIDE, device="cuda", dtype=torch.bfloat16, attention=attention)
    found = []
    for kind in (Tracker, GraphTracker):
        tracker = kind(model, slots=4)
        features = tracker.encode(frames[:1])
        slots = dict.fromkeys((tracker.add(features, 0, prompt)[0] for prompt in prompts(3)), 0)
        found.append(torch.stack([tracker.step(tracker.encode(f[None]), slots).logits for f in frames[1:12]]))
    assert float((found[0] - found[1]).abs().mean()) < 0.05
