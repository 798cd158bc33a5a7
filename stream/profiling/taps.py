"""Which engines a run asks, and what: so that their calls can be made again, alone."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, cast

from engines.work import Call, T


class Taps:
    """An `engines.work.Tap`: each session and engine works as ever, and what it was last asked is kept."""

    def __init__(self) -> None:
        self._taps: dict[str, _Tap] = {}

    def __call__(self, name: str, opened: T) -> T:
        tap = self._taps[name] = _Tap(opened)
        return cast(T, tap)

    def calls(self) -> list[Call]:
        """The last call of each that was called."""
        return [tap.call(name) for name, tap in self._taps.items() if tap.last is not None]


class _Tap:
    def __init__(self, opened: Any) -> None:
        self._opened = opened
        self.last: Any = None
        self._output: tuple[str, ...] = ()

    def run(self, inputs: Any) -> Any:
        self.last = inputs
        return self._opened.run(inputs)

    def run_named(self, inputs: Any, output: str) -> Any:
        self.last, self._output = inputs, (output,)
        return self._opened.run_named(inputs, output)

    def call(self, name: str) -> Call:
        spec, opened = getattr(self._opened, "spec", None), self._opened
        if spec is not None:
            rows = spec.measure(self.last).get(spec.batch, 1)
        else:
            rows = len(next(iter(self.last.values())) if isinstance(self.last, Mapping) else self.last)
        run = partial(opened.run_named if self._output else opened.run, self.last, *self._output)
        return Call(name, opened.backend, rows, run, partial(opened.work, self.last))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._opened, name)
