"""Strays: messages under a feed's key that are none the feed waits for."""

from __future__ import annotations

import msgspec

from stream.chunk import Header
from stream.log import STATE, Log
from stream.state import FeedState


class _Produced(msgspec.Struct, frozen=True):
    """As much of `producers.state.ProducerState` as a worker must know."""

    next_seq: int


def stray_of(log: Log, state: FeedState, header: Header) -> str:
    """Why a message is a stray: it was done already, or was never produced; '' for others.

    A producer commits its state with each message, so a seq it has not come to is not its own. Without such a state
    (another program produces), and where it has come further, a jump is a hole: what lay between is gone.
    """
    if header.seq <= state.seq:
        return f"seq {header.seq} was done already"
    if header.seq == state.seq + 1:
        return ""
    saved = log.latest(STATE, f"producer/{header.feed}")
    if saved is None:
        return ""
    try:
        produced = msgspec.json.decode(saved.value, type=_Produced).next_seq
    except msgspec.MsgspecError:
        return ""
    if produced > header.seq:
        return ""
    return f"seq {header.seq} was never produced: the feed's producer has come to {produced - 1}"
