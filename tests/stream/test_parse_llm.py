"""The parser by a language model: its answers become expressions, its failures the default parser's."""

from __future__ import annotations

from typing import Any

import pytest

from engines.chat import Budget, Chat, Endpoint
from engines.errors import UserError
from stream.expression import Attribute, Expression, Order
from stream.parse import parse
from stream.parse_llm import parse_by
from tests.chat_server import Reply, completion, failure, serving

TEXT = "the second girl from the left in a red skirt, not next to the dogs"


def answer(**changes: object) -> dict[str, Any]:
    beside = {"kind": "next-to", "noun": "dog", "category": "dog", "attributes": [], "negated": True}
    said: dict[str, Any] = {
        "noun": "girl",
        "category": "person",
        "plural": False,
        "count": 0,
        "all": False,
        "other": False,
        "order": {"n": 2, "by": "left"},
        "attributes": [{"kind": "colour", "value": "red", "part": "bottom", "negated": False}],
        "relations": [beside],
        "unknown": [],
    }
    return said | changes


def test_an_answer_becomes_an_expression() -> None:
    with serving(completion(answer())) as served:
        reading = parse_by(Chat(Endpoint(served.url, "m")), TEXT)
    found = reading.expression
    assert reading.fallback == ""
    assert (found.text, found.noun, found.category, found.telling) == (TEXT, "girl", "person", True)
    assert found.attributes == (Attribute("colour", "red", "bottom"),)
    assert found.order == Order(2, "left")
    (relation,) = found.relations
    assert (relation.kind, relation.negated) == ("next-to", True)
    assert relation.target == Expression("dog", "dog", "dog")
    asked = served.asked[0]
    assert TEXT in asked["messages"][1]["content"]
    assert asked["response_format"]["json_schema"]["name"] == "Said"


def test_values_that_nothing_measures_are_not_understood() -> None:
    bright = {"kind": "colour", "value": "bright", "part": "whole", "negated": False}
    with serving(completion(answer(attributes=[bright]))) as served:
        found = parse_by(Chat(Endpoint(served.url, "m")), TEXT).expression
    assert (found.attributes, found.unknown) == ((), ("bright",))


def test_a_noun_the_lexicon_lacks_has_a_category_of_cocos_or_none() -> None:
    for said, category in (("cow", "cow"), ("bovine", "object")):
        reply = completion(answer(noun="zebu", category=said, relations=[]))
        with serving(reply) as served:
            found = parse_by(Chat(Endpoint(served.url, "m")), "the zebu in red").expression
        assert (found.noun, found.category) == ("zebu", category)


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (failure(401), "it says 401"),
        (completion("hello"), "did not answer as asked"),
        (completion({"noun": "girl"}), "did not answer as asked"),
        (completion(answer(relations=[{"kind": "loves"}])), "did not answer as asked"),
        (completion(answer(noun="horse")), "names 'horse', which the text does not"),
        (completion(answer(noun="")), "which the text does not"),
        (failure(500), "gave no answer within 2 s"),
    ],
)
def test_the_default_parser_takes_over_and_says_so(reply: Reply, why: str) -> None:
    with serving(reply) as served:
        reading = parse_by(Chat(Endpoint(served.url, "m"), deadline_s=2), TEXT)
    assert reading.expression == parse(TEXT)
    assert reading.fallback.startswith("read by the default parser: ")
    assert why in reading.fallback
    assert "\n" not in reading.fallback


def test_a_spent_budget_is_no_stop() -> None:
    with serving(completion(answer())) as served:
        reading = parse_by(Chat(Endpoint(served.url, "m"), budget=Budget(0, 0)), TEXT)
    assert "budget of 0 questions is spent" in reading.fallback
    assert served.asked == []


def test_a_noun_only_the_model_knows_is_understood() -> None:
    with pytest.raises(UserError):
        parse("the zebu")
    with serving(completion(answer(noun="zebu", category="cow", relations=[], attributes=[], order=None))) as served:
        found = parse_by(Chat(Endpoint(served.url, "m")), "the zebu").expression
    assert (found.noun, found.category) == ("zebu", "cow")
    with (
        serving(failure(401)) as served,
        pytest.raises(UserError, match="nothing in the query"),
    ):
        parse_by(Chat(Endpoint(served.url, "m")), "the zebu")


@pytest.mark.parametrize("text", ["?!", "", "dog " * 100])
def test_what_is_no_query_is_refused_and_not_asked(text: str) -> None:
    with serving(completion(answer())) as served, pytest.raises(UserError):
        parse_by(Chat(Endpoint(served.url, "m")), text)
    assert served.asked == []
