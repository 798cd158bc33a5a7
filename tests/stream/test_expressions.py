"""A table of expressions, written by hand, and what each of them says: expressions.txt."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stream.expression import Attribute, Expression
from stream.parse import parse

TABLE = [
    [field.strip() for field in line.split("|")]
    for line in (Path(__file__).parent / "expressions.txt").read_text("utf-8").splitlines()
    if line and not line.startswith("#")
]


def written(a: Attribute) -> str:
    part = "" if a.part == "whole" else f" {a.part}"
    return ("!" if a.negated else "") + f"{a.kind} {a.value.replace(' ', '_')}{part}"


def number(e: Expression) -> str:
    """As the table writes it: `all`, a number, n or 1; and `other`."""
    many = str(e.count or "") + (" all" if e.all else "")
    return (many.strip() or ("n" if e.plural else "1")) + (" other" if e.other else "")


def said(e: Expression) -> dict[str, object]:
    """An expression as a row of the table."""
    noun, name = e.noun, e.category
    relations = set()
    for r in e.relations:
        inner = "; ".join(sorted(map(written, r.target.attributes)))
        relations.add(
            ("!" if r.negated else "") + f"{r.kind} {r.target.noun.replace(' ', '-')}" + f"({inner})" * bool(inner)
        )
    return {
        "noun": noun if noun == name else f"{noun}:{name}",
        "number": number(e),
        "attributes": {written(a) for a in e.attributes},
        "relations": relations,
        "order": f"{e.order.n} {e.order.by or '-'}" if e.order else "",
    }


def expected(row: list[str]) -> dict[str, object]:
    _, noun, many, attributes, relations, order = row
    return {
        "noun": noun,
        "number": many,
        "attributes": {a for a in re.split(r";\s*", attributes) if a},
        "relations": {r for r in re.split(r";\s*(?![^(]*\))", relations) if r},
        "order": order,
    }


def test_the_table_is_whole() -> None:
    assert len(TABLE) >= 200
    assert {len(row) for row in TABLE} == {6}
    assert len({row[0] for row in TABLE}) == len(TABLE)


@pytest.mark.parametrize("row", TABLE, ids=[row[0] for row in TABLE])
def test_says_what_a_person_would_say(row: list[str]) -> None:
    assert said(parse(row[0])) == expected(row)


def test_the_table_uses_known_words_but_for_two() -> None:
    assert {w for row in TABLE for w in parse(row[0]).unknown} == {"zebu", "zorkmid"}
