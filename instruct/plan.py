"""What could be asked, before it is written: families tell plans, the mix chooses among them, and only what is chosen
gets its text, its masks, its evidence and its check."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from instruct.pair import Form, Group, Unit

NEAR_US = 500_000
"""Questions of the same that are no further apart are near-duplicates."""


class Plan(msgspec.Struct, frozen=True, gc=False):  # thousands: a dataclass takes five times as long to make
    """A unit that can be written. about: what is asked; two plans of one family, group and form that are about the same
    are near-duplicates. write: draws the wording and the masks; it may give nothing. pairs: how many it makes, as a
    yes/no question comes with its twin."""

    family: str
    group: Group
    form: Form
    about: tuple[object, ...]
    write: Callable[[], Unit]
    pairs: int


def near(us: int) -> int:
    """A time in `about`, the same for what is asked within half a second."""
    return us // NEAR_US


GROUP_OF: Mapping[tuple[bool, bool], Group] = {
    (True, True): "mask+time", (True, False): "mask", (False, True): "time", (False, False): "plain",
}  # fmt: skip
"""How a question refers, by whether it shows a region and whether it tells a time."""
