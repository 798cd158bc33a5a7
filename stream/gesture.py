"""What a person does with the body, from its landmarks through time: arms, hands, legs, posture, the way it faces.

Lengths are in torsos (shoulders to hips, a third of the height of who stands), so that nearness does not matter; left
and right are the person's own, but for the way somebody faces, which is the picture's.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from stream import posture
from stream.body import ANKLE, ELBOW, HIP, KNEE, LEFT, NOSE, RIGHT, SHOULDER, WRIST, Body, last, turns
from stream.posture import SURE
from stream.timeline import Reading

RAISED, LOWERED = 0.1, -0.35
"""Torsos over the shoulders from which a wrist is up, and under which it is down."""
WAVE, WAVE_TURNS = 0.22, 3
"""Torsos of each way of a waving wrist against its elbow, and how often it turns within the window."""
CLAP_NEAR, CLAP_SWING = 0.4, 0.3
"""Torsos between the wrists when hands meet, and by which they part between two claps."""
LEG, LEG_SWING, LEG_MOST = 0.5, 0.35, 1.5
"""Torsos by which an ankle is over the other when a leg is raised (or the knee, by the second): a step lifts less. Feet
higher than the third are the network's error."""
FLIGHT, FLIGHT_S = 0.28, 0.9
"""Torsos by which hips and both feet leave where they mostly are in a jump, and the longest that one takes."""
STRIDE, STEPS = 0.3, 2
"""Torsos by which the ankles pass each other in a step, and the passes within the window that make a walk."""
FACE, PROFILE, ASIDE = 0.5, 0.33, 0.2
"""Torsos between the shoulders, left minus right, over which somebody faces the camera (or, negative, turns the back to
it), and under which he is seen from the side; and by which the nose is then beside the shoulders' middle at least."""
BENT = (0.78, 0.68)
"""Height of the shoulders over the hips against the body's usual torso, at which nobody bends and at which one does."""
REST = 0.35
"""Torsos by which hands, feet and head of who stands still go to and fro at most."""
_REST_S = 0.6
_NOW_S, _SIT_S, _BETWEEN_S = 0.25, 0.4, 0.7
_SIDES = {LEFT: "left", RIGHT: "right"}


def readings(body: Body, now_us: int, *, usual: float, legs: bool, riding: bool) -> list[Reading]:
    """What the body shows now. usual: torso in pixels when it stands upright. legs: they are all in the picture.
    riding: it sits on something that moves it."""
    out = [r for side, name in _SIDES.items() for r in _arm(body, side, name, now_us)]
    out += _hands(body, now_us) + _facing(body, now_us)
    if riding:
        return out
    if not legs:
        return [*out, *(r for r in _posture(body, now_us, usual) if r.key == "bending")]
    jumps = _jump(body, now_us)
    if jumps:
        return out + jumps
    for side, name in _SIDES.items():
        out += _leg(body, side, name, now_us)
    return out + _posture(body, now_us, usual)


def pace(body: Body) -> float:
    """Steps a second, 0 of who does not walk: the ankles pass each other, sideways or (from the front) up and down."""
    series = [
        body.when((body.points[:, ANKLE, axis] - body.points[:, ANKLE + 1, axis]) / body.torso, ANKLE, ANKLE + 1)
        for axis in (0, 1)
    ]
    best = 0.0
    for (t, apart), least in zip(series, (STRIDE, STRIDE / 2), strict=True):
        found = turns(apart, 2 * least)
        passes = [(a, b) for a, b in pairwise(found) if apart[a] * apart[b] < 0]
        if len(passes) >= STEPS - 1 and len(found) >= STEPS:
            seconds = float(t[found[-1]] - t[found[0]])
            best = max(best, (len(found) - 1) / seconds) if seconds > 0 else best
    return best


def at_rest(body: Body) -> bool:
    """Whether hands, feet and head have kept still against the hips for a while."""
    recent = body.t >= body.t[-1] - _REST_S
    for joint in (NOSE, WRIST, WRIST + 1, ANKLE, ANKLE + 1):
        seen = recent & (body.seen[:, joint] >= SURE)
        if seen.any():
            away = body.points[seen, joint] - body.both(HIP)[seen]
            if float(np.ptp(away, axis=0).max()) > REST * body.torso:
                return False
    return True


def _arm(body: Body, side: int, name: str, now_us: int) -> list[Reading]:
    wrist, elbow = WRIST + side, ELBOW + side
    t, high = body.when(body.height(wrist), wrist)
    recent = last((t, high), _NOW_S, now_us / 1e6)
    if not recent:
        return []
    channel = f"{name} arm"
    if recent[-1] > RAISED:
        t, swing = body.when((body.points[:, wrist, 0] - body.points[:, elbow, 0]) / body.torso, wrist, elbow)
        up = body.when(body.points[:, elbow, 1] - body.points[:, wrist, 1], wrist, elbow)[1] > 0
        found = turns(swing[up], WAVE)
        if len(found) >= WAVE_TURNS and now_us / 1e6 - t[up][found[-1]] < 0.7:
            first, final = (round(float(t[up][found[k]]) * 1e6) for k in (0, -1))
            return [Reading(channel, "up", f"holds the {name} arm up"), Reading("wave", name, "waves", first, final)]
        return [Reading(channel, "up", f"holds the {name} arm up")]
    return [Reading(channel, "down", "")] if recent[-1] < LOWERED else []


