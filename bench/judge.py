"""One arm's answer to a case, and its marks: J and F of each expression, identities, re-entries, bindings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np

from bench import identity
from bench.cases import Case, Spoken
from bench.identity import Frame, stretches
from bench.regions import boundary_f, region_j
from kernels import rle

LATE = 0.1
"""Who is first seen after this share of a video has entered late."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an arm says of a case. masks: per frame, identity -> compressed counts. bound: expression -> identities it
    means in the end; missing where it means nobody. candidates: expressions it could not decide between identities."""

    masks: list[dict[int, str]]
    bound: dict[str, tuple[int, ...]]
    candidates: dict[str, tuple[int, ...]] = field(default_factory=dict)


class ExpressionMark(msgspec.Struct, frozen=True):
    """J and F are means over annotated frames; binding: right, wrong, ambiguous or none."""

    text: str
    entities: tuple[int, ...]
    j: float
    f: float
    binding: str


class Mark(msgspec.Struct, frozen=True):
    """One arm's marks in one case."""

    frames: int
    expressions: list[ExpressionMark]
    hota: float
    idf1: float
    switches: int
    reentries: tuple[int, int]
    identities: int
    notes: list[str]
    history: dict[int, list[tuple[int | None, int, int]]]
    """Who had each entity when: `identity.history`."""

    @property
    def j(self) -> float:
        return mean([e.j for e in self.expressions])

    @property
    def f(self) -> float:
        return mean([e.f for e in self.expressions])

    @property
    def jf(self) -> float:
        return (self.j + self.f) / 2

    def count(self, binding: str) -> int:
        return sum(e.binding == binding for e in self.expressions)


def mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


def judge(case: Case, answer: Answer) -> Mark:
    """All marks of an answer, over the frames that are annotated."""
    at = [i for i, frame in enumerate(case.truth) if frame is not None]
    truth = [case.truth[i] or {} for i in at]
    said = [answer.masks[i] for i in at]
    of = identity.owners(identity.compare(truth, said, case.size))
    if not case.complete:  # what else is in the video is no mistake of anybody's
        meant = {p for who in (*answer.bound.values(), *answer.candidates.values()) for p in who}
        known = {e for s in case.expressions for e in s.entities}
        if known:
            said = [{p: c for p, c in frame.items() if p in meant} for frame in said]
            truth = [{e: c for e, c in frame.items() if e in known} for frame in truth]
    frames = identity.compare(truth, said, case.size)
    who = identity.score(case.name, frames)
    return Mark(
        frames=len(at),
        expressions=[_expression(case, s, answer, at, of) for s in case.expressions],
        hota=who.hota,
        idf1=who.idf1,
        switches=who.switches,
        reentries=who.reentries,
        identities=who.identities,
        notes=list(who.notes),
        history=identity.history(frames),
    )


def _expression(case: Case, spoken: Spoken, answer: Answer, at: Sequence[int], of: dict[int, int]) -> ExpressionMark:
    bound = answer.bound.get(spoken.id, ())
    j, f = [], []
    for i in at:
        true = _union(case, {e: c for e, c in (case.truth[i] or {}).items() if e in spoken.entities})
        told = _union(case, {p: c for p, c in answer.masks[i].items() if p in bound})
        j.append(region_j(true, told))
        f.append(boundary_f(true, told))
    if bound:
        right = len(bound) >= len(spoken.entities) and {of.get(p) for p in bound} == set(spoken.entities)
        binding = "right" if right else "wrong"
    else:
        binding = "ambiguous" if spoken.id in answer.candidates else "none"
    return ExpressionMark(spoken.text, spoken.entities, mean(j), mean(f), binding)


def _union(case: Case, masks: dict[int, str]) -> np.ndarray:
    out = np.zeros(case.size, bool)
    for counts in masks.values():
        out |= rle.decode(counts, case.size)
    return out


def happenings(case: Case) -> list[str]:
    """What the truth says happens: exit, re-entry, late entry, cut; the rest of a case is neither."""
    found = set()
    truth = [frame for frame in case.truth if frame is not None]
    frames = [Frame(sorted(f), [], np.zeros((len(f), 0))) for f in identity_frames(truth, case.size)]
    for e in sorted({e for f in frames for e in f.truths}):
        runs = stretches([e in f.truths for f in frames])
        if not runs:
            continue
        if runs[0][0] > LATE * len(frames):
            found.add("late entry")
        if len(runs) > 1:
            found.add("re-entry")
        if runs[-1][1] < len(frames) - identity.RUN_FRAMES:
            found.add("exit")
    if len(set(case.shots)) > 1:
        found.add("cut")
    return sorted(found)


def identity_frames(truth: Sequence[dict[int, str]], size: tuple[int, int]) -> list[dict[int, str]]:
    """The truth without what is too small to be demanded."""
    least = identity.SMALLEST * size[0] * size[1]
    return [{e: c for e, c in frame.items() if rle.area(c, size) >= least} for frame in truth]
