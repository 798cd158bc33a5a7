"""The memories of all objects, in tensors of fixed size that are made once."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from engines.sam2.history import Recall


class Bank:
    """Rings of `slots` objects and one more, which nobody reads: what pads a batch writes there.

    memory: [(slots + 1) * memories, cells, 64] bfloat16, as the sam2 package keeps them too. pointers: [(slots + 1) *
    points, 256] of the model's type. last: [slots + 1, s/4, s/4] bool, each object's last mask.
    """

    def __init__(
        self, slots: int, *, memories: int, points: int, cells: int, width: int, device: str, dtype: torch.dtype
    ) -> None:
        self.slots, self.memories, self.points = slots, memories, points
        self.memory = torch.zeros((slots + 1) * memories, cells, width, dtype=torch.bfloat16, device=device)
        self.pointers = torch.zeros((slots + 1) * points, 256, dtype=dtype, device=device)
        low = 4 * round(cells**0.5)
        self.last = torch.zeros(slots + 1, low, low, dtype=torch.bool, device=device)

    @property
    def size_bytes(self) -> int:
        return sum(t.numel() * t.element_size() for t in (self.memory, self.pointers, self.last))

    def table(
        self, wanted: Sequence[tuple[int, int, Recall]], size: int, *, full: bool
    ) -> tuple[torch.Tensor, int, int]:
        """What a step reads and writes, on the host, for objects (slot, frame in the batch, recall): see Plan.

        size: objects of the step; those beyond `wanted` read and write the slot that nobody reads. full: room for all
        memories, as a captured graph needs it; else for as many as the fullest object has.
        """
        memories = self.memories if full else max((len(r.memories) for _, _, r in wanted), default=1)
        points = self.points if full else max((len(r.pointers) for _, _, r in wanted), default=1)
        rows = [self._row(slot, frame, recall, memories, points) for slot, frame, recall in wanted]
        nobody = Recall(((0, 0),), ((0, 1),), 0, 0)
        rows += [self._row(self.slots, 0, nobody, memories, points)] * (size - len(rows))
        return torch.tensor(rows, dtype=torch.int64, pin_memory=self.memory.is_cuda), memories, points

    def _row(self, slot: int, frame: int, recall: Recall, memories: int, points: int) -> list[int]:
        m, p = slot * self.memories, slot * self.points
        pad_m, pad_p = memories - len(recall.memories), points - len(recall.pointers)
        return [
            slot, frame, m + recall.memory_row, p + recall.pointer_row,
            *(m + row for row, _ in recall.memories), *[m] * pad_m,
            *(age for _, age in recall.memories), *[-1] * pad_m,
            *(p + row for row, _ in recall.pointers), *[p] * pad_p,
            *(ago for _, ago in recall.pointers), *[-1] * pad_p,
        ]  # fmt: skip


class Plan:
    """Columns of one int64 table [N, 4 + 2 M + 2 P] on the device, so that a step sends one tensor there."""

    def __init__(self, table: torch.Tensor, memories: int, points: int) -> None:
        self.table, self.memories, self.points = table, memories, points
        widths = [1, 1, 1, 1, memories, memories, points, points]
        parts = table.split(widths, dim=1)
        self.slot, self.frame, self.memory_to, self.pointer_to = (part[:, 0] for part in parts[:4])
        self.memory_from, self.age, self.pointer_from, self.distance = parts[4:]
