"""The referrer: one entity per singular expression, ambiguity said and not guessed, plurals, rebinding."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from stream import refer
from stream.colours import NAMES
from stream.entity import Traits
from stream.events import Body, QueryAmbiguous, QueryBound, QueryUnbound
from stream.refer import ReferState

Scene = dict[int, tuple[str, Traits]]


def traits(*, top: str = "grey", x: float = 0.5, height: float = 0.5, speed: float = 0.0) -> Traits:
    shares = np.zeros(len(NAMES), np.float32)
    shares[NAMES.index(top)] = 1
    return Traits(
        {"whole": shares, "top": shares, "bottom": shares}, x=x, height=height, bottom=0.9, speed=speed, sights=5
    )


def state(*texts: str) -> ReferState:
    made = ReferState()
    for i, text in enumerate(texts, 1):
        refer.add(made, f"q{i}", text)
    return made


def watch(queries: ReferState, scene: Scene, looks: int = 6) -> list[Body]:
    events: list[Body] = []
    for _ in range(looks):
        events += refer.look(queries, scene, set(scene))
    return events


RED, BLUE = ("person", traits(top="red", x=0.2)), ("person", traits(top="blue", x=0.8))


@pytest.mark.parametrize(
    ("text", "who"),
    [
        ("the person in red", 1),
        ("the person in a blue shirt", 2),
        ("the man on the left", 1),
        ("the one on the right", 2),
        ("the dog", 3),
        ("the moving person", 2),
        ("the small person", 1),
    ],
)
def test_binds_to_the_one_that_fits(text: str, who: int) -> None:
    scene: Scene = {
        1: ("person", traits(top="red", x=0.2, height=0.3)),
        2: ("person", traits(top="blue", x=0.8, height=0.6, speed=0.5)),
        3: ("dog", traits(top="brown", height=0.2)),
    }
    (event,) = watch(state(text), scene)
    assert isinstance(event, QueryBound)
    assert (event.query, event.text, event.entities) == ("q1", text, [who])
    assert event.score >= refer.LEAST
    assert event.cues


def bicycle(x: float) -> tuple[str, Traits]:
    under = msgspec.structs.replace(traits(top="black", x=x, height=0.3), y=0.7, bottom=0.95, width=0.2)
    return ("bicycle", under)


def sitter(top: str, x: float) -> tuple[str, Traits]:
    return ("person", msgspec.structs.replace(traits(top=top, x=x), y=0.5, bottom=0.75, width=0.1))


def test_a_cyclist_is_who_sits_on_a_bicycle() -> None:
    (event,) = watch(state("the cyclist"), {1: sitter("red", 0.2), 2: sitter("blue", 0.8), 3: bicycle(0.8)})
    assert isinstance(event, QueryBound)
    assert event.entities == [2]
    assert [c.split(":")[0] for c in event.cues] == ["category person", "noun cyclist"]
    assert "not measured" not in event.cues[1]


def test_without_a_bicycle_nobody_is_a_cyclist() -> None:
    assert watch(state("the cyclist", "the skateboarder in blue"), {1: sitter("blue", 0.5)}) == []


@pytest.mark.parametrize("text", ["the driver", "the doctor", "the child", "the girl"])
def test_who_is_called_by_what_cannot_be_seen_says_so(text: str) -> None:
    (event,) = watch(state(text), {1: RED})
    assert isinstance(event, QueryBound)
    assert f"noun {text[4:]}: not measured" in event.cues
    (sure,) = watch(state("the person"), {1: RED})
    assert isinstance(sure, QueryBound)
    assert event.score < sure.score
    (either,) = watch(state(text), {1: RED, 2: BLUE})
    assert isinstance(either, QueryAmbiguous)


def test_said_once_and_not_at_first_sight() -> None:
    queries = state("the person in red")
    assert watch(queries, {1: RED}, refer.PATIENCE - 1) == []
    assert len(watch(queries, {1: RED}, 1)) == 1
    assert watch(queries, {1: RED}, 20) == []


def test_two_that_fit_alike_are_ambiguous() -> None:
    twins: Scene = {1: ("dog", traits(top="white")), 2: ("dog", traits(top="white"))}
    (event,) = watch(state("the white dog"), twins)
    assert isinstance(event, QueryAmbiguous)
    assert sorted(event.entities) == [1, 2]


def test_words_no_network_can_tell_are_ambiguous() -> None:
    (event,) = watch(state("the girl"), {1: RED, 2: BLUE})
    assert isinstance(event, QueryAmbiguous)


def test_nobody_fits() -> None:
    assert watch(state("the cat"), {1: RED, 2: BLUE}) == []
    assert watch(state("the person in green"), {1: RED, 2: BLUE}) == []


def test_a_lone_wrong_candidate_is_verified() -> None:
    assert watch(state("the person in yellow"), {1: ("person", traits(top="blue"))}) == []


def test_plural_binds_all() -> None:
    (event,) = watch(state("the people"), {1: RED, 2: BLUE, 3: ("dog", traits())})
    assert isinstance(event, QueryBound)
    assert sorted(event.entities) == [1, 2]


def test_two_queries_get_two_entities() -> None:
    """Each bare noun alone would be anybody; with the other's better claim out of the way one is left."""
    events = watch(state("the person in red", "the person in blue"), {1: RED, 2: BLUE})
    bound = {e.query: e.entities for e in events if isinstance(e, QueryBound)}
    assert bound == {"q1": [1], "q2": [2]}


