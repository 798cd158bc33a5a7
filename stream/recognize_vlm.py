"""The other entity recogniser: a vision language model is shown entities by numbered boxes and says what to call each.

A pure function of frames, boxes and the model's answers; `ask.py` says when it is asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import msgspec
import numpy as np

from engines.chat import Asks
from engines.crops import F32, U8
from stream.recognize import Description

MAX_FRAMES, MAX_ENTITIES = 4, 16
LONG_SIDE = 1024
"""Pixels of a frame's longer side, as it is shown."""
_COLOURS = ((255, 64, 64), (64, 200, 64), (64, 128, 255), (255, 200, 0), (200, 64, 255), (0, 220, 220))
_SYSTEM = """You see frames of one video in which things are marked by numbered boxes; a number means the same thing in
every frame. For each number give: `noun`, what it is, in one or two lower-case words; `attributes`, a few words each
that can be seen (colours, clothes, what it does); `expression`, the shortest English phrase that tells it from all else
in the frames, without its number or box. Describe only what is seen."""


class Called(msgspec.Struct, forbid_unknown_fields=True):
    """What one marked thing is called."""

    number: int
    noun: str
    attributes: list[str]
    expression: str


class Answer(msgspec.Struct, forbid_unknown_fields=True):
    things: list[Called]


def ask(chat: Asks, frames: Sequence[U8], boxes: Sequence[Mapping[int, F32]]) -> dict[int, Description]:
    """What to call each entity.

    frames: 1 to 4 images [H, W, 3] uint8 RGB. boxes: per frame entity -> box [4] xyxy pixels, 16 entities in all.
    Entities of which the answer says nothing usable are not in the result. Raises ChatError, and ValueError where there
    are more frames or entities than a question holds.
    """
    entities = sorted({i for shown in boxes for i in shown})
    if len(frames) != len(boxes) or not 0 < len(frames) <= MAX_FRAMES or len(entities) > MAX_ENTITIES:
        raise ValueError(f"a question shows 1 to {MAX_FRAMES} frames, each with its boxes, and {MAX_ENTITIES} entities")
    if not entities:
        return {}
    numbers, images, text = numbered(entities, frames, boxes)
    answer = chat.ask(text, Answer, system=_SYSTEM, images=images)
    found: dict[int, Description] = {}
    for thing in answer.things:
        told = _description(thing)
        if thing.number in numbers.values() and told is not None:
            found.setdefault(entities[thing.number - 1], told)
    return dict(sorted(found.items()))


def numbered(
    entities: Sequence[int], frames: Sequence[U8], boxes: Sequence[Mapping[int, F32]]
) -> tuple[dict[int, int], list[U8], str]:
    """How a question shows entities: their numbers from 1 on, the frames with these drawn, and its words for both."""
    numbers = {i: n for n, i in enumerate(entities, 1)}
    images = [mark(f, {numbers[i]: box for i, box in b.items()}) for f, b in zip(frames, boxes, strict=True)]
    return numbers, images, f"Frames: {len(images)}. Numbers: {', '.join(map(str, numbers.values()))}."


def mark(rgb: U8, boxes: Mapping[int, F32]) -> U8:
    """A copy of a frame [H, W, 3], at 1024 pixels at most, with numbered boxes drawn. Numbers lie inside the frame."""
    h, w = rgb.shape[:2]
    scale = min(1.0, LONG_SIDE / max(h, w))
    size = (max(1, round(w * scale)), max(1, round(h * scale)))
    out = np.ascontiguousarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA) if scale < 1 else rgb.copy())
    for number, box in sorted(boxes.items()):
        colour = _COLOURS[(number - 1) % len(_COLOURS)]
        x0, y0, x1, y1 = (int(v) for v in np.nan_to_num(np.asarray(box, np.float64) * scale).clip(0, max(size) - 1))
        cv2.rectangle(out, (x0, y0), (x1, y1), colour, 2)
        (wide, high), _ = cv2.getTextSize(str(number), cv2.FONT_HERSHEY_SIMPLEX, 0.7, 2)
        x, y = min(x0, max(0, size[0] - wide - 4)), min(y0, max(0, size[1] - high - 6))
        cv2.rectangle(out, (x, y), (x + wide + 4, y + high + 6), colour, -1)
        cv2.putText(out, str(number), (x + 2, y + high + 2), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (255, 255, 255), 2)
    return out


def _description(thing: Called) -> Description | None:
    """As recognize.py gives it; None where it says nothing. Long answers are cut."""
    noun, expression = line(thing.noun, 40).lower(), line(thing.expression, 160)
    if not noun or not expression:
        return None
    return Description(expression, noun, tuple(a for a in (line(a, 40) for a in thing.attributes[:8]) if a))


def line(text: str, longest: int) -> str:
    """A model's words in one line, without what no event should hold; cut where they are long."""
    words = " ".join(text[: 10 * longest].split())
    return "".join(c for c in words if c.isprintable())[:longest].strip(" .")
