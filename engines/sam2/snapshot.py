"""An object of the tracker as bytes: exactly, to go on as if nothing had been, or lightly, by its last mask alone.

Both are a length, a JSON head of that length and raw bytes after it; nothing in them is run when they are read.
At 1024 pixels an exact one is 3.7 MB; a light one is some hundred bytes to a few thousand.
"""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from engines.sam2.bank import Bank
from engines.sam2.history import History

LENGTH = struct.Struct("<I")
VERSION = 1


def exact(bank: Bank, slot: int, history: History) -> bytes:
    """All that later steps of an object come of. Waits for the device."""
    parts = [_raw(rows) for rows in _rows(bank, slot)]
    head = _facts(bank) | {"history": asdict(history), "sizes": [len(part) for part in parts]}
    return _joined(head, *parts)


def restore(bank: Bank, slot: int, data: bytes) -> History:
    """Writes an exact snapshot into a slot. Raises ValueError where it is none, or is of another model or tracker."""
    head, body = _split(data)
    if {name: head.get(name) for name in _facts(bank)} != _facts(bank):
        raise ValueError(f"a snapshot of {_told(head)} does not fit a tracker of {_told(_facts(bank))}")
    rows = _rows(bank, slot)
    if len(body) != sum(head["sizes"]) or [_size_bytes(row) for row in rows] != head["sizes"]:
        raise ValueError(f"a snapshot of {len(body)} bytes is cut short: its head tells of {sum(head['sizes'])}")
    for row, part in zip(rows, np.split(np.frombuffer(body, np.uint8), np.cumsum(head["sizes"])[:-1]), strict=True):
        row.copy_(torch.from_numpy(part.copy()).view(row.dtype).view(row.shape))
    kept: dict[str, Any] = head["history"]
    return History(**kept | {"prompted": [(frame, row) for frame, row in kept["prompted"]]})


def light(mask: torch.Tensor) -> bytes:
    """A mask [h, w] bool on any device."""
    found = mask.cpu().numpy()
    return _joined({"version": VERSION, "mask": list(found.shape)}, zlib.compress(np.packbits(found).tobytes()))


def last_mask(data: bytes) -> torch.Tensor:
    """The mask [h, w] bool of a light snapshot, on the CPU. Raises ValueError where it is none."""
    head, body = _split(data)
    if "mask" not in head:
        raise ValueError("this snapshot is an exact one: restore it with Tracker.restore")
    h, w = head["mask"]
    bits = np.unpackbits(np.frombuffer(zlib.decompress(body), np.uint8), count=h * w)
    return torch.from_numpy(bits.reshape(h, w).astype(bool))


def _rows(bank: Bank, slot: int) -> list[torch.Tensor]:
    """The slot's memories, pointers and last mask, as views."""
    m, p = bank.memories, bank.points
    return [bank.memory[slot * m : (slot + 1) * m], bank.pointers[slot * p : (slot + 1) * p], bank.last[slot]]


def _facts(bank: Bank) -> dict[str, Any]:
    return {
        "version": VERSION, "memories": bank.memories, "points": bank.points, "cells": bank.memory.shape[1],
        "dtype": str(bank.pointers.dtype).removeprefix("torch."),
    }  # fmt: skip


def _told(facts: dict[str, Any]) -> str:
    return ", ".join(f"{name} {facts.get(name)}" for name in ("cells", "memories", "points", "dtype", "version"))


def _raw(rows: torch.Tensor) -> bytes:
    return bytes(rows.contiguous().cpu().flatten().view(torch.uint8).numpy().tobytes())


def _size_bytes(rows: torch.Tensor) -> int:
    return int(rows.numel() * rows.element_size())


def _joined(head: dict[str, Any], *parts: bytes) -> bytes:
    text = json.dumps(head, sort_keys=True).encode()
    return b"".join((LENGTH.pack(len(text)), text, *parts))


def _split(data: bytes) -> tuple[dict[str, Any], bytes]:
    try:
        (length,) = LENGTH.unpack_from(data)
        head = json.loads(data[LENGTH.size : LENGTH.size + length])
    except (struct.error, ValueError):
        raise ValueError(f"{len(data)} bytes that are no snapshot") from None
    if not isinstance(head, dict) or head.get("version") != VERSION:
        raise ValueError(f"bytes that are no snapshot of version {VERSION}")
    return head, data[LENGTH.size + length :]
