"""Whether a newcomer is somebody who is still followed, elsewhere and by mistake."""

from __future__ import annotations

import pytest
from test_doubles import BLUE_RGB, RED_RGB, painted_scene

from stream import look as looks
from stream.masklets import _may_be


@pytest.mark.parametrize(
    ("newcomer", "where", "found_us", "answer"),
    [
        ("red", (60, 90), 0, "yes"),  # looks like it, and what is drawn of it does not
        ("half", (62, 92), 0, "yes"),  # like it by half, but stands where it was last detected
        ("half", (110, 90), 0, "wait"),
        ("blue", (62, 92), 0, "no"),
        ("red", (60, 90), 900_000, "wait"),  # what bears its name is still detected, and looks like another
    ],
)
def test_a_mask_that_has_gone_along_with_somebody_else(
    newcomer: str, where: tuple[int, int], found_us: int, answer: str
) -> None:
    """1 in red stood at (60, 90) and was covered; its mask has gone along with 2 in blue, to (220, 90)."""
    _, before = painted_scene({1: ((60, 90), RED_RGB)})
    rgb, now = painted_scene({2: ((220, 90), BLUE_RGB), 3: (where, BLUE_RGB if newcomer == "blue" else RED_RGB)})
    one, new = before[1], now[3]
    if newcomer == "half":
        rgb[where[1] :, where[0] - 30 : where[0] + 30] = BLUE_RGB
        assert new.patch is not None
        new.look = looks.measure(rgb, new.patch, None)
    one.found_box, one.found_us = one.box.copy(), found_us
    one.patch, one.box = now[2].patch, now[2].box
    new.first_us = 500_000
    assert _may_be(one, new, rgb) == answer
