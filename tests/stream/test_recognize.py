"""What entities are called: as short as tells them apart."""

from __future__ import annotations

import numpy as np
import pytest

from stream import colours, company, refer
from stream.colours import NAMES
from stream.entity import Traits
from stream.events import QueryBound
from stream.parse import parse
from stream.recognize import describe
from stream.refer import ReferState


def traits(top: str, bottom: str = "black", x: float = 0.5) -> Traits:
    shares = {
        part: np.eye(len(NAMES), dtype=np.float32)[NAMES.index(c)] for part, c in (("top", top), ("bottom", bottom))
    }
    return Traits({**shares, "whole": shares["top"]}, x=x, sights=5)


Everyone = dict[int, tuple[str, Traits]]


@pytest.mark.parametrize(
    ("everyone", "said"),
    [
        ({1: ("dog", traits("white"))}, "the white dog"),
        ({1: ("person", traits("orange"))}, "the person in an orange top"),
        ({1: ("person", traits("red")), 2: ("dog", traits("red"))}, "the person in a red top"),
        ({1: ("person", traits("red")), 2: ("person", traits("blue"))}, "the person in a red top"),
        ({1: ("person", traits("red")), 2: ("person", traits("red", "blue"))}, "the person in black bottoms"),
        ({1: ("person", traits("red", x=0.1)), 2: ("person", traits("red", x=0.9))}, "the person on the left"),
        (
            {1: ("person", traits("red")), 2: ("person", traits("red", "blue")), 3: ("person", traits("blue"))},
            "the person in a red top and black bottoms",
        ),
        ({1: ("car", traits("grey", x=0.9)), 2: ("car", traits("grey", x=0.5))}, "the car on the right"),
        ({1: ("object", Traits(sights=3))}, "the object in the middle"),
    ],
)
def test_shortest_that_tells_apart(everyone: Everyone, said: str) -> None:
    told = describe(1, everyone)
    assert told.expression == said
    assert told.noun == everyone[1][0]


def test_each_of_many_is_told_from_every_other() -> None:
    looks = [(t, b, x) for t in ("red", "blue") for b in ("black", "white") for x in (0.1, 0.9)]
    everyone: Everyone = {i: ("person", traits(*look)) for i, look in enumerate(looks)}
    said = [describe(i, everyone).expression for i in everyone]
    assert len(set(said)) == len(looks)


def test_what_is_said_can_be_asked() -> None:
    """An expression of ours, parsed as a query, means the same entity."""
    told = describe(1, {1: ("person", traits("red", "white")), 2: ("person", traits("red", "blue"))})
    asked = parse(told.expression)
    assert asked.category == "person"
    assert [(a.value, a.part) for a in asked.attributes] == [("white", "bottom")]


@pytest.mark.parametrize("categories", ["person", "dog"])
def test_who_is_described_is_who_answers(categories: str) -> None:
    """Asked as a query, each description binds to whom it was made for, and to nobody else."""
    kinds = [("red", "black", 0.1), ("red", "black", 0.9), ("red", "white", 0.5), ("blue", "white", 0.5)]
    everyone: Everyone = {i: (categories, traits(*k)) for i, k in enumerate(kinds, 1)}
    everyone[3][1].height, everyone[4][1].height = 0.2, 0.6
    everyone[1][1].height = everyone[2][1].height = 0.6
    for i in everyone:
        queries = ReferState()
        refer.add(queries, "q", describe(i, everyone).expression)
        events = [e for _ in range(6) for e in refer.look(queries, everyone, set(everyone))]
        assert [e.entities for e in events if isinstance(e, QueryBound)] == [[i]], queries.queries[0].text


def boxed(x: float, y: float, width: float, height: float, *, speed: float = 0.0) -> Traits:
    """Traits with a box of this centre and size, in shares of the frame, and the same clothes for all."""
    t = traits("red", x=x)
    t.y, t.width, t.height, t.bottom, t.speed = y, width, height, y + height / 2, speed
    return t


LEFT, RIGHT = (0.44, 0.5, 0.08, 0.5), (0.56, 0.5, 0.08, 0.5)
"""Two people who are both in the middle and of one size."""
COMPANY: dict[str, tuple[str, Traits]] = {
    "with the backpack": ("backpack", boxed(0.43, 0.4, 0.04, 0.15)),
    "on the bicycle": ("bicycle", boxed(0.44, 0.7, 0.1, 0.3)),
    "on the horse": ("horse", boxed(0.44, 0.7, 0.1, 0.4)),
    "holding the sports ball": ("sports ball", boxed(0.42, 0.5, 0.03, 0.06)),
    "next to the dog": ("dog", boxed(0.38, 0.65, 0.06, 0.2)),
}


