"""Numbers on a command line: click's ranges let NaN pass, and infinity where there is no upper end."""

from __future__ import annotations

import math
from typing import Any

import click


class Finite(click.FloatRange):
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is no number to reckon with", param, ctx)
        return number
