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
VERSION = 2
LARGEST = 4096
"""Cells of a mask's side at most."""


def exact(bank: Bank, slot: int, history: History, model: str) -> bytes:
    """All that later steps of an object come of. model: whose they are. Waits for the device."""
    parts = [_raw(rows) for rows in _rows(bank, slot)]
    head = _facts(bank, model) | {"history": asdict(history), "sizes": [len(part) for part in parts]}
    return _joined(head, *parts)


def restore(bank: Bank, slot: int, data: bytes, model: str, like: History) -> History:
    """Writes an exact snapshot into a slot. like: a new object's history. Raises ValueError where it is none, is
    damaged, or is of another model or tracker."""
    head, body = _split(data)
    if {name: head.get(name) for name in _facts(bank, model)} != _facts(bank, model):
        raise ValueError(f"a snapshot of {_told(head)} does not fit a tracker of {_told(_facts(bank, model))}")
    rows = _rows(bank, slot)
    sizes = head.get("sizes")
    if sizes != [_size_bytes(row) for row in rows] or len(body) != sum(sizes):
        raise ValueError(f"a snapshot of {len(body)} bytes where its head tells of {sizes}")
    try:
        kept: dict[str, Any] = head["history"]
        history = History(**kept | {"prompted": [(frame, row) for frame, row in kept["prompted"]]})
        history.check()
    except (KeyError, TypeError, ValueError) as e:
        raise ValueError(f"a damaged snapshot: {e}") from None
    if (history.prompts, history.frames, history.points) != (like.prompts, like.frames, like.points):
        raise ValueError("a snapshot of a tracker that keeps other numbers of frames")
    for row, part in zip(rows, np.split(np.frombuffer(body, np.uint8), np.cumsum(sizes)[:-1]), strict=True):
        row.copy_(torch.from_numpy(part.copy()).view(row.dtype).view(row.shape))
    return history


def light(mask: torch.Tensor) -> bytes:
    """A mask [h, w] bool on any device."""
    found = mask.cpu().numpy()
    return _joined({"version": VERSION, "mask": list(found.shape)}, zlib.compress(np.packbits(found).tobytes()))


def last_mask(data: bytes) -> torch.Tensor:
    """The mask [h, w] bool of a light snapshot, on the CPU. Raises ValueError where it is none."""
    head, body = _split(data)
    if "mask" not in head:
        raise ValueError("this snapshot is an exact one: restore it with Tracker.restore")
    try:
        h, w = head["mask"]
        if not (0 < h <= LARGEST and 0 < w <= LARGEST):
            raise ValueError(f"a mask of {h} x {w}")
        packed = zlib.decompressobj().decompress(body, -(-h * w // 8) + 1)
        if len(packed) != -(-h * w // 8):
            raise ValueError(f"{len(packed)} bytes of a mask of {h} x {w}")
    except (TypeError, ValueError, zlib.error) as e:
        raise ValueError(f"a damaged snapshot: {e}") from None
    bits = np.unpackbits(np.frombuffer(packed, np.uint8), count=h * w)
    return torch.from_numpy(bits.reshape(h, w).astype(bool))


def _rows(bank: Bank, slot: int) -> list[torch.Tensor]:
    """The slot's memories, pointers and last mask, as views."""
    m, p = bank.memories, bank.points
    return [bank.memory[slot * m : (slot + 1) * m], bank.pointers[slot * p : (slot + 1) * p], bank.last[slot]]


def _facts(bank: Bank, model: str) -> dict[str, Any]:
    return {
        "version": VERSION, "model": model, "memories": bank.memories, "points": bank.points,
        "cells": bank.memory.shape[1],
        "dtype": str(bank.pointers.dtype).removeprefix("torch."),
    }  # fmt: skip


def _told(facts: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {facts.get(name)}" for name in ("model", "cells", "memories", "points", "dtype", "version")
    )


def _raw(rows: torch.Tensor) -> bytes:
    return bytes(rows.contiguous().cpu().flatten().view(torch.uint8).numpy().tobytes())


def _size_bytes(rows: torch.Tensor) -> int:
    return int(rows.numel() * rows.element_size())


def _joined(head: dict[str, Any], *parts: bytes) -> bytes:
    body = b"".join(parts)
    text = json.dumps(head | {"crc": zlib.crc32(body, zlib.crc32(_bare(head)))}, sort_keys=True).encode()
    return b"".join((LENGTH.pack(len(text)), text, body))


def _bare(head: dict[str, Any]) -> bytes:
    return json.dumps({k: v for k, v in head.items() if k != "crc"}, sort_keys=True).encode()


def _split(data: bytes) -> tuple[dict[str, Any], bytes]:
    try:
        (length,) = LENGTH.unpack_from(data)
        head = json.loads(data[LENGTH.size : LENGTH.size + length])
    except (struct.error, ValueError):
        raise ValueError(f"{len(data)} bytes that are no snapshot") from None
    if not isinstance(head, dict) or head.get("version") != VERSION:
        raise ValueError(f"bytes that are no snapshot of version {VERSION}")
    body = data[LENGTH.size + length :]
    if head.get("crc") != zlib.crc32(body, zlib.crc32(_bare(head))):
        raise ValueError("a damaged snapshot: its checksum differs")
    return head, body