def test_two_expressions_for_one_entity_both_bind_where_nobody_else_could_be_meant() -> None:
    events = watch(state("the person in red", "the person on the left"), {1: RED, 2: BLUE})
    assert [e.entities for e in events if isinstance(e, QueryBound)] == [[1], [1]]


def test_of_two_queries_for_one_the_one_that_says_more_speaks_for_both() -> None:
    events = watch(state("the girl", "the boy", "the girl in red"), {1: RED, 2: BLUE})
    said = {e.query: (type(e), e.entities) for e in events if isinstance(e, QueryBound | QueryAmbiguous)}
    assert said == {"q1": (QueryAmbiguous, [1, 2]), "q2": (QueryBound, [2]), "q3": (QueryBound, [1])}


def test_near_colours_are_told_apart_by_assigning_them_together() -> None:
    brown, beige = traits(top="brown", x=0.4), traits(top="beige", x=0.6)
    for t, other in ((brown, "beige"), (beige, "brown")):
        t.colours["top"] = t.colours["top"] * np.float32(0.65)
        t.colours["top"][NAMES.index(other)] = 0.35
    scene: Scene = {1: ("person", brown), 2: ("person", beige)}
    (alone,) = watch(state("the person in a brown shirt"), scene)
    events = watch(state("the person in a brown shirt", "the person in a beige shirt"), scene)
    assert [e.entities for e in events if isinstance(e, QueryBound)] == [[1], [2]]
    assert isinstance(alone, QueryAmbiguous)


def test_one_expression_twice_takes_no_one_twice_where_two_fit() -> None:
    twins: Scene = {1: ("person", traits(top="red", x=0.2)), 2: ("person", traits(top="red", x=0.8))}
    events = watch(state("the person in red", "the person in red"), twins)
    assert [type(e) for e in events] == [QueryAmbiguous, QueryAmbiguous]


@pytest.mark.parametrize(
    ("bare", "outcome"),
    [
        ("the girl", QueryAmbiguous),  # may be the one in red, or not
        ("the person", QueryAmbiguous),
        ("the boy", QueryBound),  # is not the girl
        ("the woman", QueryBound),
        ("the driver", QueryAmbiguous),  # may be the girl
        ("the girl in a blue shirt", QueryBound),
    ],
)
def test_who_is_another_querys_is_ruled_out_only_for_somebody_else(bare: str, outcome: type[Body]) -> None:
    events = watch(state("the girl in red", bare), {1: RED, 2: BLUE})
    (said,) = [e for e in events if isinstance(e, QueryBound | QueryAmbiguous) and e.query == "q2"]
    assert isinstance(said, outcome)
    if isinstance(said, QueryBound):
        assert said.entities == [2]


