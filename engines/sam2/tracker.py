"""Many objects of many feeds, followed frame by frame in one batch, in memory that never grows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from engines.sam2.bank import Bank, Plan
from engines.sam2.build import Sam2
from engines.sam2.encoder import Features
from engines.sam2.history import History, Recall
from engines.sam2.prompt import Prompt, answer
from engines.sam2.snapshot import exact, last_mask, light, restore
from engines.sam2.step import track

Wanted = tuple[int, int, Recall]
Outputs = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
WIDTH = 64
"""Channels of a memory."""


@dataclass(frozen=True, slots=True)
class Tracked:
    """Objects after a step: row i is the object in slots[i].

    logits: [N, s/4, s/4] float32, -1024 all over where the object is not seen. score: [N] float32, over 0 where it is.
    iou: [N] float32, what the decoder thinks its mask is worth.
    """

    slots: tuple[int, ...]
    logits: torch.Tensor
    score: torch.Tensor
    iou: torch.Tensor


class Tracker:
    """`slots` objects at most, of all feeds together. An object keeps its slot until it is removed.

    prompts: prompted frames an object keeps; a prompt beyond that takes the oldest one's place.
    Not thread-safe. Raises ValueError for a slot that is free, or where none is.
    """

    def __init__(self, model: Sam2, *, slots: int = 64, prompts: int = 1) -> None:
        if slots < 1 or prompts < 1:
            raise ValueError(f"{slots} slots and {prompts} prompts, wanted 1 or more of each")
        self.model, self.prompts = model, prompts
        self.bank = Bank(
            slots, memories=model.memories - 1 + prompts, points=model.pointers - 1 + prompts, cells=model.grid**2,
            width=WIDTH, device=model.device, dtype=model.dtype,
        )  # fmt: skip
        self.objects: dict[int, History] = {}
        self._free = list(reversed(range(slots)))

    @torch.no_grad()
    def encode(self, frames: torch.Tensor) -> Features:
        """Features of frames [B, 3, s, s] of any feeds, normalised as kernels.preprocess gives them."""
        side = self.model.side
        if frames.ndim != 4 or tuple(frames.shape[1:]) != (3, side, side):
            raise ValueError(f"frames are of shape {tuple(frames.shape)}, wanted [B, 3, {side}, {side}]")
        return self._encode(frames.to(self.model.device, self.model.dtype))

    def add(self, features: Features, frame_index: int, prompt: Prompt) -> tuple[int, torch.Tensor]:
        """A new object, prompted on frame `frame_index` of the batch: its slot, its logits [s/4, s/4] float32."""
        slot = self._take()
        self.objects[slot] = self._new()
        try:
            return slot, self.prompt(slot, features, frame_index, prompt)
        except BaseException:
            self.remove(slot)
            raise

    @torch.no_grad()
    def prompt(self, slot: int, features: Features, frame_index: int, prompt: Prompt) -> torch.Tensor:
        """Prompts an object anew on its next frame, in place of tracking it there: its logits [s/4, s/4] float32."""
        history = self._object(slot)
        if not 0 <= frame_index < len(features):
            raise ValueError(f"frame {frame_index} of {len(features)}")
        found = answer(self.model, features[frame_index], prompt)
        row = history.prompt()
        bank = self.bank
        bank.memory[slot * bank.memories + row] = found.memory[0].to(bank.memory.dtype)
        bank.pointers[slot * bank.points + row] = found.pointer[0].to(bank.pointers.dtype)
        bank.last[slot] = found.logits[0, 0] > 0
        return found.logits[0, 0]

    @torch.no_grad()
    def step(self, features: Features, frames: Mapping[int, int]) -> Tracked:
        """Tracks objects on their next frame, all in one batch.

        frames: slot -> which frame of `features` is the object's; those left out stand still. Rows come in its order.
        A step that is broken off (an interrupt) leaves its objects between two frames: remove them.
        """
        slots = tuple(frames)
        for slot, index in frames.items():
            if not 0 <= index < len(features):
                raise ValueError(f"slot {slot} is to take frame {index} of {len(features)}")
        wanted = [(slot, frames[slot], self._object(slot).recall()) for slot in slots]
        if not slots:
            low = self.bank.last.shape[-1]
            return Tracked((), *(torch.zeros(s, device=self.model.device) for s in ((0, low, low), (0,), (0,))))
        logits, score, iou = self._run(features, wanted)
        for slot in slots:
            self.objects[slot].track()
        return Tracked(slots, logits, score, iou)

    def _encode(self, frames: torch.Tensor) -> Features:
        return Features(*self.model.encoder(frames))

    def _run(self, features: Features, wanted: list[Wanted]) -> Outputs:
        table, memories, points = self.bank.table(wanted, len(wanted), full=self.model.fixed)
        plan = Plan(table.to(self.model.device, non_blocking=True), memories, points)
        return track(self.model, self.bank, features, plan)

    def remove(self, slot: int) -> None:
        """Forgets an object; its slot is free for another."""
        self._object(slot)
        del self.objects[slot]
        self._free.append(slot)

    def snapshot(self, slot: int) -> bytes:
        """All that an object's later masks come of: `restore` goes on with the very same ones."""
        return exact(self.bank, slot, self._object(slot), self.model.key)

    @torch.no_grad()
    def restore(self, data: bytes) -> int:
        """The slot of an object that a tracker of the same model and settings gave a snapshot of."""
        slot = self._take()
        try:
            self.objects[slot] = restore(self.bank, slot, data, self.model.key, self._new())
        except BaseException:
            self._free.append(slot)
            raise
        return slot

    def light_snapshot(self, slot: int) -> bytes:
        """An object's last mask, for `resume`: a few hundred bytes, from which it is followed anew."""
        self._object(slot)
        return light(self.bank.last[slot])

    def resume(self, features: Features, frame_index: int, data: bytes) -> tuple[int, torch.Tensor]:
        """As `add`, prompted by the mask of a light snapshot, on the frame that it was taken on or the next."""
        return self.add(features, frame_index, Prompt(mask=last_mask(data)))

    def _new(self) -> History:
        return History(self.prompts, self.model.memories - 1, self.model.pointers - 1)

    def _take(self) -> int:
        if not self._free:
            raise ValueError(f"all {self.bank.slots} slots are taken: remove an object, or make a tracker of more")
        return self._free.pop()

    def _object(self, slot: int) -> History:
        if slot not in self.objects:
            raise ValueError(f"no object in slot {slot}; there are {sorted(self.objects)}")
        return self.objects[slot]
