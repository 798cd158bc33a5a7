"""Small engines for tests: y = 2 x, and one with two inputs, two outputs and two dynamic axes."""

from __future__ import annotations

from engines.spec import Axis, EngineSpec, TensorSpec

DOUBLE = EngineSpec(
    "double", (TensorSpec("x", ("n", 3)),), (TensorSpec("y", ("n", 3)),), "none", "0" * 64, (Axis("n", 1, 2, 8),), "n"
)
MIX = EngineSpec(
    "mix",
    (TensorSpec("x", ("n", "l", 4), low=-1), TensorSpec("w", (4, 5), low=-1)),
    (TensorSpec("y", ("n", "l", 5)), TensorSpec("top", ("n",))),
    "none",
    "1" * 64,
    (Axis("n", 1, 4, 8), Axis("l", 2, 6, 16)),
    "n",
)
"""y = x w, top = the largest of each row's y; w belongs to all rows."""