def test_rebinding_is_told_once() -> None:
    queries = state("the person in red")
    faded = ("person", traits(top="orange", x=0.2))
    first = watch(queries, {1: faded})
    assert [e.entities for e in first if isinstance(e, QueryBound)] == [[1]]
    later = watch(queries, {1: ("person", traits(top="green")), 2: ("person", traits(top="red"))}, 40)
    assert [type(e) for e in later if isinstance(e, QueryUnbound)] == [QueryUnbound]
    assert [e.entities for e in later if isinstance(e, QueryBound)] == [[2]]


def test_binding_outlives_an_absence() -> None:
    queries = state("the person in red")
    watch(queries, {1: RED})
    events: list[Body] = []
    for _ in range(10):
        events += refer.look(queries, {2: BLUE}, {1, 2})  # 1 waits in the gallery
    assert events == []


def test_removal_and_new_text() -> None:
    queries = state("the person in red")
    watch(queries, {1: RED, 2: BLUE})
    refer.add(queries, "q1", "the person in blue")
    assert [e.entities for e in watch(queries, {1: RED, 2: BLUE}) if isinstance(e, QueryBound)] == [[2]]
    (gone,) = refer.remove(queries, "q1")
    assert isinstance(gone, QueryUnbound)
    assert (gone.entities, gone.reason) == ([2], "removed")
    assert watch(queries, {1: RED}) == []


def test_memory_is_bounded_by_who_may_come_back() -> None:
    queries = state("the person")
    for i in range(500):
        refer.look(queries, {i: RED}, {i, i - 1})
    assert len(queries.queries[0].evidence) <= 2
    assert len(queries.queries[0].looks) <= 2


@pytest.mark.parametrize(
    ("text", "who"),
    [
        ("the person not in red", 2),
        ("the one who is not on the left", 2),
        ("the person that is not moving", 1),
        ("the man in red wearing glasses", 1),
        ("the person in blue riding a bike to the right", 2),
        ("the striped person on the right", 2),
    ],
)
def test_denial_counts_and_what_is_not_measured_neither_helps_nor_harms(text: str, who: int) -> None:
    scene: Scene = {
        1: ("person", traits(top="red", x=0.2)),
        2: ("person", msgspec.structs.replace(traits(top="blue", x=0.8, speed=0.5), vx=0.5)),
    }
    (event,) = watch(state(text), scene)
    assert isinstance(event, QueryBound)
    assert event.entities == [who]


def test_a_dog_that_was_called_a_cat_now_and_then_is_no_cat() -> None:
    dog = traits()
    dog.named = {"dog": 0.9, "cat": 0.1}
    assert watch(state("the cat"), {1: ("dog", dog)}) == []
    dog.named = {"dog": 0.4, "cat": 0.6}
    (event,) = watch(state("the cat"), {1: ("dog", dog)})
    assert isinstance(event, QueryBound)
    (sure,) = watch(state("the cat"), {1: ("cat", traits())})
    assert isinstance(sure, QueryBound)
    assert event.score < sure.score - 0.2


def test_confidence_grows_with_evidence_and_stays_a_share() -> None:
    told = [refer.confidence(e) for e in (0.0, refer.LEAST, 0.7, 0.9, 1.0)]
    assert told == sorted(told)
    assert 0 < told[0] < 0.1
    assert 0.5 < told[1] < 0.65, "what just answers is right hardly more often than not"
    assert 0.97 < told[-1] < 1


