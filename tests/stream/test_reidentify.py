"""Who comes back: gates, appearance, margin, and a gallery that stays small."""

from __future__ import annotations

import numpy as np
import pytest
from pictures import disc, entity, patch_of, texture

from stream import look as looks
from stream.entity import Entity, Gallery, Look, same_kind
from stream.reidentify import Reidentifier

FRAME = (180, 320)


def painted(*colours: tuple[int, int, int]) -> Look:
    """The look of a disc whose upper and lower half have these colours."""
    rgb = np.zeros((*FRAME, 3), np.uint8)
    rgb[:90], rgb[90:] = colours
    noise = np.random.default_rng(1).integers(-8, 9, rgb.shape)
    found = looks.measure(np.clip(rgb + noise, 0, 255).astype(np.uint8), patch_of(disc(160, 90, 50)), None)
    assert found is not None
    return found


RED, BLUE, GREEN = (
    painted(*c)
    for c in (((180, 30, 30), (40, 40, 40)), ((30, 40, 180), (200, 200, 200)), ((30, 150, 40), (90, 60, 30)))
)


def gone(
    number: int, look: Look, *, at: tuple[int, int] = (290, 90), seen_us: int = 1_000_000, category: str = "person"
) -> Entity:
    e = entity(number, disc(*at, 25), category)
    e.look, e.seen_us, e.found_us, e.reason = look, seen_us, seen_us, "edge"
    e.followed_us = seen_us
    return e


def newcomer(
    look: Look, *, at: tuple[int, int] = (290, 90), first_us: int = 3_000_000, category: str = "person"
) -> Entity:
    e = entity(-1, disc(*at, 25), category)
    e.look, e.first_us, e.seen_us = look, first_us, first_us
    return e


def gallery(*who: Entity) -> Gallery:
    made = Gallery()
    for e in who:
        Reidentifier().put(made, e)
    return made


def found(g: Gallery, e: Entity) -> int | None:
    match = Reidentifier().find(g, e, FRAME)
    return match[0].id if match is not None else None


def test_the_same_look_comes_back_as_itself() -> None:
    g = gallery(gone(1, RED), gone(2, BLUE))
    match = Reidentifier().find(g, newcomer(BLUE), FRAME)
    assert match is not None
    assert match[0].id == 2
    assert match[1] > 0.9
    assert [e.id for e in g.dormant] == [1], "who came back waits no longer"


@pytest.mark.parametrize("seconds", [1, 10, 60])
def test_however_long_it_was_away(seconds: int) -> None:
    g = gallery(gone(1, RED), gone(2, BLUE))
    assert found(g, newcomer(RED, first_us=1_000_000 + seconds * 1_000_000)) == 1


def test_another_look_is_somebody_new() -> None:
    g = gallery(gone(1, RED), gone(2, BLUE))
    assert found(g, newcomer(GREEN)) is None
    assert len(g.dormant) == 2


def test_another_category_is_somebody_new() -> None:
    assert found(gallery(gone(1, RED, category="dog")), newcomer(RED)) is None
    assert same_kind("dog", "cow")
    assert not same_kind("dog", "person")


def test_look_alikes_far_from_both_are_not_guessed_at() -> None:
    twins = gallery(gone(1, RED, at=(290, 90)), gone(2, RED, at=(290, 92)))
    assert found(twins, newcomer(RED)) is None


def test_place_decides_between_look_alikes() -> None:
    twins = gallery(gone(1, RED, at=(30, 90)), gone(2, RED, at=(290, 90)))
    assert found(twins, newcomer(RED, at=(285, 90), first_us=1_500_000)) == 2


def test_nobody_comes_back_before_leaving() -> None:
    assert found(gallery(gone(1, RED, seen_us=5_000_000)), newcomer(RED, first_us=3_000_000)) is None


def test_forgotten_after_a_while() -> None:
    g = gallery(gone(1, RED))
    assert Reidentifier(keep_us=10_000_000).find(g, newcomer(RED, first_us=60_000_000), FRAME) is None
    assert not g.dormant


def test_gallery_is_bounded_and_holds_no_masks() -> None:
    g, ids = Gallery(), Reidentifier(size=5)
    for i in range(20):
        ids.put(g, gone(i, RED))
    assert [e.id for e in g.dormant] == [15, 16, 17, 18, 19]
    assert all(e.patch is None and e.state == "dormant" and not e.sights for e in g.dormant)


def test_similarity_is_symmetric_and_full_of_itself() -> None:
    for a in (RED, BLUE, GREEN):
        assert looks.similarity(a, a) == pytest.approx(1, abs=1e-3)
        for b in (RED, BLUE, GREEN):
            assert looks.similarity(a, b) == pytest.approx(looks.similarity(b, a))
            assert 0 <= looks.similarity(a, b) <= 1
    assert looks.similarity(RED, BLUE) < 0.6


def test_look_survives_size_and_light() -> None:
    rgb = texture(3)
    small = looks.measure(rgb, patch_of(disc(160, 90, 20)), None)
    bright = looks.measure(np.clip(rgb.astype(int) + 15, 0, 255).astype(np.uint8), patch_of(disc(160, 90, 20)), None)
    assert looks.similarity(small, bright) > 0.75
    assert looks.measure(rgb, patch_of(disc(160, 90, 3)), None) is None, "too small to tell"


def test_blend_is_slow_to_forget() -> None:
    seen: Look | None = None
    for _ in range(50):
        seen = looks.blend(seen, RED)
    assert seen is not None
    once = looks.blend(seen, BLUE)
    assert looks.similarity(once, RED) > looks.similarity(once, BLUE)
    for _ in range(50):
        once = looks.blend(once, BLUE)
    assert looks.similarity(once, BLUE) > 0.95, "but it does change clothes"


def test_of_a_few_pixels_more_is_asked() -> None:
    """A pedestrian of thirty pixels is a dark dot and a red one, as many others are."""
    other = painted((180, 30, 30), (200, 200, 200))
    assert 0.66 < looks.similarity(RED, other) < 0.8
    for area, who in ((1000.0, None), (4000.0, 1)):
        left, comes = gone(1, RED), newcomer(other)
        left.look_area = comes.look_area = area
        assert found(gallery(left), comes) == who
