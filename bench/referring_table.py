"""What `bench.referring` prints: a line a case with both arms, an optional line an expression, and totals."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from rich.table import Table

from bench.judge import Mark, mean

HARD = {"exit", "re-entry", "late entry"}


class Row(msgspec.Struct, frozen=True):
    """One case done: both arms' marks (theirs None where it was not run), and the seconds each took."""

    case: str
    kind: str
    happens: list[str]
    ours: Mark
    strefer: Mark | None
    ours_s: float
    strefer_s: float


class Totals(msgspec.Struct, frozen=True):
    """One arm over all cases. Expressions count alike, as in MeViS; HOTA and IDF1 are means over cases."""

    j: float
    f: float
    hota: float
    idf1: float
    switches_per_1000: float
    reentries: tuple[int, int]
    right: int
    ambiguous: int
    expressions: int

    @property
    def jf(self) -> float:
        return (self.j + self.f) / 2


def totals(marks: Sequence[Mark]) -> Totals:
    said = [e for m in marks for e in m.expressions]
    frames = sum(m.frames for m in marks)
    return Totals(
        mean([e.j for e in said]),
        mean([e.f for e in said]),
        mean([m.hota for m in marks]),
        mean([m.idf1 for m in marks]),
        1000 * sum(m.switches for m in marks) / max(1, frames),
        (sum(m.reentries[0] for m in marks), sum(m.reentries[1] for m in marks)),
        sum(m.count("right") for m in marks),
        sum(m.count("ambiguous") for m in marks),
        len(said),
    )


def by_case(rows: Sequence[Row]) -> Table:
    both = any(row.strefer is not None for row in rows)
    title = "ours | the Strefer way on the same engines" if both else "ours"
    table = Table(box=None, title=title, header_style="bold")
    for name in ("case", "kind", "happens"):
        table.add_column(name, no_wrap=True)
    for name in ("J", "F", "J&F", "|", "HOTA", "|", "IDF1", "|", "switches", "|", "re-entries", "bindings", "|"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        o, s = row.ours, row.strefer
        style = "red" if s is not None and HARD & set(row.happens) and o.jf <= s.jf else ""
        table.add_row(
            row.case, row.kind, ", ".join(row.happens), _figure(o.j), _figure(o.f), _figure(o.jf), _of(s, "jf"),
            _figure(o.hota), _of(s, "hota"), _figure(o.idf1), _of(s, "idf1"), str(o.switches),
            "" if s is None else str(s.switches), _share(o.reentries), _bindings(o), "" if s is None else _bindings(s),
            style=style,
        )  # fmt: skip
    return table


def by_expression(rows: Sequence[Row]) -> Table:
    table = Table("case", "expression", "J", "F", "binding", "|", "binding", box=None, header_style="bold")
    for row in rows:
        theirs = row.strefer.expressions if row.strefer else [None] * len(row.ours.expressions)
        for o, s in zip(row.ours.expressions, theirs, strict=True):
            other = ("", "") if s is None else (_figure((s.j + s.f) / 2), s.binding)
            table.add_row(row.case, o.text, _figure(o.j), _figure(o.f), o.binding, *other)
    return table


def by_entity(rows: Sequence[Row]) -> Table:
    """Which identity of ours had each true entity when, to find out where one was lost."""
    table = Table("case", "entity", "identity (frames)", "notes", box=None, header_style="bold")
    for row in rows:
        for entity, runs in row.ours.history.items():
            told = ", ".join(f"{'away' if who is None else who or '-'} ({a}-{b})" for who, a, b in runs)
            notes = [n for n in row.ours.notes if n.startswith(f"entity {entity} ")]
            table.add_row(row.case, str(entity), told, "; ".join(notes))
    return table


def summary(rows: Sequence[Row]) -> Table:
    arms = {"ours (lite)": totals([r.ours for r in rows])}
    theirs = [r.strefer for r in rows if r.strefer is not None]
    if theirs:
        arms["the Strefer way"] = totals(theirs)
    names = ("", "J", "F", "J&F", "HOTA", "IDF1", "switches / 1,000 frames", "re-entries", "right", "ambiguous", "of")
    table = Table(*names, box=None, title=f"{len(rows)} cases", header_style="bold")
    for name, t in arms.items():
        right = f"{t.right} ({100 * t.right / max(1, t.expressions):.1f} %)"
        table.add_row(
            name, _figure(t.j), _figure(t.f), _figure(t.jf), _figure(t.hota), _figure(t.idf1),
            f"{t.switches_per_1000:.2f}", _share(t.reentries), right, str(t.ambiguous), str(t.expressions),
        )  # fmt: skip
    if theirs:
        ours, peer = arms["ours (lite)"], arms["the Strefer way"]
        ratios = [f"{a / b:.2f}" if b else "" for a, b in ((ours.j, peer.j), (ours.f, peer.f), (ours.jf, peer.jf),
                  (ours.hota, peer.hota), (ours.idf1, peer.idf1))]  # fmt: skip
        table.add_row("ratio", *ratios)
        hard = [r for r in rows if r.strefer is not None and HARD & set(r.happens)]
        won = [r for r in hard if r.strefer is not None and r.ours.jf > r.strefer.jf]
        lost = ", ".join(r.case for r in hard if r not in won)
        table.caption = f"better in J&F on {len(won)} of {len(hard)} cases with exit, re-entry or late entry" + (
            f"; not on {lost}" if lost else ""
        )
    return table


def _figure(value: float) -> str:
    return "" if value != value else f"{value:.3f}"


def _of(mark: Mark | None, what: str) -> str:
    return "" if mark is None else _figure(float(getattr(mark, what)))


def _share(pair: tuple[int, int]) -> str:
    return f"{pair[0]}/{pair[1]}" if pair[1] else ""


def _bindings(mark: Mark) -> str:
    if not mark.expressions:
        return ""
    unsure = mark.count("ambiguous")
    return f"{mark.count('right')}/{len(mark.expressions)}" + (f" {unsure}?" if unsure else "")
