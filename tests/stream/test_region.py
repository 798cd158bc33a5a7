"""Regions: how they are written, what is in them, and what the detector and the referrer make of them."""

from __future__ import annotations

import numpy as np
import pytest

from engines.detections import Detections
from engines.errors import UserError
from stream import refer
from stream.detect import within
from stream.events import QueryBound, QueryUnbound
from stream.refer import ReferState
from stream.region import inside, parse_region, region_text
from tests.stream.test_refer import Scene, traits

LEFT = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))


@pytest.mark.parametrize(
    ("text", "polygon"),
    [
        ("0,0,0.5,1", LEFT),
        ("0,0 0.5,0 0.5,1 0,1", LEFT),
        ("  0,0   1,0\t0.5,1 ", ((0.0, 0.0), (1.0, 0.0), (0.5, 1.0))),
    ],
)
def test_reads(text: str, polygon: object) -> None:
    assert parse_region(text) == polygon
    assert parse_region(region_text(parse_region(text))) == polygon


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "encloses nothing"), ("0.1,0.2,0.5", "does not read"), ("a,b,c,d", "not of numbers"),
        ("0,0 1,1", "encloses nothing"), ("0,0 1,0 nan,1", "not of numbers"), ("0,0,1.2,1", "leaves the frame"),
        ("0,0 0.5,0.5 1,1", "no area"), ("0.5,0.1,0.5,0.9", "no area"), ("0,0 1,0 1,1,1", "does not read"),
    ],
)  # fmt: skip
def test_refused(text: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        parse_region(text)


def test_text_of_a_rectangle_is_short() -> None:
    assert region_text(LEFT) == "0,0,0.5,1"
    assert region_text(()) == ""


def test_inside() -> None:
    notched = parse_region("0,0 1,0 1,1 0.5,0.5 0,1")
    assert inside(notched, 0.5, 0.2)
    assert not inside(notched, 0.5, 0.9), "in its box, not in it"
    assert inside(notched, 0, 0), "the rim belongs to it"


def test_detections_by_their_centre() -> None:
    boxes = np.array([[0, 0, 40, 20], [70, 0, 90, 20], [40, 0, 70, 90]], np.float32)
    found = Detections(boxes, np.array([0.9, 0.8, 0.7], np.float32), ("person", "dog", "car"))
    assert within(found, [LEFT], (100, 100)).categories == ("person",)
    assert within(found, [LEFT, parse_region("0.7,0,1,1")], (100, 100)).categories == ("person", "dog")
    assert within(found, [], (100, 100)) is found
    assert len(within(Detections.none(), [LEFT], (100, 100))) == 0


def watch(queries: ReferState, x: float, looks: int = 6) -> list[object]:
    scene: Scene = {1: ("person", traits(top="red", x=x))}
    return [e for _ in range(looks) for e in refer.look(queries, scene, {1})]


def test_a_query_of_a_region_answers_for_who_is_in_it() -> None:
    queries = ReferState()
    refer.add(queries, "q", "the person in red", LEFT)
    assert watch(queries, 0.8) == []
    (bound,) = watch(queries, 0.3)
    assert isinstance(bound, QueryBound)
    assert watch(queries, 0.6, refer.PATIENCE - 1) == [], "one step out says nothing yet"
    (gone,) = watch(queries, 0.6)
    assert isinstance(gone, QueryUnbound)
    assert (gone.entities, gone.reason) == ([1], "nobody in the region")
    assert [type(e) for e in watch(queries, 0.3)] == [QueryBound]


def test_where_it_stands_counts_too() -> None:
    queries = ReferState()
    refer.add(queries, "q", "the person", parse_region("0,0.85,1,1"))
    assert [type(e) for e in watch(queries, 0.5)] == [QueryBound], "its centre is above, its feet are in it"
