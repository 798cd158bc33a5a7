"""Expressions parsed: noun, category, and what they say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.errors import UserError
from stream.parse import parse


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
    assert parse(text).gendered
    assert not parse("the person").gendered


@pytest.mark.parametrize("text", ["", "   ", "?!", "12 34", "zorkmid", "the of and", "quux frobs"])
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(UserError) as caught:
        parse(text)
    assert "\n" not in str(caught.value)
    assert 'like "the dog"' in str(caught.value) or "name a thing" in str(caught.value)


@given(st.text(max_size=60))
def test_any_text_is_understood_or_refused(text: str) -> None:
    try:
        found = parse(text)
    except UserError:
        return
    assert found.category
    assert found == parse(text)
