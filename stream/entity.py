"""An entity as the follower knows it: plain state, no behaviour beyond derived properties.

Entity ids are for ever and never used again. An entity is *tentative* until it was detected often enough, then
*visible*; *hidden* while nothing of it shows; *dormant* when it has exited and waits in the gallery.
"""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np

from stream.events import ExitReason
from stream.patch import Patch

State = Literal["tentative", "visible", "hidden", "dormant"]

GROUPS = (
    {"person"},
    {"dog", "cat", "horse", "sheep", "cow", "bear", "zebra", "giraffe", "elephant", "bird"},
    {"car", "truck", "bus", "train"},
    {"bicycle", "motorcycle"},
    {"sports ball", "frisbee", "kite", "balloon"},
)


def same_kind(a: str, b: str) -> bool:
    """Whether a detector may well say `b` of what it called `a` before: a dog that sits is a cow at times."""
    return a == b or any(a in g and b in g for g in GROUPS)


LIVING = GROUPS[0] | GROUPS[1]
"""People and animals."""


RIGID = GROUPS[2] | GROUPS[3] | {"object", "boat", "airplane"}
"""Things that move as one piece."""


SOLID = GROUPS[2]
"""Things without holes."""


MOST = 0.6
"""Share of an entity's usual mask from which its colours are those of all of it."""


class Look(msgspec.Struct):
    """What an entity looks like: a few numbers that survive exits.

    colour: [2, 144] float32, upper and lower half: root of the LAB a,b histogram (12 x 12 bins).
    light: [2] float32, mean L of both halves in 0..1. embed: [256] float32 of length 1, or empty.
    aspect: height / width of the box. count: how many sights were averaged.
    """

    colour: np.ndarray
    light: np.ndarray
    embed: np.ndarray
    aspect: float
    count: int = 1


class Sight(msgspec.Struct, frozen=True):
    """One moment of an entity's path, kept for actions and descriptions: what `transcribe` and `recognize` read."""

    pts_us: int
    x: float
    y: float
    w: float
    h: float
    camera_x: float
    camera_y: float
    landmarks: np.ndarray | None = None
    """[33, 3] float32 in frame pixels, people only."""


class Picture(msgspec.Struct, frozen=True):
    """The mean of an entity's image embeddings. by: the network's key. mean: [D] float32. count: how many it is of.
    at_us: when the last was taken."""

    by: str
    mean: np.ndarray
    count: int
    at_us: int


class Traits(msgspec.Struct):
    """What was measured of an entity so far, as running averages; read by recognize and refer.

    colours: part -> [12] shares of colour names. x, y, bottom, height, width: of the box, in shares of the frame.
    speed, vx, vy: of the centre against the camera, in body heights a second. growth: of the box, in shares of its
    height a second.
    named: what detectors called it, in shares. postures: word -> fit in [0, 1] of the last pose. frame: the frame's
    width / height. sights: how many frames were averaged.
    """

    colours: dict[str, np.ndarray] = msgspec.field(default_factory=dict)
    x: float = 0.5
    y: float = 0.5
    height: float = 0.0
    bottom: float = 0.0
    width: float = 0.0
    speed: float = 0.0
    vx: float = 0.0
    vy: float = 0.0
    growth: float = 0.0
    named: dict[str, float] = msgspec.field(default_factory=dict)
    postures: dict[str, float] = msgspec.field(default_factory=dict)
    frame: float = 16 / 9
    sights: int = 0
    company: dict[str, float] = msgspec.field(default_factory=dict)
    """By phrase (next to the dog, moving): in how many of the last looks it was so; see `company`."""
    says: list[str] = msgspec.field(default_factory=list)
    """Those of them that hold."""
    picture: Picture | None = None
    """Where an image-text network was asked only."""


class Entity(msgspec.Struct):
    """One followed thing. Boxes are xyxy float32 pixels of the working frame."""

    id: int
    category: str
    state: State
    first_us: int
    seen_us: int
    """Last frame with a mask that is told."""
    box: np.ndarray
    """The whole entity's box, hidden parts included as far as known."""
    patch: Patch | None = None
    """What is to be seen of it."""
    score: float = 0.0
    hits: int = 1
    misses: int = 0
    """Detections in a row that did not find it."""
    ghost: bool = False
    """Whether `patch` is no more than where it was: it goes on from there, and nothing is told of it."""
    seen_box: np.ndarray | None = None
    """`box` as it was at `seen_us`."""
    followed_us: int = -1
    """Last frame with a mask, told or not."""
    reference_area: float = 0.0
    """Slow maximum of the mask's area: what is to be seen of it when nothing is in the way."""
    velocity: tuple[float, float] = (0.0, 0.0)
    """Pixels per second, smoothed."""
    path: tuple[float, float] = (0.0, 0.0)
    """Pixels from where it began to where it is, against the camera: has it gone anywhere?"""
    look: Look | None = None
    looked_us: int = -1
    look_area: float = 0.0
    """Largest mask that was looked at, in pixels."""
    votes: dict[str, float] = msgspec.field(default_factory=dict)
    sights: list[Sight] = msgspec.field(default_factory=list)
    reason: ExitReason = "lost"
    expression: str = ""
    """What it was last called in an event."""
    shape: Patch | None = None
    """Rigid things only: what is to be seen and what others hide of it, as it was before they did."""
    pose_us: int = -1
    """When a mask network last looked."""
    left_us: int = -1
    """When it was last seen before it came back; -1 where it was never away."""
    born_us: int = -1
    """When it first was seen, exits and re-entries apart."""
    found_us: int = -1
    found_box: np.ndarray | None = None
    """When a detector last found it, and the box it gave."""
    odd: int = 0
    odd_us: int = -1
    """For how many looks in a row it has looked like somebody else, and since when."""
    replaced: bool = False
    """Whether that came from one look to the next."""
    before: Look | None = None
    before_us: int = -1
    """Its colours at the last look, if all of it was in sight, and when that was."""
    was: int = 0
    """As whom a tentative entity was followed by mistake since `odd_us`; `was_alike`: how alike it is to that one."""
    was_alike: float = 0.0
    first_box: np.ndarray | None = None
    """The box of its first detection, at `first_us`."""
    asked_us: int = -1_000_000
    """When a second network was last asked."""
    traits: Traits = msgspec.field(default_factory=Traits)
    slot: int = -1
    """Its object in profile sam2's segmenter; a matter of this process."""
    within: int = 0
    """Whose box it was in when it got its name, as long as the two have not been apart: it may be the same one."""

    @property
    def shown(self) -> Patch | None:
        """What is to be seen of it, as far as that is it."""
        return None if self.ghost else self.patch

    @property
    def live(self) -> bool:
        return self.state in ("visible", "hidden")

    def shows(self, share: float) -> bool:
        """Whether that much of its usual mask, or more, is to be seen."""
        return self.patch is not None and self.patch.area >= share * self.reference_area


class Met(msgspec.Struct):
    """Two entities of a kind that came together, and how they looked before.

    apart, crossed: looks in a row in which they have been apart again, and in which each looked like the other.
    doubt_us: the first look since which they have not been seen to be who they are called; -1 while they are.
    """

    a: int
    b: int
    look_a: Look
    look_b: Look
    apart: int = 0
    crossed: int = 0
    doubt_us: int = -1


class Gallery(msgspec.Struct):
    """Dormant entities, oldest first; bounded."""

    dormant: list[Entity] = msgspec.field(default_factory=list)
