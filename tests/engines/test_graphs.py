"""The CUDA graph runner with a fake of torch's graphs on host memory: buckets, padding, copies, what is kept.

tests/engines/test_cuda_backends.py runs the same with real graphs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch
from specs import DOUBLE, MIX

from engines.backends import graphs
from engines.backends.graphs import GraphRunner, Tensors


class FakeGraph:
    """Replaying runs what was launched last while it was captured, on the same buffers."""

    def __init__(self) -> None:
        self.work: Any = None
        self.replays = 0

    def replay(self) -> None:
        self.replays += 1
        run, inputs, outputs = self.work
        for name, value in run(inputs).items():
            outputs[name].copy_(value)


class Stream:
    def __init__(self, device: Any = None) -> None: ...
    def wait_stream(self, other: Any) -> None: ...
    def wait_event(self, event: Any) -> None: ...


class Event:
    def record(self, stream: Any) -> None: ...


class Launches:
    """Makes launchers of y = 2 x and of specs.MIX, and counts."""

    def __init__(self) -> None:
        self.made = 0
        self.shapes: list[tuple[int, ...]] = []
        self.last: Any = None

    def make(self) -> Any:
        self.made += 1

        def run(inputs: Tensors) -> Tensors:
            if "w" not in inputs:
                return {"y": 2 * inputs["x"]}
            y = inputs["x"] @ inputs["w"]
            return {"y": y, "top": y.amax(dim=(1, 2))}

        def launch(inputs: Tensors) -> Tensors:
            self.shapes.append(tuple(inputs["x"].shape))
            out = run(inputs)
            self.last = (run, inputs, out)
            return out

        return launch


@pytest.fixture
def launches(monkeypatch: pytest.MonkeyPatch) -> Launches:
    found = Launches()

    @contextmanager
    def capture(graph: FakeGraph, **options: Any) -> Iterator[None]:
        assert options["capture_error_mode"] == "thread_local"
        assert isinstance(options["stream"], Stream)
        yield
        graph.work = found.last

    for name, value in {
        "graph_pool_handle": lambda: 0, "Event": Event, "Stream": Stream, "CUDAGraph": FakeGraph, "graph": capture,
        "current_stream": Stream, "stream": lambda s: nullcontext(), "device": lambda d: nullcontext(),
        "synchronize": lambda: None,
    }.items():  # fmt: skip
        monkeypatch.setattr(torch.cuda, name, value)
    return found


def runner(launches: Launches, spec: Any = DOUBLE, buckets: tuple[int, ...] = (1, 2, 4)) -> GraphRunner:
    return GraphRunner(spec, launches.make, torch.device("cpu"), buckets)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 11])
def test_any_batch_by_a_few_graphs(launches: Launches, count: int) -> None:
    x = torch.randn(count, 3)
    run = runner(launches)
    for _ in range(2):
        out = run.run({"x": x}, {"n": count})
        assert set(out) == {"y"}
        assert torch.equal(out["y"], 2 * x)
    assert {s[0] for s in launches.shapes} <= {1, 2, 4}
    assert launches.made == run.captured == len({s[0] for s in launches.shapes})


def test_replays_see_new_inputs_and_leave_old_outputs(launches: Launches) -> None:
    run = runner(launches)
    first = run.run({"x": torch.ones(2, 3)}, {"n": 2})["y"]
    second = run.run({"x": torch.full((2, 3), 5.0)}, {"n": 2})["y"]
    assert (first == 2).all()
    assert (second == 10).all()
    assert launches.made == 1


def test_shared_inputs_and_two_axes(launches: Launches) -> None:
    """w belongs to all rows: neither padded nor cut; every length is a graph of its own."""
    run = runner(launches, MIX)
    for n, length in ((3, 5), (5, 5), (3, 6)):
        x, w = torch.randn(n, length, 4), torch.randn(4, 5)
        out = run.run({"x": x, "w": w}, {"n": n, "l": length})
        torch.testing.assert_close(out["y"], x @ w)
        torch.testing.assert_close(out["top"], (x @ w).amax(dim=(1, 2)))
    assert set(launches.shapes) == {(4, 5, 4), (1, 5, 4), (4, 6, 4)}


def test_without_a_batch_axis_there_is_one_graph(launches: Launches) -> None:
    from dataclasses import replace

    still = replace(DOUBLE, batch="")
    run = runner(launches, still)
    assert (run.run({"x": torch.ones(3, 3)}, {"n": 3})["y"] == 2).all()
    assert launches.shapes[-1] == (3, 3)


def test_no_more_graphs_than_the_limit(launches: Launches, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "MAX_GRAPHS", 2)
    run = runner(launches, MIX, (2,))
    w = torch.randn(4, 5)
    for length in (2, 3, 4, 3, 2):
        x = torch.randn(2, length, 4)
        torch.testing.assert_close(run.run({"x": x, "w": w}, {"n": 2, "l": length})["y"], x @ w)
    assert run.captured == 2
    assert launches.made == 4, "2, 3, 4 are made, 3 is still there, 2 is made anew"
