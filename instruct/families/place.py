"""Where in the picture <region> is at t."""

from __future__ import annotations

from collections.abc import Iterator

from instruct.clip import Track
from instruct.compose import Composer
from instruct.pair import Claim, Unit

FAMILY = "place"
_PLACES = {"left": "on the left", "middle": "in the middle", "right": "on the right"}
_OPEN = ("Where in the picture is {who} at {t}?", "At {t}, in which part of the picture is {who}?")
_RIM = 0.05
"""Of the width: who stands nearer to the border of two thirds is not asked about."""


def pairs(c: Composer) -> Iterator[Unit]:
    for t in c.tracks:
        for ref in (r for _ in range(2) for r in c.refs(t)):
            for at in c.instants(t.spans, 3):
                place = _place(c, t, at)
                if not place:
                    continue
                times = c.times()
                options = {
                    p: (text, Claim(
                        kind="place", holds=p == place, entity=t.entity, text=p, start_us=at, end_us=at
                    )) for p, text in _PLACES.items()
                }  # fmt: skip
                question = c.rng.choice(_OPEN).format(who=ref.asked, t=times.exact(at))
                answer = f"{ref.said_first} is {_PLACES[place]} of the picture at {times.exact(at)}."
                yield (c.pair(FAMILY, "open", question, answer, [options[place][1]], [ref], timed=True),)
                wrong = [o for p, o in options.items() if p != place]
                yield c.choice(FAMILY, question, options[place], wrong, [ref], timed=True)
                other = c.rng.choice(wrong)
                asked = c.rng.choice(("Is {who} {place} of the picture at {t}?", "At {t}, is {who} {place}?"))
                yes, no = (asked.format(who=ref.asked, place=p, t=times.exact(at)) for p in (_PLACES[place], other[0]))
                yield (
                    c.pair(FAMILY, "yesno", yes, f"Yes, {ref.said} is {_PLACES[place]} at {times.exact(at)}.",
                           [options[place][1]], [ref], timed=True),
                    c.pair(FAMILY, "yesno", no, f"No, {ref.said} is {_PLACES[place]} at {times.exact(at)}.",
                           [other[1], options[place][1]], [ref], timed=True),
                )  # fmt: skip


def _place(c: Composer, t: Track, at: int) -> str:
    """The third that the box's middle stays in around a time; empty where it is near a border."""
    width = c.clip.window.size[1]
    xs = [(f.bbox[0] + f.bbox[2]) / 2 / width for f in t.frames[t.at(at - 300_000) : t.at(at + 300_000) + 1]]
    if max(xs) < 1 / 3 - _RIM:
        return "left"
    if min(xs) > 2 / 3 + _RIM:
        return "right"
    return "middle" if min(xs) > 1 / 3 + _RIM and max(xs) < 2 / 3 - _RIM else ""
