"""Requests of several threads in one run: each gets its own answer, and nobody waits for who does not come."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.together import Together


class Engine:
    """Doubles numbers. Two runs at once would be noticed."""

    def __init__(self) -> None:
        self.runs: list[list[int]] = []
        self._running = threading.Lock()

    def double(self, items: Sequence[int]) -> list[int]:
        assert self._running.acquire(blocking=False), "one run at a time"
        self.runs.append(list(items))
        time.sleep(0.001)
        self._running.release()
        return [2 * item for item in items]

    def negate(self, items: Sequence[int]) -> list[int]:
        return [-half for half in self.double(items)]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.integers(-99, 99), max_size=6), min_size=1, max_size=6), st.integers(1, 4))
def test_each_gets_its_own_answers(lists: list[list[int]], most: int) -> None:
    engine, together = Engine(), Together(wait_s=0.002, most=most)

    def one(items: list[int]) -> list[int]:
        with together.taking_part():
            return [together.ask(engine.double if i % 3 else engine.negate, i) for i in items]

    with ThreadPoolExecutor(len(lists)) as threads:
        found = list(threads.map(one, lists))
    assert found == [[2 * i if i % 3 else -2 * i for i in items] for items in lists]
    assert max(map(len, engine.runs), default=0) <= most
    assert sum(map(len, engine.runs)) == sum(map(len, lists))


def test_all_who_take_part_are_waited_for_and_no_longer() -> None:
    engine, together = Engine(), Together(wait_s=60.0)
    start = threading.Barrier(3)

    def one(count: int) -> None:
        with together.taking_part():
            start.wait()
            for i in range(count):
                together.ask(engine.double, i)

    before = time.monotonic()
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(one, (2, 4, 6)))
    assert time.monotonic() - before < 30
    assert [len(run) for run in engine.runs] == [3, 3, 2, 2, 1, 1]


def test_who_takes_part_and_does_not_come_is_waited_for_so_long() -> None:
    engine, together = Engine(), Together(wait_s=0.05)
    with together.taking_part(), together.taking_part():
        before = time.monotonic()
        assert together.ask(engine.double, 4) == 8
        assert 0.05 <= time.monotonic() - before < 5


def test_whose_runs_take_longer_than_the_wait_meet_all_the_same() -> None:
    """Two that have begun apart: who waited while the other's was run still waits for the other to come again."""
    runs: list[int] = []

    def slow(items: Sequence[int]) -> Sequence[int]:
        runs.append(len(items))
        time.sleep(0.06)
        return items

    together = Together(wait_s=0.03)

    def one(late_s: float) -> None:
        with together.taking_part():
            time.sleep(late_s)
            for i in range(6):
                together.ask(slow, i)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(one, (0.0, 0.045)))
    assert runs[0] == 1
    assert runs.count(2) >= 4, runs


def test_an_error_is_raised_to_all_of_its_run_and_to_nobody_else() -> None:
    together, start = Together(wait_s=60.0), threading.Barrier(2)

    def broken(items: Sequence[int]) -> list[int]:
        raise ValueError(f"no {sorted(items)}")

    def one(item: int) -> str:
        with together.taking_part():
            start.wait()
            try:
                together.ask(broken, item)
            except ValueError as e:
                return str(e)
        return "none"

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(one, (1, 2))) == ["no [1, 2]"] * 2
    assert together.ask(Engine().double, 3) == 6


def test_alone_means_alone() -> None:
    engine, together = Engine(), Together(wait_s=0.0)

    def one(item: int) -> int:
        if item % 2:
            with together.alone():
                return engine.double([item])[0]
        return together.ask(engine.double, item)

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(one, range(20))) == [2 * i for i in range(20)]


@pytest.mark.parametrize(("wait_s", "most"), [(-1.0, 1), (0.0, 0)])
def test_bounds_are_checked(wait_s: float, most: int) -> None:
    with pytest.raises(ValueError, match="wanted"):
        Together(wait_s=wait_s, most=most)
