"""What an image-text network says in the referrer: it decides where nothing else does, and is never certain alone."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from engines import lite
from engines.crops import U8
from engines.errors import UserError
from engines.imagetext import ImageTextNet
from engines.store import Store
from stream import picture, refer
from stream.entity import Entity, Traits
from stream.events import QueryAmbiguous, QueryBound
from stream.parse import parse
from stream.patch import Patch
from stream.picture import contrast
from stream.refer import ReferState
from stream.state import FeedState, restore, snapshot
from tests.engines.towers import build

LOOK_US = 166_000
COLOURS = {1: (255, 110, 110), 2: (110, 110, 255), 3: (110, 255, 110)}


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> ImageTextNet:
    models = tmp_path_factory.mktemp("models")
    build(models / "imagetext")
    found = lite.load(Store(Path("/nowhere"), models)).imagetext
    assert found is not None
    return found


def scene(categories: dict[int, str]) -> tuple[U8, list[Entity]]:
    """A frame with entities side by side, each all of its colour of COLOURS, and nothing measured of them."""
    rgb = np.full((100, 200, 3), 90, np.uint8)
    live = []
    for i, category in categories.items():
        x = 60 * i - 50
        rgb[20:80, x : x + 30] = COLOURS[i]
        patch = Patch(x, 20, np.full((60, 30), 255, np.uint8))
        box = np.array([x, 20, x + 30, 80], np.float32)
        traits = Traits(x=(x + 15) / 200, height=0.6, bottom=0.8, width=0.15, sights=5)
        live.append(Entity(i, category, "visible", 0, 0, box, patch, reference_area=1800, traits=traits))
    return rgb, live


def watch(
    net: ImageTextNet | None, state: ReferState, categories: dict[int, str], looks: int = 12, first: int = 0
) -> list[Entity]:
    rgb, live = scene(categories)
    return follow(net, state, rgb, live, looks, first)[1]


def follow(
    net: ImageTextNet | None, state: ReferState, rgb: U8, live: list[Entity], looks: int, first: int = 0
) -> tuple[list[object], list[Entity]]:
    events: list[object] = []
    present = {e.id: (e.category, e.traits) for e in live}
    for n in range(first, first + looks):
        events += refer.look(state, present, set(present))
        if net is not None:
            picture.step(net, state, live, rgb, n * LOOK_US)
    return events, live


@pytest.mark.parametrize(
    ("text", "categories", "who"),
    [
        ("the girl", {1: "person", 2: "person"}, 1),
        ("the boy", {1: "person", 2: "person"}, 2),
        ("the zebu in the foreground", {1: "person", 2: "person", 3: "cow"}, 3),
    ],
)
def test_it_binds_what_nothing_else_decides(net: ImageTextNet, text: str, categories: dict[int, str], who: int) -> None:
    rgb, live = scene(categories)
    found = {}
    for network in (None, net):
        state = ReferState()
        refer.add(state, "q", text)
        events, _ = follow(network, state, rgb, live, 20)
        found[network] = [e for e in events if isinstance(e, QueryBound)]
    assert not found[None]
    assert [e.entities for e in found[net]] == [[who]]
    assert any(cue.startswith("imagetext: 0.") for cue in found[net][0].cues)


def test_one_alone_is_not_certain(net: ImageTextNet) -> None:
    fits = {}
    for who in (1, 2):
        state = ReferState()
        refer.add(state, "q", "the girl")
        watch(net, state, {who: "person"})
        fits[who] = state.queries[0].opinions["imagetext"][who]
    assert fits[1] <= picture.MOST < 1
    assert fits[2] < 0.5, "who does not look like it is not helped by being alone"


def test_contrast() -> None:
    assert contrast([0.0]) == [0.5]
    assert contrast([0.0] * 7) == [pytest.approx(0.5)] * 7, "whoever fits like all others is left as likely as not"
    alone, two = contrast([1.0]), contrast([1.0, -1.0])
    assert alone[0] == pytest.approx(1 / (1 + np.exp(-1)))
    assert two[0] > alone[0] > 0.5 > two[1]
    pair = contrast([2.0, 2.0, -2.0])
    assert pair[0] == pair[1] > 0.7, "two that both fit do not take from each other"
    assert contrast([50.0, -50.0]) == [picture.MOST, picture.LEAST]


def test_a_query_that_is_measured_asks_for_no_picture(net: ImageTextNet) -> None:
    for text in ("the person on the left", "the people", "the person not in the hat", "the largest person"):
        state = ReferState()
        refer.add(state, "q", text)
        live = watch(net, state, {1: "person", 2: "person"})
        assert not state.queries[0].opinions, text
        assert not any(e.traits.picture for e in live)


def test_no_query_no_picture(net: ImageTextNet) -> None:
    assert not any(e.traits.picture for e in watch(net, ReferState(), {1: "person"}))


def test_pictures_are_few(net: ImageTextNet) -> None:
    """Twice a second of feed time for each at most, and two a look."""
    state = ReferState()
    refer.add(state, "q", "the girl")
    live = watch(net, state, {1: "person", 2: "person", 3: "person"}, looks=19)  # three seconds
    for e in live:
        assert e.traits.picture is not None
        assert 3 <= e.traits.picture.count <= 6
        assert e.traits.picture.mean.dtype == np.float32


def test_a_restart_keeps_the_mean(net: ImageTextNet) -> None:
    """A feed saved and restored in the middle of it has the same evidence in the end."""
    ends = []
    for stop in (False, True):
        state = FeedState("f")
        refer.add(state.refer, "q", "the girl")
        rgb, live = scene({1: "person", 2: "person"})
        state.follow.entities = live
        follow(net, state.refer, rgb, state.follow.entities, 7)
        if stop:
            state = restore(snapshot(state))
        follow(net, state.refer, rgb, state.follow.entities, 7, first=7)
        ends.append((msgspec.json.encode(state.refer), [e.traits.picture for e in state.follow.entities]))
    (told, kept), (told_again, kept_again) = ends
    assert told == told_again
    for a, b in zip(kept, kept_again, strict=True):
        assert a is not None
        assert b is not None
        assert (a.count, a.at_us, a.by) == (b.count, b.at_us, b.by)
        assert a.mean.tobytes() == b.mean.tobytes()


def test_another_network_begins_anew(net: ImageTextNet) -> None:
    state = ReferState()
    refer.add(state, "q", "the girl")
    rgb, live = scene({1: "person"})
    follow(net, state, rgb, live, 8)
    old = live[0].traits.picture
    assert old is not None
    live[0].traits.picture = msgspec.structs.replace(old, by="another", mean=np.ones(7, np.float32))
    follow(net, state, rgb, live, 3, first=8)
    assert live[0].traits.picture.by == net.key
    assert live[0].traits.picture.count == 1


def test_two_alike_stay_ambiguous(net: ImageTextNet) -> None:
    state = ReferState()
    refer.add(state, "q", "the girl")
    rgb, live = scene({1: "person", 2: "person"})
    rgb[20:80, 70:100] = COLOURS[1]
    events, _ = follow(net, state, rgb, live, 12)
    assert not [e for e in events if isinstance(e, QueryBound)]
    assert [e for e in events if isinstance(e, QueryAmbiguous)]


def test_a_text_that_only_a_language_model_reads_is_judged_by_its_reading(net: ImageTextNet) -> None:
    """The default parser refuses it: asked again here it would cost the feed its chunk."""
    text, state = "the zorilla", ReferState()
    with pytest.raises(UserError):
        parse(text)
    refer.add(state, "q", text, reading=msgspec.structs.replace(parse("the girl"), text=text))
    watch(net, state, {1: "person", 2: "person"})
    assert set(state.queries[0].opinions["imagetext"]) == {1, 2}
