"""Re-identification: exited entities wait in a bounded gallery; a newcomer is compared with them before it gets an id.

Gates first (category, place, time), then appearance above a threshold and with a margin to the second best; when
unsure, a new identity: a wrong reunion is worse than a second name.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stream.entity import LIVING, Entity, Gallery, same_kind
from stream.look import similarity


@dataclass(frozen=True, slots=True)
class Reidentifier:
    """threshold: least similarity after an exit; thing_threshold: the same for what is neither person nor animal, many
    of which look much the same; far_threshold: where the way back was too long for the time.
    cut_threshold, thing_cut_threshold: after a cut, when place says nothing, for people and for the rest, many of which
    look the same; cut_embed: least cosine of people's re-identification vectors then.
    near_bonus: how much a plausible place adds. margin: lead over the second best. size: most dormant entities."""

    threshold: float = 0.66
    thing_threshold: float = 0.88
    cut_threshold: float = 0.86
    thing_cut_threshold: float = 0.97
    cut_embed: float = 0.6
    far_threshold: float = 0.95
    small_threshold: float = 0.8
    small: int = 1500
    near_bonus: float = 0.12
    margin: float = 0.04
    size: int = 64
    keep_us: int = 600_000_000

    def put(self, gallery: Gallery, entity: Entity) -> None:
        """An entity has exited: it waits here, for `keep_us` at most, the oldest making room."""
        entity.state, entity.patch = "dormant", None
        entity.sights = []
        gallery.dormant.append(entity)
        del gallery.dormant[: max(0, len(gallery.dormant) - self.size)]

    def may_know(self, gallery: Gallery, newcomer: Entity, *, least: float = 0.42) -> bool:
        """Whether a better sight of the newcomer might yet show that it is somebody of the gallery."""
        return any(
            same_kind(known.category, newcomer.category) and similarity(known.look, newcomer.look) > least
            for known in gallery.dormant
            if known.id != newcomer.was
        )

    def find(self, gallery: Gallery, newcomer: Entity, frame: tuple[int, int]) -> tuple[Entity, float] | None:
        """Who of the gallery the newcomer is, and how similar; None where nobody, or more than one, fits.

        frame: (H, W) of the working frame.
        """
        now = newcomer.first_us
        gallery.dormant = [e for e in gallery.dormant if now - e.seen_us <= self.keep_us]
        scored: list[tuple[float, float, Entity]] = []
        for known in gallery.dormant:
            if not same_kind(known.category, newcomer.category) or known.found_us > now or known.id == newcomer.was:
                continue
            alike = similarity(known.look, newcomer.look)
            place = self._place(known, newcomer, frame)
            if alike >= self._least(known, newcomer, place):
                scored.append((alike + self.near_bonus * place, alike, known))
        scored.sort(key=lambda s: (-s[0], s[2].id))
        if not scored or (len(scored) > 1 and scored[0][0] - scored[1][0] < self.margin):
            return None
        best = scored[0][2]
        gallery.dormant = [e for e in gallery.dormant if e.id != best.id]
        return best, scored[0][1]

    def cut(self, gallery: Gallery) -> None:
        """Another shot begins: nobody's last place means anything any more."""
        for known in gallery.dormant:
            known.reason = "cut"

    def _least(self, known: Entity, newcomer: Entity, place: float) -> float:
        """The similarity that is asked for, over 1 where none is enough."""
        if known.reason != "cut":
            if place <= 0:
                return self.far_threshold
            if known.category not in LIVING:
                return self.thing_threshold
            few = min(known.look_area, newcomer.look_area) < self.small
            return self.small_threshold if few else self.threshold
        if known.category != "person":
            return self.thing_cut_threshold
        if known.look is None or newcomer.look is None:
            return 2.0
        if len(known.look.embed) and len(newcomer.look.embed):
            cosine = float(known.look.embed @ newcomer.look.embed)
            return self.cut_threshold if cosine >= self.cut_embed else 2.0
        return self.cut_threshold

    def _place(self, known: Entity, newcomer: Entity, frame: tuple[int, int]) -> float:
        """How plausible it is, in [0, 1], that what left there comes back here; 0 after a cut."""
        if known.reason == "cut":
            return 0.0
        away_s = max(0.0, (newcomer.seen_us - known.followed_us) / 1e6)
        centre = [np.array([(e.box[0] + e.box[2]) / 2, (e.box[1] + e.box[3]) / 2]) for e in (known, newcomer)]
        gone = float(np.linalg.norm(centre[0] - centre[1])) / float(np.hypot(*frame))
        return max(0.0, 1 - gone / (0.25 + 0.25 * away_s))