def _hands(body: Body, now_us: int) -> list[Reading]:
    apart = np.hypot(*(body.points[:, WRIST] - body.points[:, WRIST + 1]).T) / body.torso
    t, between = body.when(apart, WRIST, WRIST + 1)
    found = turns(between, CLAP_SWING)
    met = [i for i in found if between[i] < CLAP_NEAR]
    if len(met) < 2 or now_us / 1e6 - t[met[-1]] > 0.7 or len(found) < 4:
        return []
    return [Reading("hands", "claps", "claps", round(float(t[met[0]]) * 1e6), round(float(t[met[-1]]) * 1e6))]


def _leg(body: Body, side: int, name: str, now_us: int) -> list[Reading]:
    ankle, other, knee, knee2 = ANKLE + side, ANKLE + 1 - side, KNEE + side, KNEE + 1 - side
    over = (body.points[:, other, 1] - body.points[:, ankle, 1]) / body.torso
    bent = (body.points[:, knee2, 1] - body.points[:, knee, 1]) / body.torso
    straight = (body.points[:, other, 1] - body.both(HIP)[:, 1]) / body.torso > 1.1
    seen = body.seen[:, [ankle, knee, knee2]].min(axis=1) >= SURE
    recent = (body.t >= now_us / 1e6 - _NOW_S) & seen
    if not recent.any():
        return []
    lifted = recent & straight & (over < LEG_MOST) & (over > 0.2) & (bent > 0.1)
    if np.count_nonzero(lifted) >= 2 and (lifted & ((over > LEG) | (bent > LEG_SWING))).any():
        since = round(float(body.t[np.flatnonzero(lifted)[0]]) * 1e6)
        return [Reading(f"{name} leg", "up", f"raises the {name} leg", since)]
    return [Reading(f"{name} leg", "down", "")]


def _posture(body: Body, now_us: int, usual: float) -> list[Reading]:
    even = np.abs(body.points[:, KNEE, 1] - body.points[:, KNEE + 1, 1]) < LEG_SWING * body.torso
    recent = np.flatnonzero(even & (body.t >= now_us / 1e6 - _SIT_S))  # who lifts one leg neither sits nor crouches
    found = [posture.fits(np.column_stack((body.points[i], body.seen[i])).astype(np.float32)) for i in recent]
    if not found:
        return []
    fit = {w: float(np.median([f.get(w, 0.0) for f in found])) for w in _STANCES}
    upper = float(np.median(body.both(HIP)[recent, 1] - body.both(SHOULDER)[recent, 1])) / usual
    if fit["lying"] < 0.5:
        fit["bending"] = max(fit["bending"], float(np.interp(upper, BENT[::-1], (1.0, 0.0))))
        fit["standing"] *= 1 - fit["bending"]
    best = max(fit, key=lambda w: fit[w])
    return [Reading("posture", best, _STANCES[best])] if fit[best] >= 0.6 else []


_STANCES = {
    "standing": "", "sitting": "sits", "crouching": "crouches", "bending": "bends over", "lying": "lies",
}  # fmt: skip


def _facing(body: Body, now_us: int) -> list[Reading]:
    wide = (body.points[:, SHOULDER, 0] - body.points[:, SHOULDER + 1, 0]) / body.torso
    nose = (body.points[:, NOSE, 0] - body.both(SHOULDER)[:, 0]) / body.torso
    recent = body.t >= now_us / 1e6 - _SIT_S
    if not recent.any():
        return []
    across, aside = float(np.median(wide[recent])), float(np.median(nose[recent]))
    if across > FACE:
        return [Reading("facing", "camera", "faces the camera")]
    if across < -FACE:
        return [Reading("facing", "away", "faces away from the camera")]
    if abs(across) < PROFILE and abs(aside) > ASIDE:
        way = "left" if aside < 0 else "right"
        return [Reading("facing", way, f"faces the {way}")]
    return []


def _jump(body: Body, now_us: int) -> list[Reading]:
    """Hips and both feet rise together over where they mostly are and come down again, lately."""
    feet = np.maximum(body.points[:, ANKLE, 1], body.points[:, ANKLE + 1, 1]) / body.torso
    hips = body.both(HIP)[:, 1] / body.torso
    t, feet = body.when(feet, ANKLE, ANKLE + 1)
    hips = body.when(hips, ANKLE, ANKLE + 1)[1]
    if len(t) < 4:
        return []
    rise = np.minimum(np.percentile(feet, 80) - feet, np.percentile(hips, 80) - hips)
    down = np.flatnonzero(rise <= 0.3 * FLIGHT)
    flights: list[tuple[float, float]] = []
    for top in (i for i in turns(rise, 0.7 * FLIGHT) if rise[i] >= FLIGHT):
        before, after = down[down < top], down[down > top]
        if len(before) and len(after) and t[after[0]] - t[before[-1]] <= FLIGHT_S:
            flights.append((float(t[before[-1]]), float(t[after[0]])))
    if not flights or now_us / 1e6 - flights[-1][1] > 0.5:
        return []
    begun, over = flights[-1]
    for a, b in reversed(flights):
        if begun - b > _BETWEEN_S:
            break
        begun = a
    return [Reading("jump", "jumps", "jumps", round(begun * 1e6), round(over * 1e6))]
