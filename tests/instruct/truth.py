"""A third opinion on claims, from the frames a random stream was made of: lists of frames, no event and no mask."""

from __future__ import annotations

from instruct.pair import Claim
from tests.instruct.streams import SIZE, STEP_US, Actor, Told

LEFTWARD, FACES = ("moves to the left", "moves slowly to the left"), ("faces the camera", "faces the left")
AGAINST = {
    "stays in place": (*LEFTWARD, "runs to the right"),
    "runs to the right": (*LEFTWARD, "stays in place", "jumps"),
    "jumps": ("runs to the right",),
    **dict.fromkeys(LEFTWARD, ("stays in place", "runs to the right")),
    FACES[0]: (FACES[1],),
    FACES[1]: (FACES[0],),
}
"""By action of the streams: those that mean that it does not happen."""
_BREAK = 4
"""Steps without a mask that are no exit."""


def frames_of(c: Claim, first: int, last: int) -> range:
    """The frames a claim is about: those of the quarter second around an instant, else of the span."""
    around = 250_000 if c.start_us == c.end_us else 0
    start, end = max(c.start_us - around, first * STEP_US), min(c.end_us + around, last * STEP_US)
    return range(-(-start // STEP_US), end // STEP_US + 1)


def true_of(told: Told, c: Claim, first: int, last: int) -> bool:
    """Whether what a claim says (or denies, where it does not hold) is so; first, last: frames of the clip."""
    by_id = {a.entity: a for a in told.actors}
    a, b = by_id.get(c.entity), by_id.get(c.other)
    over = [i for i in frames_of(c, first, last) if i < last]
    inside = range(first, last)

    def there(x: Actor | None) -> list[bool]:
        assert x is not None
        return [x.boxes[i] is not None for i in over]

    def seen(x: Actor | None) -> list[int]:
        assert x is not None
        return [i for i in inside if x.boxes[i] is not None]

    match c.kind:
        case "seen":
            return _through(a, over) if c.holds else not any(there(a))
        case "does":
            assert a is not None
            doing = [c.text in _done(a, i) for i in over]
            if c.holds:
                return all(doing)
            told_so = [any(x in AGAINST.get(c.text, ()) for x in _done(a, i)) for i in over]
            return not any(doing[1:-1]) and (all(told_so) or not any(there(a)))
        case "acts" | "part":
            assert a is not None
            times = [i for i in inside if c.text in _done(a, i)]
            if c.kind == "part":
                third = (last - first) / 3
                hits = [int(min(2, (i - first) // third)) == c.n for i in times if not _lone(told, a, i, c.text)]
                return bool(hits) and (all(hits[:-1]) if c.holds else not any(hits[1:-1]))
            return all(any(s <= i * STEP_US <= e for s, e in c.spans) or _lone(told, a, i, c.text) for i in times)
        case "stays":
            told_frames = {i for s, e in c.spans for i in range(s // STEP_US, e // STEP_US + 1)}
            return set(seen(a)) <= told_frames and all(_near(a, i) for i in told_frames)
        case "lasts":
            n = sum(e - s for s, e in _stretches(seen(a))) * STEP_US
            return n == c.n if c.holds else abs(n - c.n) >= 400_000
        case "returns":
            return (len(_stretches(seen(a))) > 1) is c.holds
        case "place":
            assert a is not None
            middles = [(box[0] + box[2]) / 2 / SIZE[1] for i in over if (box := a.boxes[i]) is not None]
            wanted = ("left", "middle", "right").index(c.text)
            hits = [min(2, int(m * 3)) == wanted for m in middles]
            return bool(hits) and (all(hits) if c.holds else not any(hits))
        case "count":
            n = sum(_through(x, over) for x in told.actors if x.category == c.text)
            return (n == c.n) is c.holds
        case "before":
            return (seen(a)[0] < seen(b)[0]) is c.holds
        case "next":
            later = {x.entity: seen(x)[0] for x in told.actors if seen(x) and seen(x)[0] > seen(a)[0]}
            return (later.get(c.other) == min(later.values())) is c.holds
        case "together":
            both = set(seen(a)) & set(seen(b))
            return bool(both) is c.holds
        case "larger" | "left_of":
            assert a is not None
            assert b is not None
            if not (_through(a, over) and _through(b, over)):
                return False
            for i in over:
                x, y = a.boxes[i], b.boxes[i]
                if x is None or y is None:
                    continue
                big = [(k[2] - k[0]) * (k[3] - k[1]) for k in (x, y)]
                left = [k[0] + k[2] for k in (x, y)]
                so = big[0] > big[1] if c.kind == "larger" else left[0] < left[1]
                if so is not c.holds:
                    return False
            return True
        case "called":
            assert a is not None
            return (a.expression == c.text) is c.holds
        case "scenes":
            borders = [i for i in (0, *told.cuts, told.frames) if first <= i <= last]
            return (len(borders) - 1 == c.n) is c.holds


def _through(a: Actor | None, over: list[int]) -> bool:
    assert a is not None
    return all(_near(a, i) for i in over)


def _near(a: Actor | None, i: int) -> bool:
    """In sight, or missing for a moment only."""
    assert a is not None
    if a.boxes[i] is not None:
        return True
    before = next((k for k in range(1, _BREAK + 1) if i - k >= 0 and a.boxes[i - k] is not None), 99)
    after = next((k for k in range(1, _BREAK + 1) if i + k < len(a.boxes) and a.boxes[i + k] is not None), 99)
    return before + after <= _BREAK


def _done(a: Actor, i: int) -> tuple[str, ...]:
    return (a.doing[i], a.also[i] if a.also else "")


def _lone(told: Told, a: Actor, i: int, text: str) -> bool:
    """An action of one frame of its segment, which has no length and is not told."""
    channel = a.doing if a.doing[i] == text else a.also
    before, after = i - 1, i + 1
    alone = before < 0 or i in told.cuts or channel[before] != channel[i]
    return alone and (after >= told.frames or after in told.cuts or channel[after] != channel[i])


def _stretches(seen: list[int]) -> list[tuple[int, int]]:
    out: list[tuple[int, int]] = []
    for i in seen:
        if out and i - out[-1][1] <= _BREAK:
            out[-1] = (out[-1][0], i)
        else:
            out.append((i, i))
    return out
