"""Dead letters: messages no worker could use, in `video.deadletter`, each with where it was and why it is dead.

A dead letter is the message itself, key, value and headers, and `strefer_dead_*` headers beside them. Of a message over
the worker's limit the value stays away (`strefer_dead_value` says so); the original keeps its place in its topic.
"""

from __future__ import annotations

from dataclasses import dataclass

from engines.errors import UserError
from stream.chunk import decode_header
from stream.log import CLAIM, DEADLETTER, LOST_CLAIM, Log, Message, Record

_MARK = "strefer_dead_"
REPLAYED = "strefer_replayed"
"""Header of a message that was sent again: the offset of the dead letter it was."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One dead letter as the log holds it, and the message it was."""

    record: Record
    topic: str
    partition: int
    offset: int
    reason: str
    whole: bool
    """Whether it carries its value."""

    @property
    def feed(self) -> str:
        return self.record.key

    @property
    def seq(self) -> int | None:
        """The message's seq, None where its headers do not tell."""
        try:
            return decode_header(dict(self.record.headers)).seq
        except ValueError:
            return None

    @property
    def headers(self) -> dict[str, str]:
        """The message's own headers."""
        return {k: v for k, v in self.record.headers.items() if not k.startswith(_MARK)}


def letter(record: Record, reason: str, *, max_bytes: int) -> Message:
    """The dead letter of a message; without its value where that is larger than `max_bytes`."""
    origin = {
        f"{_MARK}topic": record.topic,
        f"{_MARK}partition": str(record.partition),
        f"{_MARK}offset": str(record.offset),
        f"{_MARK}reason": reason,
    }
    headers, value = dict(record.headers), record.value
    if len(value) > max_bytes:
        origin[f"{_MARK}value"] = f"left out: {len(value)} bytes, the limit is {max_bytes}"
        headers.pop(CLAIM, None)  # whoever reads the letter is to be spared the value too
        value = b""
    return Message(DEADLETTER, record.key, value, {**headers, **origin})


def read_letter(record: Record) -> DeadLetter:
    """Raises ValueError where a record of the topic is no dead letter of a worker's."""
    h = record.headers
    try:
        place = h[f"{_MARK}topic"], int(h[f"{_MARK}partition"]), int(h[f"{_MARK}offset"])
    except (KeyError, ValueError):
        raise ValueError(f"{DEADLETTER}/{record.offset} does not say where it comes from") from None
    return DeadLetter(record, *place, h.get(f"{_MARK}reason", ""), f"{_MARK}value" not in h)


def revive(log: Log, dead: DeadLetter) -> Message:
    """The message as it goes back to its topic. Raises UserError where its value is no longer to be had."""
    headers, value = dead.headers, dead.record.value
    if not dead.whole:
        original = next(iter(log.read(dead.topic, key=dead.feed, after=dead.offset - 1)), None)
        if original is None or original.offset != dead.offset:
            raise UserError(
                f"dead letter {dead.record.offset} carries no value, and its message is no longer in {dead.topic}"
            )
        value = original.value
    headers.pop(LOST_CLAIM, None)  # it may be there again
    if value:
        headers.pop(CLAIM, None)  # the log takes the value anew
    return Message(dead.topic, dead.feed, value, {**headers, REPLAYED: str(dead.record.offset)})
