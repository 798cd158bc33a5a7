"""Prefetch: the same items, exceptions where they were raised, and no thread left behind."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator

import pytest

from stream.prefetch import Prefetch


def threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name == "prefetch"]


@pytest.mark.parametrize("depth", [1, 2, 7])
def test_same_items_in_order(depth: int) -> None:
    assert list(Prefetch(range(100), depth=depth)) == list(range(100))
    assert list(Prefetch([], depth=depth)) == []
    assert not threads()


def test_none_and_falsy_items_come_through() -> None:
    items = [None, 0, "", [], False]
    assert list(Prefetch(items)) == items


def test_exception_comes_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("third is bad")

    got: list[int] = []
    with pytest.raises(ValueError, match="third is bad"):
        got.extend(Prefetch(items()))
    assert got == [1, 2]
    assert not threads()


def test_reader_that_stops_early_stops_the_maker() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for i in range(1_000_000):
            made.append(i)
            yield i

    reader = Prefetch(items(), depth=2)
    assert [next(reader) for _ in range(3)] == [0, 1, 2]
    reader.close()
    assert list(reader) == []
    assert not threads()
    assert len(made) <= 3 + 2 + 2, "no further ahead than the depth"


def test_made_ahead_of_the_reader() -> None:
    ready = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        ready.set()
        yield 2

    with Prefetch(items()) as reader:
        assert ready.wait(10), "items are made before anybody reads"
        assert list(reader) == [1, 2]


def test_leaving_the_block_stops_the_maker() -> None:
    with Prefetch(itertools.count()) as reader:
        assert next(reader) == 0
    assert not threads()
