"""Expressions parsed: noun, category, and what they say."""

from __future__ import annotations

import time
from contextlib import suppress

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.errors import UserError
from stream.lexicon import lexicon
from stream.parse import Attribute, Expression, parse

EXAMPLE = {w.cls: said for said, w in lexicon().words.items()}
EXAMPLE |= {"COLOUR": "red", "SHADE": "dark", "UNKNOWN": "zebu", "WHO": "who"}
CLASSES = sorted(EXAMPLE)


@pytest.mark.parametrize(
    ("text", "noun", "category", "said"),
    [
        ("the dog", "dog", "dog", set()),
        ("the girl", "girl", "person", set()),
        ("The white dog", "dog", "dog", {("colour", "white", "whole")}),
        ("the girl in the blue skirt", "girl", "person", {("colour", "blue", "bottom")}),
        ("the man in red", "man", "person", {("colour", "red", "whole")}),
        ("the man in a black shirt and grey pants", "man", "person",
         {("colour", "black", "top"), ("colour", "grey", "bottom")}),
        ("woman wearing a yellow hat", "woman", "person", {("colour", "yellow", "head")}),
        ("the man on the left", "man", "person", {("place", "left", "whole")}),
        ("the person in the middle", "person", "person", {("place", "middle", "whole")}),
        ("the big car in the background", "car", "car", {("size", "large", "whole"), ("place", "far", "whole")}),
        ("the parked silver car", "car", "car", {("motion", "still", "whole"), ("colour", "grey", "whole")}),
        ("the running dog", "dog", "dog", {("motion", "moving", "whole")}),
        ("a teddy bear", "teddy bear", "teddy bear", set()),
        ("the sports ball", "sports ball", "sports ball", set()),
        ("the van", "van", "truck", set()),
        ("the left one", "one", "object", {("place", "left", "whole")}),
        ("something red", "object", "object", {("colour", "red", "whole")}),
    ],
)  # fmt: skip
def test_parse(text: str, noun: str, category: str, said: set[tuple[str, str, str]]) -> None:
    found = parse(text)
    assert (found.noun, found.category, found.plural) == (noun, category, False)
    assert {(a.kind, a.value, a.part) for a in found.attributes} == said


@pytest.mark.parametrize(
    ("text", "category"),
    [("the dogs", "dog"), ("people in red", "person"), ("two men", "person"), ("all cars", "car"), ("kids", "person")],
)
def test_plurals(text: str, category: str) -> None:
    found = parse(text)
    assert (found.category, found.plural) == (category, True)


def test_unknown_words_are_kept_not_guessed() -> None:
    assert parse("the melancholy dog").unknown == ("melancholy",)
    assert parse("the dog").unknown == ()


@pytest.mark.parametrize("text", ["the girl", "the boy", "that man"])
def test_gendered_nouns_say_more_than_can_be_measured(text: str) -> None:
    assert parse(text).telling
    assert not parse("the person").telling


@pytest.mark.parametrize("text", ["", "   ", "?!", "12 34", "zorkmid", "the of and", "quux frobs"])
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(UserError) as caught:
        parse(text)
    assert "\n" not in str(caught.value)
    assert 'like "the dog"' in str(caught.value) or "name a thing" in str(caught.value)


@pytest.mark.slow
@settings(deadline=None)  # the bound on time has a test of its own
@given(st.text(max_size=60))
def test_any_text_is_understood_or_refused(text: str) -> None:
    try:
        found = parse(text)
    except UserError:
        return
    assert found.category
    assert found == parse(text)


SALAD = [*sorted(lexicon().words), "red", "dark", "orange", "that", "top", "zebu", "7", "dark-haired"]
SMALL = sorted(said for said, w in lexicon().words.items() if w.cls not in ("NOUN", "PART", "FIN", "ADJ"))


@pytest.mark.slow
@settings(deadline=None, max_examples=1000)
@given(st.lists(st.one_of(st.sampled_from(SALAD), st.sampled_from(SMALL)), max_size=25))
def test_any_row_of_known_words_is_understood_or_refused(words: list[str]) -> None:
    try:
        found = parse(" ".join(words)[:300])
    except UserError:
        return
    assert found == msgspec.json.decode(msgspec.json.encode(found), type=Expression)


@settings(deadline=None)  # the bound on time has a test of its own
@given(st.lists(st.sampled_from(CLASSES), max_size=40))
def test_the_grammar_reads_any_row_of_classes(classes: list[str]) -> None:
    text = " ".join(EXAMPLE[c] for c in classes)[:300]
    with suppress(UserError):
        assert parse(text).category


def test_too_long_a_text_is_refused_and_a_long_one_is_quick() -> None:
    with pytest.raises(UserError, match="too long"):
        parse("dog " * 100)
    begin = time.perf_counter()
    for start in range(5):
        parse(("the man next to " * 20)[start:300].strip())
    assert (time.perf_counter() - begin) / 5 < 0.5


def test_targets_say_things_too_and_nest() -> None:
    found = parse("the small dog next to the man in red holding two white cups")
    (beside,) = found.relations
    assert (beside.kind, beside.target.noun) == ("next-to", "man")
    assert beside.target.attributes == (Attribute("colour", "red", word="red"),)
    (held,) = beside.target.relations
    assert (held.kind, held.target.noun, held.target.count) == ("holding", "cup", 2)


def test_an_unknown_target_is_kept_and_told() -> None:
    found = parse("the melancholy dog next to the zorkmid")
    assert found.unknown == ("melancholy", "zorkmid")
    (relation,) = found.relations
    assert (relation.target.noun, relation.target.category) == ("zorkmid", "object")
    assert relation.target.unknown == ("zorkmid",)


def test_a_known_noun_after_an_unknown_verb_is_no_relation() -> None:
    found = parse("the truck defenestrating a cat")
    assert found.relations == ()
    assert found.unknown == ("defenestrating", "cat")


def test_denial_is_of_what_is_said_last() -> None:
    found = parse("the dog that is not running to the left")
    assert [(a.value, a.negated) for a in found.attributes] == [("moving", False), ("left", True)]


def test_words_tell_what_values_leave_out() -> None:
    assert [a.word for a in parse("the girl in a blue skirt jogging").attributes] == ["skirt", "jog"]
