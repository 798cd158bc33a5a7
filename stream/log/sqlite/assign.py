"""Who of a group holds which partition: sticky and balanced, as a pure function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Place = tuple[int, int]


def assign(
    partitions: Sequence[Place], current: Mapping[Place, str], members: Mapping[str, frozenset[int]]
) -> dict[Place, str]:
    """The member for each (topic id, partition).

    partitions: all partitions of the topics the group reads.
    current: the holder now, where there is one.
    members: each live member's topic ids.

    Topic by topic, members differ by at most one partition, and no more partitions move than that takes. A partition
    of a topic no member subscribes to is left out. Deterministic: ties go by the total held, then by name.
    """
    result: dict[Place, str] = {}
    totals = dict.fromkeys(members, 0)
    for topic in sorted({t for t, _ in partitions}):
        able = sorted(m for m, topics in members.items() if topic in topics)
        if not able:
            continue
        places = sorted(p for p in partitions if p[0] == topic)
        held: dict[str, list[Place]] = {m: [] for m in able}
        homeless: list[Place] = []
        for place in places:
            held.get(current.get(place, ""), homeless).append(place)

        def load(member: str, held: dict[str, list[Place]] = held) -> tuple[int, int, str]:
            return len(held[member]), totals[member], member

        for place in homeless:
            held[min(able, key=load)].append(place)
        while len(held[most := max(able, key=load)]) - len(held[least := min(able, key=load)]) > 1:
            held[least].append(held[most].pop())
        for member, own in held.items():
            totals[member] += len(own)
            result.update(dict.fromkeys(own, member))
    return result
