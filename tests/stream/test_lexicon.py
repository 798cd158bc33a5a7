"""The lexicon: its rules against inflect's, its tables against the grammar, and words cut from texts."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

import stream.parse
from engines.labels import COCO
from stream.lexicon import Word, lexicon, participle, plural, read_words, words_of

FOLDER = Path(stream.parse.__file__).parent
DATA = tomllib.loads((FOLDER / "lexicon.toml").read_text("utf-8"))
PLURALS = {"scissors", "skis", "people", "cattle", "someone", "somebody", "police", "golf", "tennis", "money"}
"""Nouns that have no plural, or are one."""
EITHER = {"buffalo", "flamingo", "gecko"}
"""Both plurals are right."""
INFLECT_ERRS = {"exit", "gallop", "listen", "open", "squat", "trek"}
"""It has exitting, openning and squating."""


@pytest.fixture(scope="module")
def engine() -> Any:
    import inflect  # takes seconds, for which no run without these tests shall pay

    return inflect.engine()


@pytest.mark.slow
def test_plurals_are_those_of_inflect(engine: Any) -> None:
    words = lexicon().words
    nouns = {w.text for w in words.values() if w.cls == "NOUN" and not w.plural and " " not in w.text}
    several = {n: engine.plural_noun(n) for n in nouns - PLURALS - EITHER}
    assert {n: p for n, p in several.items() if p not in words or words[p].text != n} == {}


@pytest.mark.slow
def test_participles_are_those_of_inflect(engine: Any) -> None:
    verbs = {w.text for w in lexicon().verbs.values() if " " not in w.text} - INFLECT_ERRS
    assert {v: participle(v) for v in verbs} == {v: engine.present_participle(plural(v)) for v in verbs}


def test_every_class_of_a_word_is_a_terminal_of_the_grammar() -> None:
    declared = set(
        re.findall(r"[A-Z]{2,}", " ".join(re.findall("%declare (.*)", (FOLDER / "expression.lark").read_text())))
    )
    used = {w.cls for w in lexicon().words.values()} | {w.cls for w in lexicon().verbs.values()}
    assert used - declared == {"SILENT"}
    assert declared - used == {"NO", "COLOUR", "SHADE", "UNKNOWN"}


def test_every_category_of_the_detectors_is_a_noun() -> None:
    words = lexicon().words
    assert [c for c in COCO if c != "orange" and (words[c].cls, words[c].value) != ("NOUN", c)] == []


def test_tables_name_verbs_that_there_are() -> None:
    verbs = {w.text.replace(" ", "_") for w in lexicon().verbs.values()}
    for table in ("objects", "alone", "also"):
        assert set(DATA[table]) <= verbs, table
    assert set(DATA["past"].values()) <= verbs


@pytest.mark.parametrize("table", ["verbs", "takes", "nouns", "garments", "body", "adjectives", "prepositions"])
def test_a_table_holds_no_word_twice(table: str) -> None:
    rows = [r for v in DATA[table].values() for r in (v.values() if isinstance(v, dict) else [v])]
    said = [s for row in rows for s, _ in words_of(row)]
    assert [s for s in said if said.count(s) > 1] == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("the man's hat", ["the", "man", "hat"]),
        ("NEXT TO the t-shirt", ["next to", "the", "t-shirt"]),
        ("black-and-white", ["black", "and", "white"]),
        ("the dark-skinned man", ["the", "dark-skinned", "man"]),
        ("left of it", ["left"]),
        ("", []),
        ("?!", []),
        ("12345 3", ["12345", "3"]),
    ],
)
def test_texts_are_cut_into_words(text: str, words: list[str]) -> None:
    assert [w.text for w in read_words(text)] == words


def test_what_a_word_is_may_rest_on_the_one_before() -> None:
    assert [w.cls for w in read_words("that woman that leaves the leaves")] == [
        "DET",
        "NOUN",
        "WHO",
        "FIN",
        "DET",
        "NOUN",
    ]
    assert read_words("a white top")[-1] == Word("GARMENT", "top", "top")
    assert read_words("at the top")[-1].cls == "PLACE"
    assert [w.cls for w in read_words("light blue")] == ["SHADE", "COLOUR"]
