"""The Strefer way does what STREFER's description says, its faults included."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.cases import Case, Spoken, record
from bench.judge import judge
from bench.strefer_way import answer, breadth_first, choose, giou, join, resolve
from engines.detections import U8, Detections
from producers.synthetic import make_scene
from stream.colours import NAMES
from stream.detect import Detect
from stream.entity import Traits
from stream.parse import Expression, parse
from stream.patch import Patch
from tests.running import networks


def test_frames_are_visited_breadth_first() -> None:
    order = breadth_first(32)
    assert order[:9] == [15, 7, 23, 3, 11, 19, 27, 1, 5]
    assert order[-1] == 31
    assert sorted(order) == list(range(32))


class Counter:
    """A detector that finds as many people as the frame's first pixel says."""

    name = "counter"

    def detect(self, rgb: U8) -> Detections:
        n = int(rgb[0, 0, 0])
        boxes = np.array([[10 + 30 * i, 10, 30 + 30 * i, 60] for i in range(n)], np.float32).reshape(-1, 4)
        return Detections(boxes, np.full(n, 0.9, np.float32), ("person",) * n)


def frames_with(counts: dict[int, int]) -> list[U8]:
    frames = [np.zeros((90, 160, 3), np.uint8) for _ in range(63)]
    for i, n in counts.items():
        frames[i][0, 0, 0] = n
    return frames


def test_the_first_frame_with_enough_boxes_is_the_start() -> None:
    # Samples are frames 0, 2, 4, … 62; visited 30, 14, 46, …
    assert choose(frames_with({14: 2, 46: 3, 30: 1}), Detect(Counter()), ["person"], 2)[0] == 14


def test_else_the_frame_with_most_boxes() -> None:
    k, found = choose(frames_with({14: 2, 46: 3, 30: 1}), Detect(Counter()), ["person"], 5)
    assert (k, len(found)) == (46, 3)


def test_only_the_nouns_asked_for_are_detected() -> None:
    assert len(choose(frames_with({14: 2}), Detect(Counter()), ["dog"], 1)[1]) == 0


def test_giou_and_joining() -> None:
    a, b = np.array([0, 0, 10, 10], np.float32), np.array([20, 0, 30, 10], np.float32)
    assert giou(a, a) == pytest.approx(1)
    assert giou(a, b) == pytest.approx(-1 / 3)

    def patch(x: int) -> Patch:
        return Patch(x, 0, np.full((10, 10), 255, np.uint8))

    assert join({1: patch(0), 2: patch(40)}, {1: patch(41), 2: patch(2)}) == {1: 2, 2: 1}


def person(top: str) -> Traits:
    shares = np.zeros(len(NAMES), np.float32)
    shares[NAMES.index(top)] = 1
    return Traits(colours={"top": shares, "whole": shares}, sights=1)


def asked(*texts: str) -> list[tuple[Spoken, Expression]]:
    return [(Spoken(str(i), t, ()), parse(t)) for i, t in enumerate(texts)]


RED, GREEN = "the person in the red shirt", "the person in the green shirt"


def test_one_expression_and_one_box_is_taken_unchecked() -> None:
    assert resolve(asked(RED, "the dog"), ["person", "dog"], [person("blue"), person("white")]) == {
        "0": (1,), "1": (2,)}  # fmt: skip


def test_two_that_claim_one_box_void_the_whole_category() -> None:
    seen = [person("red"), person("blue"), person("green")]
    people = ["person"] * 3
    assert resolve(asked(RED, GREEN), people, seen) == {"0": (1,), "1": (3,)}
    assert resolve(asked(RED, "the person in the red jacket", GREEN), people, seen) == {}


def test_several_answers_take_the_first_free_box() -> None:
    seen = [person("red"), person("green"), person("blue")]
    assert resolve(asked("the person", RED), ["person"] * 3, seen) == {"1": (1,), "0": (2,)}


@pytest.mark.slow
def test_on_a_scene_and_what_it_cannot_do(tmp_path: Path) -> None:
    """Who is together on frame K is followed both ways; who comes later gets nothing."""
    scene = make_scene("synthetic:late-entry?seconds=4&size=640x360&fps=15")
    case: Case = record(scene, "late", "late entry", tmp_path)
    mark = judge(case, answer(case, networks()))
    assert mark.expressions[0].j > 0.6, mark
    again = judge(case, answer(case, networks()))
    assert again == mark
