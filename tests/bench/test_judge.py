"""Marks of answers whose faults are known."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from bench.cases import Case, Spoken
from bench.judge import Answer, happenings, judge
from bench.referring_table import totals
from kernels import rle

SIZE = (60, 100)


def square(x: int) -> str:
    mask = np.zeros(SIZE, bool)
    mask[20:40, x : x + 20] = True
    return rle.encode(mask)


def truth(i: int) -> dict[int, str]:
    """One at the left from beginning to end; two at the right, away in frames 10 to 19."""
    return {1: square(5)} | ({2: square(70)} if not 10 <= i < 20 else {})


CASE = Case(
    "case", tuple(range(30)), Fraction(30), SIZE, tuple(truth(i) for i in range(30)),
    (Spoken("a", "the person on the left", (1,)), Spoken("b", "the person on the right", (2,))),
    {1: "person", 2: "person"}, complete=True,
)  # fmt: skip


def said(renamed: int = 8) -> list[dict[int, str]]:
    """The truth as identities 7 and 8; after its return the second is `renamed`."""
    masks = [truth(i) for i in range(30)]
    return [{7: m[1]} | ({(8 if i < 10 else renamed): m[2]} if 2 in m else {}) for i, m in enumerate(masks)]


def test_a_perfect_answer() -> None:
    mark = judge(CASE, Answer(said(), {"a": (7,), "b": (8,)}))
    assert [(e.j, e.f, e.binding) for e in mark.expressions] == [(1, 1, "right"), (1, 1, "right")]
    assert (mark.jf, mark.hota, mark.idf1, mark.switches, mark.reentries) == (1, pytest.approx(1), 1, 0, (1, 1))


def test_bound_to_each_other() -> None:
    mark = judge(CASE, Answer(said(), {"a": (8,), "b": (7,)}))
    assert [e.binding for e in mark.expressions] == ["wrong", "wrong"]
    assert mark.expressions[0].j == 0
    assert mark.expressions[1].j == 0
    assert mark.hota == pytest.approx(1), "identities are right all the same"


def test_undecided_is_not_right_and_has_no_mask() -> None:
    mark = judge(CASE, Answer(said(), {"a": (7,)}, {"b": (7, 8)}))
    assert [e.binding for e in mark.expressions] == ["right", "ambiguous"]
    assert mark.expressions[1].j == pytest.approx(1 / 3), "nothing was to be seen in 10 of 30 frames"


def test_nobody_and_too_many() -> None:
    mark = judge(CASE, Answer(said(), {"b": (7, 8)}))
    assert [e.binding for e in mark.expressions] == ["none", "wrong"]


def test_a_return_that_was_not_recognised() -> None:
    mark = judge(CASE, Answer(said(renamed=9), {"a": (7,), "b": (9,)}))
    assert (mark.reentries, mark.switches, mark.identities) == ((0, 1), 1, 3)
    assert mark.history == {1: [(7, 0, 29)], 2: [(8, 0, 9), (None, 10, 19), (9, 20, 29)]}
    assert mark.expressions[1].binding == "right"
    assert mark.expressions[1].j == pytest.approx(2 / 3)
    total = totals([mark, mark])
    assert total.switches_per_1000 == pytest.approx(1000 * 2 / 60)
    assert (total.reentries, total.right, total.expressions) == ((0, 2), 4, 4)


def test_more_than_the_truth_knows() -> None:
    more = [m | {9: square(40)} for m in said()]
    answer = Answer(more, {"a": (7,), "b": (8,)})
    assert judge(CASE, answer).hota < 0.9
    assert judge(replace(CASE, complete=False), answer).hota == pytest.approx(1), "nobody asked for it"


def test_frames_nobody_annotated_do_not_count() -> None:
    sparse = replace(CASE, truth=tuple(t if i % 5 == 0 else None for i, t in enumerate(CASE.truth)))
    mark = judge(sparse, Answer([m if i % 5 == 0 else {} for i, m in enumerate(said())], {"a": (7,), "b": (8,)}))
    assert (mark.frames, mark.j) == (6, 1)


def test_what_happens() -> None:
    assert happenings(CASE) == ["re-entry"]
    late = replace(CASE, truth=tuple({1: square(5)} | ({2: square(70)} if 9 < i < 20 else {}) for i in range(30)))
    assert happenings(late) == ["exit", "late entry"]
    assert happenings(replace(CASE, shots=(0,) * 15 + (1,) * 15)) == ["cut", "re-entry"]
