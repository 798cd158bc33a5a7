"""When the light changes at once (a lamp, sun through a door, a night camera that turns to infrared), everybody looks
different and is still who they were: their looks are learnt anew, from where they are."""

from __future__ import annotations

import msgspec
import numpy as np

from stream import look as looks
from stream.patch import Patch
from stream.view import FollowState, View

SAME_LIGHT = 0.92
"""Similarity of the whole frames of two looks under which the light has changed: on the sample clips it is 0.97 and
more, moving cameras too; lamps, colour casts and infrared in them are 0.87 and less."""
STILL_ALIKE = 0.85
"""Similarity to itself from which somebody's look still holds."""


def relight(state: FollowState, view: View) -> None:
    """Call at every look of the detector. Who is half hidden, or has left, keeps the look of the old light."""
    h, w = view.size
    before, state.scene = state.scene, looks.measure(view.rgb, Patch(0, 0, np.full((h, w), 255, np.uint8)), None)
    if before is None or looks.similarity(before, state.scene) >= SAME_LIGHT:
        return
    state.met.clear()
    for e in state.entities:
        e.before, e.odd, e.replaced = None, 0, False
        now = looks.of_most(view.rgb, e)
        if now is not None and e.look is not None and looks.similarity(now, e.look) < STILL_ALIKE:
            e.look = msgspec.structs.replace(now, embed=e.look.embed)
