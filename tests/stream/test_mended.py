"""Events read with second thoughts taken in: one name for one thing, each mask under whose it was."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from stream.events import (
    Action,
    Body,
    EntityAppeared,
    EntityExited,
    EntityMerged,
    EntityReentered,
    EntitySplit,
    Event,
    Masklet,
    MergeReason,
    QueryBound,
)
from stream.mended import Hindsight
from stream.story import read
from tests.told import STEP, appeared, left, masks


def events(*bodies: Body) -> list[Event]:
    return [Event("feed", i, 0, body) for i, body in enumerate(bodies)]


def mended(*bodies: Body) -> list[Body]:
    said = events(*bodies)
    return [e.body for e in Hindsight.of(said).mend(said)]


def merged(kept: int, gone: int, at: int, reason: MergeReason = "same look") -> EntityMerged:
    return EntityMerged(entity=kept, merged=gone, at_us=at * STEP, similarity=0.95, reason=reason)


def split(a: int, b: int, since: int, at: int) -> EntitySplit:
    return EntitySplit(entity=a, into=b, at_us=at * STEP, since_us=since * STEP, similarity=0.4)


def test_who_came_back_under_another_name_is_one_story() -> None:
    said = events(
        appeared(1, 0),
        masks(1, 0, 10),
        left(1, 9),
        appeared(2, 30),
        masks(2, 30, 40),
        merged(1, 2, 40),
        masks(1, 40, 50),
    )
    story = read(Hindsight.of(said).mend(said))
    (e,) = story.entities.values()
    assert (e.entity, e.exits, e.reentries, e.frames) == (1, 1, 1, 30)
    assert [(p.start_us, p.end_us) for p in e.presences] == [(0, 9 * STEP), (30 * STEP, 49 * STEP)]


def test_a_double_in_one_place_leaves_nothing_behind() -> None:
    action = Action(entity=2, segment=1, start_us=0, end_us=STEP, text="stays", source="measured")
    told = mended(appeared(1, 0), masks(1, 0, 10), appeared(2, 3), masks(2, 3, 10), action, left(2, 9),
                  merged(1, 2, 10, "one place"))  # fmt: skip
    assert [type(b) for b in told] == [EntityAppeared, Masklet, EntityMerged]


def test_masks_go_to_whose_they_were_and_to_nobody_twice() -> None:
    told = mended(appeared(1, 0), appeared(2, 0), masks(1, 0, 20), masks(2, 0, 20), split(1, 2, 5, 15))
    by_frame: dict[int, dict[int, str]] = {}
    for body in told:
        if isinstance(body, Masklet):
            for f in body.frames:
                by_frame.setdefault(f.pts_us // STEP, {})[body.entity] = f.rle.counts
    assert all(sorted(who) == [1, 2] for who in by_frame.values())
    assert len(by_frame) == 20
    assert sum(len(b.frames) for b in told if isinstance(b, Masklet)) == 40


def test_what_was_said_after_a_split_is_right_already() -> None:
    """Masks that had not gone out when the mistake was noticed go out under the right names."""
    told = mended(masks(1, 0, 10), split(1, 2, 5, 15), masks(2, 10, 20))
    who = [(b.entity, len(b.frames)) for b in told if isinstance(b, Masklet)]
    assert who == [(1, 5), (2, 5), (2, 10)]


def test_exits_and_answers_keep_the_names_they_were_given() -> None:
    bound = QueryBound(query="q", text="the dog", entities=[2, 1], score=0.9, margin=0.3, cues=[])
    told = mended(left(1, 5), bound, split(1, 3, 5, 10), merged(1, 2, 20))
    (exit_, answer) = (b for b in told if isinstance(b, EntityExited | QueryBound))
    assert isinstance(exit_, EntityExited)
    assert exit_.entity == 1, "who has left was known"
    assert isinstance(answer, QueryBound)
    assert answer.entities == [1]


def test_who_left_in_anothers_name_left_in_its_own() -> None:
    (exit_,) = (b for b in mended(left(1, 7), split(1, 2, 5, 10)) if isinstance(b, EntityExited))
    assert exit_.entity == 2


def test_a_chain_of_merges_ends_at_the_first_name() -> None:
    thoughts = Hindsight.of(events(merged(2, 3, 10), merged(1, 2, 20)))
    assert [thoughts.kept(e) for e in (1, 2, 3, 4)] == [1, 1, 1, 4]
    told = mended(masks(3, 0, 5), merged(2, 3, 10), merged(1, 2, 20, "one place"))
    assert not [b for b in told if isinstance(b, Masklet)], "it stood where 1 stood"
    said = events(appeared(3, 5), merged(2, 3, 10), merged(1, 2, 20))
    assert isinstance(next(Hindsight.of(said).mend(said)).body, EntityReentered)


def test_nothing_changes_where_nothing_was_mended() -> None:
    bodies = [appeared(1, 0), masks(1, 0, 10), left(1, 9)]
    assert mended(*bodies) == bodies


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(0, 20), st.integers(1, 9)), max_size=6))
def test_in_each_frame_names_stay_different(spans: list[tuple[int, int, int, int]]) -> None:
    """Splits only change names round: two different ones never become one."""
    bodies = [split(a, b, since, since + length) for a, b, since, length in spans if a != b]
    thoughts = Hindsight.of(events(*bodies))
    for frame in range(32):
        assert len({thoughts.who(e, frame * STEP, (-1, 0)) for e in range(1, 6)}) == 5