@pytest.mark.parametrize("phrase", COMPANY)
def test_company_tells_apart_and_can_be_asked(phrase: str) -> None:
    everyone: Everyone = {1: ("person", boxed(*LEFT)), 2: ("person", boxed(*RIGHT)), 3: COMPANY[phrase]}
    before = [describe(i, everyone).expression for i in (1, 2)]
    assert before[0] == before[1], "nothing else tells them apart"
    for _ in range(12):
        company.notice(everyone)
    told = describe(1, everyone)
    assert told.expression == f"the person {phrase}"
    assert phrase in told.attributes
    assert phrase not in describe(2, everyone).attributes
    assert answer(told.expression, everyone) == [[1]]


def test_motion_tells_apart_and_can_be_asked() -> None:
    everyone: Everyone = {1: ("person", boxed(*LEFT, speed=0.5)), 2: ("person", boxed(*RIGHT))}
    for _ in range(12):
        company.notice(everyone)
    said = [describe(i, everyone).expression for i in (1, 2)]
    assert said == ["the moving person", "the still person"]
    assert [answer(text, everyone) for text in said] == [[[1]], [[2]]]
    del everyone[2]
    assert "moving" not in describe(1, everyone).attributes, "alone it is not what it is called by"


def answer(text: str, everyone: Everyone) -> list[list[int]]:
    queries = ReferState()
    refer.add(queries, "q", text)
    events = [e for _ in range(6) for e in refer.look(queries, everyone, set(everyone))]
    return [e.entities for e in events if isinstance(e, QueryBound)]


def test_what_both_have_is_not_said() -> None:
    """A backpack between two people is as much of the one as of the other."""
    bag = boxed(0.5, 0.5, 0.04, 0.2)
    everyone: Everyone = {1: ("person", boxed(*LEFT)), 2: ("person", boxed(*RIGHT)), 3: ("backpack", bag)}
    for _ in range(12):
        company.notice(everyone)
    assert all("backpack" not in describe(i, everyone).expression for i in (1, 2))


def test_clothes_come_before_company() -> None:
    everyone: Everyone = {1: ("person", traits("red")), 2: ("person", traits("blue")), 3: COMPANY["next to the dog"]}
    everyone[1][1].says, everyone[1][1].company = ["next to the dog"], {"next to the dog": 1.0}
    assert describe(1, everyone).expression == "the person in a red top"


def test_company_does_not_flicker() -> None:
    """It is said after more than a second, outlives single looks without it, and ends when it is over."""
    me, dog = boxed(*LEFT), COMPANY["next to the dog"]
    together: Everyone = {1: ("person", me), 3: dog}
    alone: Everyone = {1: ("person", me)}
    said = []
    for n in range(60):
        company.notice(alone if n % 4 == 3 or n >= 40 else together)
        said.append("next to the dog" in me.says)
    assert not any(said[:8])
    changes = [n for n in range(1, 60) if said[n] != said[n - 1]]
    assert len(changes) == 2
    assert changes[0] < 20
    assert 40 < changes[1] < 52
    for n in range(60):
        company.notice(together if n % 2 else alone)
        assert "next to the dog" not in me.says, "half of the looks is not enough to begin with"


def test_company_is_bounded() -> None:
    me = boxed(*LEFT)
    animals = ("dog", "cat", "horse", "sheep", "cow", "bear", "zebra", "giraffe", "elephant", "bird")
    everyone: Everyone = {1: ("person", me)} | {i: (a, COMPANY["next to the dog"][1]) for i, a in enumerate(animals, 2)}
    for _ in range(20):
        company.notice(everyone)
    assert len(me.company) <= company.MOST
    assert set(me.says) <= set(me.company)


def test_size_tells_apart_where_clothes_do_not() -> None:
    small, tall = traits("red", x=0.5), traits("red", x=0.5)
    small.height, tall.height = 0.3, 0.6
    everyone: Everyone = {1: ("person", small), 2: ("person", tall)}
    assert [describe(i, everyone).expression for i in (1, 2)] == ["the small person", "the tall person"]


@pytest.mark.parametrize(
    ("rgb", "name"),
    [
        ((10, 10, 10), "black"), ((128, 128, 128), "grey"), ((245, 245, 245), "white"), ((200, 20, 20), "red"),
        ((240, 140, 20), "orange"), ((240, 220, 30), "yellow"), ((30, 160, 40), "green"), ((30, 60, 200), "blue"),
        ((130, 40, 180), "purple"), ((240, 130, 180), "pink"), ((110, 70, 30), "brown"), ((220, 195, 150), "beige"),
    ],
)  # fmt: skip
def test_colour_names(rgb: tuple[int, int, int], name: str) -> None:
    shares = colours.histogram(np.array([rgb] * 10, np.uint8))
    assert NAMES[int(shares.argmax())] == name
    assert shares.sum() == pytest.approx(1)
    assert colours.likeness(shares, name) == 1
    assert colours.canonical(name) == name


def test_no_pixels_no_colour() -> None:
    assert colours.histogram(np.zeros((0, 3), np.uint8)).sum() == 0
    assert colours.canonical("dog") is None
    assert colours.canonical("silver") == "grey"