@pytest.mark.parametrize("text", ["the dog eating grass near the fence", "the dog with a collar"])
def test_what_is_not_measured_lessens_the_score_and_is_said(text: str) -> None:
    scene: Scene = {1: ("dog", traits())}
    (bare,), (more,) = watch(state("the dog"), scene), watch(state(text), scene)
    assert isinstance(bare, QueryBound)
    assert isinstance(more, QueryBound)
    assert more.score < bare.score
    assert all(cue.endswith("not measured") for cue in more.cues[1:-1])
    assert more.cues[-1] == "alone: no other dog so far"


def test_a_plural_with_a_number_takes_that_many() -> None:
    scene: Scene = {
        1: ("dog", traits(top="white")), 2: ("dog", traits(top="white")), 3: ("dog", traits(top="brown")),
    }  # fmt: skip
    (event,) = watch(state("the two white dogs"), scene)
    assert isinstance(event, QueryBound)
    assert sorted(event.entities) == [1, 2]
    (event,) = watch(state("two dogs"), scene)
    assert isinstance(event, QueryAmbiguous), "three fit alike"
    (event,) = watch(state("all the dogs"), scene)
    assert sorted(event.entities) == [1, 2, 3]


@pytest.mark.parametrize(
    ("text", "who"),
    [
        ("the second person from the left", 2),
        ("the rightmost person", 3),
        ("the person to the left of the person in blue", 1),
        ("the person next to the dog", 3),
        ("the person walking to the left", 2),
        ("the tallest person", 1),
        ("the last person from the left", 3),
    ],
)
def test_order_relations_and_directions(text: str, who: int) -> None:
    def at(x: float, top: str, height: float = 0.5, vx: float = 0.0) -> Traits:
        made = traits(top=top, x=x, height=height, speed=abs(vx))
        made.width, made.vx = 0.1, vx
        return made

    scene: Scene = {
        1: ("person", at(0.1, "red", height=0.56)),
        2: ("person", at(0.5, "blue", vx=-0.5)),
        3: ("person", at(0.75, "green", height=0.3)),
        4: ("dog", at(0.9, "brown", height=0.2)),
    }
    (event,) = watch(state(text), scene)
    assert isinstance(event, QueryBound), event
    assert event.entities == [who]
    assert any(":" in cue for cue in event.cues), "each thing said has its evidence"


def test_who_once_ran_goes_on_being_the_one_who_ran() -> None:
    queries = state("the running person")
    ran, stood = traits(x=0.2, speed=0.9), traits(x=0.8)
    (event,) = watch(queries, {1: ("person", ran), 2: ("person", stood)})
    assert isinstance(event, QueryBound)
    ran.speed = 0.0
    assert watch(queries, {1: ("person", ran), 2: ("person", stood)}, 30) == []


def test_queries_of_different_categories_may_share_an_entity() -> None:
    events = watch(state("the dog", "something white"), {1: ("dog", traits(top="white")), 2: RED})
    assert [e.entities for e in events if isinstance(e, QueryBound)] == [[1], [1]]


def test_each_change_of_hands_wants_a_clearer_lead() -> None:
    queries = state("the person in red")
    one, two = traits(top="red", x=0.2), traits(top="blue", x=0.8)
    watch(queries, {1: ("person", one), 2: ("person", two)})
    handed = 0
    for _ in range(6):
        one.colours, two.colours = two.colours, one.colours
        events = watch(queries, {1: ("person", one), 2: ("person", two)}, 40)
        handed += sum(isinstance(e, QueryUnbound) for e in events)
    assert queries.queries[0].rebound == handed > 1
    assert refer.MARGIN + refer.STAY * handed > refer.MARGIN


def test_a_feed_of_passers_by_is_answered_for_ever() -> None:
    """Each is gone for good before the next one comes: nobody who is gone holds a query."""
    queries, bound = state("the person in red"), []
    for i in range(1, 31):
        for _ in range(6):
            bound += [e.entities for e in refer.look(queries, {i: RED}, {i}) if isinstance(e, QueryBound)]
    assert bound == [[i] for i in range(1, 31)]


