"""Which events show a pair's claims."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from instruct.clip import Clip, Track
from instruct.pair import Claim, Region

_DONE = frozenset(("does", "acts", "part"))
_CAME_AND_WENT = frozenset(("stays", "lasts", "returns", "together", "before", "next"))
_NO_MOMENT = frozenset(("acts", "part", "called"))


def evidence(
    clip: Clip, by_id: Mapping[int, Track], claims: Sequence[Claim], regions: Iterable[Region], named: Iterable[Track]
) -> list[str]:
    """Ids of the events that show the claims, the regions and what is called by name, each once."""
    ids: dict[str, None] = {}
    before: object = None
    for c in claims:
        kind = c.kind
        about = (kind, c.entity, c.other, c.start_us, c.end_us)
        if about == before:  # another option of a choice: the same events show it
            continue
        before = about
        for entity in (c.entity, c.other) if c.other else (c.entity,):
            t = by_id.get(entity)
            if t is None:
                continue
            if kind in _DONE:
                for a in t.acts:
                    if kind != "does" or (a.start_us <= c.end_us and c.start_us <= a.end_us):
                        ids[a.id] = None
            elif kind == "called":
                ids[t.described] = None
            elif kind in _CAME_AND_WENT:
                ids.update(dict.fromkeys(t.borders()))
            if kind not in _NO_MOMENT:
                ids[t.ids[t.at(c.start_us)]] = None
        if kind == "scenes":
            ids.update(dict.fromkeys([i for _, _, i in clip.segments]))
        elif kind == "count":
            ids.update(dict.fromkeys([t.ids[t.at(c.start_us)] for t in clip.tracks if t.category == c.text]))
    for r in regions:
        t = by_id[r.entity]
        ids[t.ids[t.at(r.pts_us)]] = None
    for t in named:
        ids[t.described] = None
    return list(ids)
