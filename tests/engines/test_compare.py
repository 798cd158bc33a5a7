"""Differences between two engines, and times, by engines whose outputs are known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from specs import DOUBLE, MIX

from engines import compare
from engines.backends import Engine
from engines.timing import measure, timed


class Known:
    """y = 2 x, with `error` added to the first number."""

    spec, backend = DOUBLE, "known"

    def __init__(self, error: float = 0.0) -> None:
        self._error, self.rows = error, []

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        self.rows.append(len(inputs["x"]))
        y = 2 * np.asarray(inputs["x"], np.float64)
        y[0, 0] += self._error
        return {"y": y}


def test_errors_are_measured() -> None:
    inputs = [{"x": np.full((2, 3), 5.0)}, {"x": np.zeros((1, 3))}]
    (d,) = compare.differences(Known(0.5), Known(), inputs)
    assert (d.output, d.max_error, d.largest, d.part) == ("y", 0.5, 10, 0.05)
    assert d.mean_error == pytest.approx(1 / 9)


@pytest.mark.parametrize("error", [np.nan, np.inf])
def test_what_is_no_number_is_infinitely_wrong(error: float) -> None:
    (d,) = compare.differences(Known(error), Known(), [{"x": np.ones((1, 3))}])
    assert d.max_error == np.inf
    (same,) = compare.differences(Known(error), Known(error), [{"x": np.ones((1, 3))}])
    assert same.max_error == 0


def test_nothing_to_compare() -> None:
    with pytest.raises(ValueError, match="no inputs"):
        compare.differences(Known(), Known(), [])


def test_row_by_row() -> None:
    inner = Known()
    x = np.arange(12.0).reshape(4, 3)
    assert (compare.RowByRow(inner).run({"x": x})["y"] == 2 * x).all()
    assert inner.rows == [1, 1, 1, 1]


def test_stacked_in_batches() -> None:
    rows = [MIX.random(i, {"n": 1, "l": 3}) for i in range(5)]
    batches = compare.stack(MIX, rows, 2)
    assert [b["x"].shape[0] for b in batches] == [2, 2, 1]
    assert [b["w"].shape for b in batches] == [(4, 5)] * 3
    assert (batches[1]["x"][1] == rows[3]["x"][0]).all()


def test_random_sizes_take_turns() -> None:
    assert [x["x"].shape[:2] for x in compare.random_inputs(MIX, 4)] == [(1, 2), (4, 6), (3, 4), (1, 2)]


def test_times_by_a_clock() -> None:
    now = iter(np.arange(0, 100, 0.01))
    t = measure(lambda: Known().run({"x": np.ones((1, 3))}), seconds=0.1, clock=lambda: float(next(now)))
    assert t.runs == 5
    assert t.best_ms == pytest.approx(10)
    assert t.median_ms == pytest.approx(t.p95_ms)


def test_batches_that_are_timed() -> None:
    engine: Engine = Known()
    assert [n for n, _ in timed(engine, "cpu", seconds=0)] == [1, 2]
    assert [n for n, _ in timed(engine, "cpu", (3, 5, 3), seconds=0)] == [3, 5]
