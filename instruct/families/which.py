"""Which of two: the larger, or the one further to the left, at t."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from instruct.clip import Track
from instruct.compose import Composer
from instruct.families.order import joint
from instruct.pair import Claim, Kind, Unit
from instruct.plan import Plan, near

FAMILY = "which"


_SO = {
    "larger": ("larger in the picture than", "smaller in the picture than"),
    "left_of": ("further to the left than", "further to the right than"),
}
_EITHER = {
    "larger": "At {t}, which is larger in the picture, {a} or {b}?",
    "left_of": "At {t}, which is further to the left, {a} or {b}?",
}


def pairs(c: Composer) -> Iterator[Plan]:
    for i, a in enumerate(c.tracks):
        for b in c.tracks[i + 1 :]:
            ways = c.ways(a, b)
            for at in c.instants(joint(a.spans, b.spans), 3) if ways else ():
                for kind, first, second in _sides(a, b, at):
                    about = (kind, first.entity, second.entity, near(at))
                    for masked in ways:
                        write = partial(_twins, c, kind, first, second, at, masked)
                        yield c.plan(FAMILY, "yesno", about, write, masked=masked, timed=True)
                        write = partial(_choice, c, kind, first, second, at, masked)
                        yield c.plan(FAMILY, "choice", about, write, masked=masked, timed=True)


def _sides(a: Track, b: Track, at: int) -> Iterator[tuple[Kind, Track, Track]]:
    """What is clear around a time: which of the two is left of the other, which is larger than the other."""
    x, y = a.xs[a.around(at)], b.xs[b.around(at)]
    if not x or not y:
        return
    if max(x) < min(y) - 0.1:
        yield "left_of", a, b
    elif max(y) < min(x) - 0.1:
        yield "left_of", b, a
    size, other = ([f.area for f in t.frames[t.around(at)]] for t in (a, b))
    if min(size) > 1.4 * max(other):
        yield "larger", a, b
    elif min(other) > 1.4 * max(size):
        yield "larger", b, a


def _claims(kind: Kind, first: Track, second: Track, at: int) -> tuple[Claim, Claim]:
    """That `first` is the larger, or left of `second`; and the denial of the reverse."""
    return (
        Claim(kind=kind, entity=first.entity, other=second.entity, start_us=at, end_us=at),
        Claim(kind=kind, holds=False, entity=second.entity, other=first.entity, start_us=at, end_us=at),
    )


def _twins(c: Composer, kind: Kind, first: Track, second: Track, at: int, masked: bool) -> Unit:
    is_so, other_way = _SO[kind]
    one, two, when = c.ref(first, masked), c.ref(second, masked), c.times().exact(at)
    right, wrong = _claims(kind, first, second, at)
    return (
        c.pair(FAMILY, "yesno", f"At {when}, is {one.asked} {is_so} {two.asked}?",
               f"Yes, the first is {is_so} the second.", [right], [one, two], timed=True),
        c.pair(FAMILY, "yesno", f"At {when}, is {two.asked} {is_so} {one.asked}?",
               f"No, the first is {other_way} the second.", [wrong, right], [two, one], timed=True),
    )  # fmt: skip


def _choice(c: Composer, kind: Kind, first: Track, second: Track, at: int, masked: bool) -> Unit:
    """Which of the two, named in a drawn order."""
    one, two = c.ref(first, masked), c.ref(second, masked)
    right, wrong = _claims(kind, first, second, at)
    refs = [one, two] if c.rng.random() < 0.5 else [two, one]
    words = ["the first", "the second"] if masked else [r.said for r in refs]
    options = [(word, right if r is one else wrong) for word, r in zip(words, refs, strict=True)]
    good, bad = options if refs[0] is one else reversed(options)
    question = _EITHER[kind].format(t=c.times().exact(at), a=refs[0].asked, b=refs[1].asked)
    return c.choice(FAMILY, question, good, [bad], refs, timed=True)
