"""Specs refuse what does not fit, and make the same random inputs for one seed."""

from __future__ import annotations

import numpy as np
import pytest
from specs import DOUBLE, MIX

from engines.spec import Axis, EngineSpec, TensorSpec


def test_sizes_are_read_from_the_inputs() -> None:
    assert MIX.measure(MIX.random(0, {"n": 3, "l": 7})) == {"n": 3, "l": 7}


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"x": np.zeros((1, 2, 4))}, "mix takes x, w, got x"),
        ({"x": np.zeros((1, 2)), "w": np.zeros((4, 5))}, r"x is \(1, 2\)"),
        ({"x": np.zeros((1, 2, 4)), "w": np.zeros((5, 5))}, r"w is \(5, 5\), wanted \(4, 5\)"),
    ],
)
def test_inputs_that_do_not_fit(inputs: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MIX.measure(inputs)


def test_an_axis_has_one_size_in_all_inputs() -> None:
    a, b, c = (TensorSpec(name, ("n",)) for name in "abc")
    both = EngineSpec("both", (a, b), (c,), "", "", (Axis("n", 1, 1, 4),))
    with pytest.raises(ValueError, match=r"b is \(3,\), wanted \('n',\) with {'n': 2}"):
        both.measure({"a": np.zeros(2), "b": np.zeros(3)})


def test_ranges() -> None:
    DOUBLE.within({"n": 8})
    with pytest.raises(ValueError, match="n is 9, built for 1 to 8"):
        DOUBLE.within({"n": 9})


@pytest.mark.parametrize("sizes", [(0, 1, 1), (2, 1, 3), (1, 3, 2)])
def test_an_axis_out_of_order(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="least <= usual <= most"):
        Axis("n", *sizes)


def test_axes_are_those_of_the_inputs() -> None:
    x, y = TensorSpec("x", ("n",)), TensorSpec("y", ("m",))
    for outputs, axes, batch in (((y,), (Axis("n", 1, 1, 1),), ""), ((x,), (), ""), ((x,), (Axis("n", 1, 1, 1),), "q")):
        with pytest.raises(ValueError, match="ax"):
            EngineSpec("bad", (x,), outputs, "", "", axes, batch)
    with pytest.raises(ValueError, match="dtype 'float8'"):
        TensorSpec("x", (1,), "float8")


def test_random_inputs_are_the_seeds() -> None:
    spec = EngineSpec(
        "kinds",
        tuple(TensorSpec(k, (50,), k, low=-2, high=4) for k in ("float32", "float16", "bfloat16", "int64", "bool")),
        (),
        "",
        "",
    )
    one, two, other = spec.random(1, {}), spec.random(1, {}), spec.random(2, {})
    for name, x in one.items():
        assert (x == two[name]).all()
        assert (x != other[name]).any()
        assert x.dtype == ("float32" if name == "bfloat16" else name)
        assert len(np.unique(x)) > 1
        assert name == "bool" or (x.min() >= -2 and x.max() <= 4)


def test_up_to() -> None:
    assert MIX.up_to(32).axes == (Axis("n", 1, 32, 32), Axis("l", 2, 6, 16))
    assert MIX.usual(n=3) == {"n": 3, "l": 6}