def test_what_is_not_measured_rules_nobody_out() -> None:
    """Who is on the right may well be the man in the vest."""
    scene: Scene = {1: ("person", traits(x=0.2)), 2: ("person", traits(x=0.8))}
    said = {e.query: e for e in watch(state("the man in the vest", "the person on the right"), scene)}
    assert isinstance(said["q1"], QueryAmbiguous)
    assert isinstance(said["q2"], QueryBound)


def test_many_names_for_one_all_bind() -> None:
    names = ("the person in red", "the person on the left", "the leftmost person", "the person in the red shirt")
    events = watch(state(*names), {1: RED, 2: BLUE})
    assert [e.entities for e in events if isinstance(e, QueryBound)] == [[1]] * 4


def test_two_are_not_one() -> None:
    (event,) = watch(state("the two people"), {1: RED})
    assert isinstance(event, QueryAmbiguous)


def test_tall_says_nothing_of_one_alone() -> None:
    (event,) = watch(state("the tall person in red"), {1: RED})
    assert isinstance(event, QueryBound)


def test_two_names_that_were_one_answer_as_one() -> None:
    queries = state("the person in red")
    watch(queries, {7: RED, 2: BLUE})
    refer.rename(queries, 7, 1)
    assert watch(queries, {1: RED, 2: BLUE}, 10) == []
    (gone,) = refer.remove(queries, "q1")
    assert isinstance(gone, QueryUnbound)
    assert gone.entities == [1]


def test_an_opinion_of_the_picture_decides_where_nothing_is_measured() -> None:
    """Girl or boy is nothing to measure here; somebody who looks can tell, and is named among the cues."""
    queries, scene = state("the girl"), {1: ("person", traits()), 2: ("person", traits())}
    watch(queries, scene)
    refer.opine(queries.queries[0], "vlm", {1: 0.1, 2: 0.95})
    (bound,) = (e for e in watch(queries, scene) if isinstance(e, QueryBound))
    assert bound.entities == [2]
    assert "vlm: 0.95" in bound.cues
    assert "noun girl: not measured" in bound.cues


def test_an_opinion_against_what_is_measured_makes_it_ambiguous() -> None:
    queries = state("the person in red")
    refer.opine(queries.queries[0], "vlm", {1: 0.05, 2: 0.95})
    events = watch(queries, {1: RED, 2: BLUE})
    assert not any(isinstance(e, QueryBound) for e in events)


def test_an_opinion_goes_with_its_entity() -> None:
    queries = state("the girl")
    refer.opine(queries.queries[0], "vlm", {1: 0.1, 2: 0.95})
    watch(queries, {1: ("person", traits()), 2: ("person", traits())})
    refer.rename(queries, 2, 3)
    assert queries.queries[0].opinions == {"vlm": {1: 0.1, 3: 0.95}}
    watch(queries, {1: ("person", traits())})  # the other is forgotten
    assert queries.queries[0].opinions == {"vlm": {1: 0.1}}


def test_what_decided_where_no_word_did_is_a_cue() -> None:
    alone = watch(state("the girl"), {1: ("person", traits())})
    (bound,) = (e for e in alone if isinstance(e, QueryBound))
    assert bound.cues[-1] == "alone: no other person so far"
    both = watch(state("the girl in red", "the boy"), {1: RED, 2: BLUE})
    (boy,) = (e for e in both if isinstance(e, QueryBound) and e.query == "q2")
    assert boy.entities == [2]
    assert boy.cues[-1] == "by exclusion: who fits as well is meant by another query"
    (red,) = (e for e in watch(state("the person in red"), {1: RED, 2: BLUE}) if isinstance(e, QueryBound))
    assert not any(c.startswith(("alone", "by exclusion")) for c in red.cues)
