"""Which actions mean that another does not go on: the checker's half; the generators have their own in `contrast`."""

from __future__ import annotations

from functools import lru_cache

_OPPOSITE = {"left": "right", "up": "down", "toward": "away"}
_POSTURES = {"sits": "sits", "crouches": "crouches", "lies": "lies", "jumps": "jumps"}


@lru_cache(maxsize=1024)
def way_of(text: str) -> str:
    """Where an action goes: left, right, up, down, toward, away, or still; empty where it is about something else."""
    verb, *rest = [w for w in text.split() if w not in ("slowly", "fast")]
    if text in ("stays in place", "stands still"):
        return "still"
    if verb not in ("moves", "walks", "runs", "rides") or not rest:
        return ""
    if rest[0] == "to" and rest[1] == "the" and len(rest) == 3:
        return rest[2] if rest[2] in ("left", "right") else ""
    if rest in (["toward", "the", "camera"], ["away", "from", "the", "camera"], ["up"], ["down"]):
        return rest[0]
    return ""


@lru_cache(maxsize=4096)
def excludes(one: str, two: str) -> bool:
    """Whether an action that goes on means that another does not."""
    a, b = way_of(one), way_of(two)
    if a and b and a != b and ("still" in (a, b) or _OPPOSITE.get(a) == b or _OPPOSITE.get(b) == a):
        return True
    verbs = one.split()[0], two.split()[0]
    if one.startswith("faces ") and two.startswith("faces "):
        return one != two
    if set(verbs) == {"walks", "runs"} and a and b:
        return True
    stances = [
        _POSTURES.get(t, "") or ("upright" if t == "stands still" or (v in ("walks", "runs") and w) else "")
        for t, v, w in zip((one, two), verbs, (a, b), strict=True)
    ]
    return bool(stances[0] and stances[1]) and stances[0] != stances[1]
