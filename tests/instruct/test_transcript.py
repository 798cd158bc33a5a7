"""The transcript: a slot for everyone in every segment."""

from __future__ import annotations

from instruct.families.when import _does
from instruct.transcript import transcript
from stream import events as ev
from tests.told import LEFT_AND_BACK, STEP, appeared, closed, left, masks, opened, story


def test_transcript_has_a_slot_for_everyone_in_every_segment() -> None:
    walks = ev.Action(
        entity=1, segment=1, start_us=2 * STEP, end_us=8 * STEP, text="moves to the left", source="measured"
    )
    told = story(
        opened(1, 0), appeared(1, 0), appeared(2, 0), masks(1, 0, 10), masks(2, 0, 3), walks, closed(1, 0, 10, "cut"),
        left(1, 9, "cut"), opened(2, 10, "cut"), masks(2, 12, 20), closed(2, 10, 20),
    )  # fmt: skip
    first, second = transcript(told)
    assert [list(r.slots) for r in (first, second)] == [["1", "2"], ["1", "2"]]
    assert first.slots["1"] is not None
    assert first.slots["1"].actions == [(2 * STEP, 8 * STEP, "moves to the left")]
    assert second.slots["1"] is None
    assert second.slots["2"] is not None
    assert second.slots["2"].present_us == [(12 * STEP, 19 * STEP)]


def test_absence_within_a_segment_is_said() -> None:
    told = story(*LEFT_AND_BACK)
    (row,) = transcript(told)
    slot = row.slots["1"]
    assert slot is not None
    assert slot.present_us == [(0, 9 * STEP), (30 * STEP, 39 * STEP)]
    assert "out of sight from 00:00.9 to 00:03.0" in slot.text
    assert slot.text.startswith("The person is in sight from 00:00.0 to 00:03.9")


def test_actions_over_a_segments_border_are_clipped() -> None:
    walks = ev.Action(entity=1, segment=1, start_us=5 * STEP, end_us=15 * STEP, text="walks", source="measured")
    told = story(
        opened(1, 0), appeared(1, 0), masks(1, 0, 20), walks, closed(1, 0, 10, "length"), opened(2, 10, "length"),
        closed(2, 10, 20),
    )  # fmt: skip
    slots = [row.slots["1"] for row in transcript(told)]
    assert [s.actions for s in slots if s is not None] == [
        [(5 * STEP, 10 * STEP, "walks")],
        [(10 * STEP, 15 * STEP, "walks")],
    ]


def test_nothing_happened() -> None:
    assert transcript(story()) == []


def test_a_passive_is_asked_after_with_is() -> None:
    assert _does("the dog", "is hidden by the cat") == "is the dog hidden by the cat"
    assert _does("the dog", "moves to the left") == "does the dog move to the left"
