"""Which of its memories an object attends to: SAM 2's rule for a stream, in plain numbers (no tensor, no device).

Source: SAM2Base._prepare_memory_conditioned_features (sam2 1.1.0) with the 2.1 configurations' values: the prompted
frames, the six frames before this one, and the pointers of the prompted frames and of the fifteen frames before.
An object's frames are numbered by its own clock, which starts at 0 with its first prompt and goes on with every frame
it is tracked on. Rows are places in the object's own rings: first the prompted frames', then the tracked frames'.
"""

from __future__ import annotations

from dataclasses import dataclass, field

PROMPTED_AGE = 6
"""The row of the temporal encoding that stands for a prompted frame; row k is for a frame k + 1 frames ago."""


@dataclass(frozen=True, slots=True)
class Recall:
    """What an object attends to now, and where what it learns now is to be written.

    memories: (row, age) pairs, age a row of the temporal encoding. pointers: (row, frames ago) pairs.
    """

    memories: tuple[tuple[int, int], ...]
    pointers: tuple[tuple[int, int], ...]
    memory_row: int
    pointer_row: int


@dataclass(slots=True)
class History:
    """One object's past. prompts: how many prompted frames are kept (the latest). frames, points: of its rings."""

    prompts: int = 1
    frames: int = 6
    points: int = 15
    now: int = 0
    prompted: list[tuple[int, int]] = field(default_factory=list)
    """(frame, row) of the prompted frames that are kept, oldest first."""
    tracked: list[int] = field(default_factory=list)
    """The last `points` tracked frames, oldest first."""

    def check(self) -> None:
        """Raises ValueError where rows would not be this object's own, or times not times."""
        numbers = [self.prompts, self.frames, self.points, self.now, *self.tracked]
        numbers += [n for pair in self.prompted for n in pair]
        if not all(type(n) is int and n >= 0 for n in numbers) or 0 in numbers[:3]:
            raise ValueError("its history is not made of counts")
        rows = [row for _, row in self.prompted]
        if len(self.prompted) > self.prompts or len(set(rows)) != len(rows) or max(rows, default=0) >= self.prompts:
            raise ValueError(f"its prompted frames lie in rows {rows} of {self.prompts}")
        frames = [*self.tracked, *(frame for frame, _ in self.prompted)]
        if len(self.tracked) > self.points or max(frames, default=-1) >= self.now:
            raise ValueError("its frames lie ahead of its clock")

    def recall(self) -> Recall:
        """For tracking the frame `now`. Raises ValueError where nothing was prompted yet."""
        if not self.prompted:
            raise ValueError("an object without a prompt has nothing to be tracked by")
        near = [t for t in self.tracked if self.now - t <= self.frames]
        memories = [(row, PROMPTED_AGE) for _, row in self.prompted]
        memories += [(self.memory_row(t), self.now - t - 1) for t in near]
        pointers = [(row, self.now - t) for t, row in self.prompted]
        pointers += [(self.pointer_row(t), self.now - t) for t in reversed(self.tracked) if self.now - t <= self.points]
        return Recall(tuple(memories), tuple(pointers), self.memory_row(self.now), self.pointer_row(self.now))

    def memory_row(self, frame: int) -> int:
        return self.prompts + frame % self.frames

    def pointer_row(self, frame: int) -> int:
        return self.prompts + frame % self.points

    def track(self) -> None:
        """The frame `now` was tracked: it joins the past."""
        self.tracked = [*self.tracked, self.now][-self.points :]
        self.now += 1

    def prompt(self) -> int:
        """The frame `now` is prompted: it joins the past, in place of the oldest prompted frame where all are taken.

        Gives the row of its memory and its pointer.
        """
        if len(self.prompted) < self.prompts:
            row = len(self.prompted)
        else:
            _, row = self.prompted.pop(0)
        self.prompted.append((self.now, row))
        self.now += 1
        return row
