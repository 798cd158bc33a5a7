"""The other video transcriber: a vision language model is shown entities by numbered boxes and says what each does.

A pure function of frames, boxes and the model's answers; `ask.py` says when it is asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from engines.chat import Asks
from engines.crops import F32, U8
from stream.recognize_vlm import MAX_ENTITIES, MAX_FRAMES, line, numbered

_SYSTEM = """You see frames of one second of a video, in order of time, in which things are marked by numbered boxes; a
number means the same thing in every frame. For each number give `behaviour`: what it does, as a short English phrase
that begins with a verb in the third person, without a subject (`jumps on the bed`, `hands the ball to the dog`), or
null where the thing is not to be seen or what it does cannot be told. Say only what is seen, neither boxes nor
numbers."""
_LONGEST = 120


class Done(msgspec.Struct, forbid_unknown_fields=True):
    """What one marked thing does."""

    number: int
    behaviour: str | None


class Answer(msgspec.Struct, forbid_unknown_fields=True):
    things: list[Done]


def ask(chat: Asks, frames: Sequence[U8], boxes: Sequence[Mapping[int, F32]]) -> dict[int, str | None]:
    """What each entity does, in the third person; None of whom nothing usable is said.

    frames: 1 to 4 images [H, W, 3] uint8 RGB in order of time. boxes: per frame entity -> box [4] xyxy pixels, 16
    entities in all. Raises ChatError, and ValueError where there are more than a question holds.
    """
    entities = sorted({i for shown in boxes for i in shown})
    if len(frames) != len(boxes) or not 0 < len(frames) <= MAX_FRAMES or not 0 < len(entities) <= MAX_ENTITIES:
        raise ValueError(f"a question shows 1 to {MAX_FRAMES} frames, each with its boxes, and {MAX_ENTITIES} entities")
    numbers, images, text = numbered(entities, frames, boxes)
    answer = chat.ask(text, Answer, system=_SYSTEM, images=images)
    told: dict[int, str] = {}
    for thing in answer.things:
        behaviour = third_person(thing.behaviour or "")
        if behaviour:
            told.setdefault(thing.number, behaviour)
    return {i: told.get(n) for i, n in numbers.items()}


def third_person(text: str) -> str:
    """An answer as an action's text (`is jumping` of `jumping`); empty where it is none, or speaks of the question."""
    phrase = line(text, _LONGEST)
    verb, _, rest = phrase.partition(" ")
    verb = verb.lower()
    words = set(phrase.lower().split())
    if not verb.isalpha() or words & {"box", "boxes", "number", "null", "frame", "frames"}:
        return ""
    if verb.endswith("ing") and len(verb) > 4:
        verb = f"is {verb}"
    elif not verb.endswith("s") or verb.endswith("ss"):
        return ""
    return f"{verb} {rest}".strip()
