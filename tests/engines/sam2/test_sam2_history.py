"""Which memories an object attends to, held against SAM 2's rule told in another way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.sam2.history import PROMPTED_AGE, History


def written(history: History, events: list[bool]) -> dict[tuple[str, int], int]:
    """Plays prompts (True) and tracked frames; what each row holds afterwards, by frame."""
    held: dict[tuple[str, int], int] = {}
    for frame, prompted in enumerate(events):
        if prompted:
            row = history.prompt()
            held["memory", row] = held["pointer", row] = frame
        else:
            recall = history.recall()
            held["memory", recall.memory_row] = held["pointer", recall.pointer_row] = frame
            history.track()
    return held


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 3))
def test_an_object_recalls_its_last_prompts_and_the_frames_before(later: list[bool], prompts: int) -> None:
    events = [True, *later]
    history, now = History(prompts), len(events)
    held = written(history, events)
    recall = history.recall()

    prompted = [t for t, p in enumerate(events) if p][-prompts:]
    tracked = [t for t, p in enumerate(events) if not p]
    memories = {(t, PROMPTED_AGE) for t in prompted} | {(t, now - t - 1) for t in tracked if now - t <= 6}
    pointers = {(t, now - t) for t in prompted} | {(t, now - t) for t in tracked if now - t <= 15}
    assert {(held["memory", row], age) for row, age in recall.memories} == memories
    assert {(held["pointer", row], ago) for row, ago in recall.pointers} == pointers
    assert len(recall.memories) == len(memories)
    assert len(recall.pointers) == len(pointers)


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 3))
def test_rows_lie_within_the_rings(later: list[bool], prompts: int) -> None:
    history = History(prompts)
    held = written(history, [True, *later])
    assert all(row < prompts + (6 if ring == "memory" else 15) for ring, row in held)
    assert len(history.tracked) <= 15
    assert len(history.prompted) <= prompts


def test_an_object_without_a_prompt_recalls_nothing() -> None:
    with pytest.raises(ValueError, match="without a prompt"):
        History().recall()
