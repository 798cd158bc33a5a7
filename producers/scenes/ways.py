"""Ways through a scene as (time, x) knots in shares: who stays, leaves, comes back, comes late, passes others.

Each takes the generator it draws from and the home x of who goes it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Knots = tuple[tuple[float, float], ...]
Rng = np.random.Generator
Way = Callable[[Rng, float], Knots]


def homes(rng: Rng, n: int, free: float | None = None) -> list[float]:
    """Homes spread over the width, none near `free`."""
    spread = np.linspace(0.14, 0.86, n) + rng.uniform(-0.03, 0.03, n)
    if free is not None:
        spread = np.where(np.abs(spread - free) < 0.2, free + np.where(spread < free, -0.24, 0.24), spread)
    return [float(x) for x in spread]


def stays(rng: Rng, x: float) -> Knots:
    drift = rng.uniform(-0.05, 0.05, 4)
    return tuple((t, float(np.clip(x + d, 0.08, 0.92))) for t, d in zip((0, 0.33, 0.66, 1), drift, strict=True))


def returns(rng: Rng, x: float) -> Knots:
    """Out at the nearer side, away for a while, and back."""
    out = -0.2 if x < 0.5 else 1.2
    gone, back = float(rng.uniform(0.22, 0.3)), float(rng.uniform(0.5, 0.6))
    home = float(np.clip(x + rng.uniform(-0.1, 0.1), 0.1, 0.9))
    return (0, x), (0.06, x), (gone, out), (back, out), (back + 0.25, home), (1, home)


def crosses_and_returns(rng: Rng, x: float) -> Knots:
    """As `returns`, from a home on the right."""
    return returns(rng, max(x, 1 - x))


def leaves(rng: Rng, x: float) -> Knots:
    out = -0.2 if x < 0.5 else 1.2
    t = float(rng.uniform(0.35, 0.55))
    return (0, x), (t, x), (t + 0.25, out), (1, out)


def comes_late(rng: Rng, x: float) -> Knots:
    out = -0.2 if x < 0.5 else 1.2
    t = float(rng.uniform(0.25, 0.5))
    return (0, out), (t, out), (t + 0.28, x), (1, x)


def crosses(rng: Rng, x: float) -> Knots:
    far = float(np.clip(1 - x + rng.uniform(-0.05, 0.05), 0.1, 0.9))
    return (0, x), (0.1, x), (0.48, far), (0.6, far), (0.95, x), (1, x)


def passes(rng: Rng, x: float) -> Knots:
    """From one side of the middle to the other and back, whatever stands there."""
    a = 0.24 if x < 0.5 else 0.76
    return (0, a), (0.08, a), (0.42, 1 - a), (0.58, 1 - a), (0.92, a), (1, a)
