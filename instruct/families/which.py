"""Which of two: the larger, or the one further to the left, at t."""

from __future__ import annotations

from collections.abc import Iterator

from instruct.clip import Track
from instruct.compose import Composer, Ref
from instruct.families.order import joint
from instruct.pair import Claim, Kind, Unit

FAMILY = "which"


def pairs(c: Composer) -> Iterator[Unit]:
    for i, a in enumerate(c.tracks):
        for b in c.tracks[i + 1 :]:
            for at in c.instants(joint(a.spans, b.spans), 3):
                yield from _sides(c, a, b, at)


def _sides(c: Composer, a: Track, b: Track, at: int) -> Iterator[Unit]:
    both = [[t.frames[k] for k in range(t.at(at - 300_000), t.at(at + 300_000) + 1)] for t in (a, b)]
    if not all(both):
        return
    width = c.clip.window.size[1]
    xs = [[(f.bbox[0] + f.bbox[2]) / 2 for f in frames] for frames in both]
    if max(xs[0]) < min(xs[1]) - 0.1 * width:
        yield from _ask(c, a, b, at, "left_of")
    elif max(xs[1]) < min(xs[0]) - 0.1 * width:
        yield from _ask(c, b, a, at, "left_of")
    areas = [[f.area for f in frames] for frames in both]
    if min(areas[0]) > 1.4 * max(areas[1]):
        yield from _ask(c, a, b, at, "larger")
    elif min(areas[1]) > 1.4 * max(areas[0]):
        yield from _ask(c, b, a, at, "larger")


def _ask(c: Composer, first: Track, second: Track, at: int, kind: Kind) -> Iterator[Unit]:
    """`first` is the larger, or left of `second`."""
    is_so, other_way = {
        "larger": ("larger in the picture than", "smaller in the picture than"),
        "left_of": ("further to the left than", "further to the right than"),
    }[kind]
    for one, two in ((c.masked(first), c.masked(second)), (c.named(first), c.named(second))):
        if one is None or two is None:
            continue
        times = c.times()
        when = times.exact(at)
        right = Claim(kind=kind, entity=first.entity, other=second.entity, start_us=at, end_us=at)
        wrong = Claim(kind=kind, holds=False, entity=second.entity, other=first.entity, start_us=at, end_us=at)
        text = "At {t}, is {a} {so} {b}?"
        yield (
            c.pair(FAMILY, "yesno", text.format(t=when, a=one.asked, b=two.asked, so=is_so),
                   f"Yes, the first is {is_so} the second.", [right], [one, two], timed=True),
            c.pair(FAMILY, "yesno", text.format(t=when, a=two.asked, b=one.asked, so=is_so),
                   f"No, the first is {other_way} the second.", [wrong, right], [two, one], timed=True),
        )  # fmt: skip
        yield _either(c, one, two, right, wrong, when, kind)


def _either(c: Composer, one: Ref, two: Ref, right: Claim, wrong: Claim, when: str, kind: Kind) -> Unit:
    """Which of the two, named in a drawn order."""
    refs = [one, two]
    c.rng.shuffle(refs)
    ask = {
        "larger": "At {t}, which is larger in the picture, {a} or {b}?",
        "left_of": "At {t}, which is further to the left, {a} or {b}?",
    }[kind]
    words = ["the first", "the second"] if one.region is not None else [r.said for r in refs]
    options = [(word, right if r is one else wrong) for word, r in zip(words, refs, strict=True)]
    good = next(o for o in options if o[1] is right)
    bad = next(o for o in options if o[1] is wrong)
    question = ask.format(t=when, a=refs[0].asked, b=refs[1].asked)
    return c.choice(FAMILY, question, good, [bad], refs, timed=True)
