"""Runs of the SAM 2 tracker and of its peer over drawn frames, with times, memory and masks: bench.sam2 tells them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from bench import sam2_peer
from engines.sam2.build import Sam2
from engines.sam2.prompt import Prompt
from engines.sam2.tracker import Tracker
from stream.profiling.machine import resident_bytes

WARM_UP = 9
"""Frames before the clock starts: the prompted one and those that fill the memory."""


@dataclass(frozen=True, slots=True)
class Case:
    """feeds x objects of each, over frames [T, 3, s, s] of which each feed shows a shifted copy."""

    feeds: int
    objects: int
    frames: torch.Tensor

    def shown(self, feed: int, t: int) -> torch.Tensor:
        """[1, 3, s, s]: what a feed shows at t."""
        return self.frames[(t + 3 * feed) % len(self.frames)][None]


@dataclass(slots=True)
class Result:
    """frames_s: frames of all feeds together a second. state_mb: held by the tracker. peak_mb: of device or process."""

    way: str
    case: Case
    frames_s: float
    state_mb: float
    peak_mb: float
    logits: torch.Tensor
    """[T, feeds * objects, s/4, s/4] on the CPU."""


def draw(count: int, side: int, seed: int = 0) -> torch.Tensor:
    """[count, 3, side, side] float32: smooth blobs that move, with noise, as a normalised video has them."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(1, 3, 16, 16, generator=generator)
    picture = functional.interpolate(coarse, size=(side, side), mode="bicubic", align_corners=False)
    step = max(1, side // 128)
    moved = [torch.roll(picture, (step * t, 2 * step * t), (2, 3)) for t in range(count)]
    return torch.cat([m + 0.1 * torch.randn(picture.shape, generator=generator) for m in moved])


def box(index: int, side: int) -> tuple[float, float, float, float]:
    """The prompt of the index-th object."""
    x, y = (index % 4) * side / 5 + side / 20, (index // 4 % 4) * side / 5 + side / 20
    return x, y, x + side / 5, y + side / 6


def ours(model: Sam2, case: Case, way: str, tracker_type: type[Tracker] = Tracker) -> Result:
    side, count = model.side, len(case.frames)
    tracker = tracker_type(model, slots=case.feeds * case.objects)
    _reset_peak(model.device)
    clock = Clock(model.device)
    first = tracker.encode(torch.cat([case.shown(feed, 0) for feed in range(case.feeds)]))
    slots, kept = {}, []
    for feed in range(case.feeds):
        for i in range(case.objects):
            slot, logits = tracker.add(first, feed, Prompt(box=box(i, side)))
            slots[slot] = feed
            kept.append(logits[None])
    outputs = [torch.cat(kept)]
    for t in range(1, count):
        if t == WARM_UP:
            clock.start()
        features = tracker.encode(torch.cat([case.shown(feed, t) for feed in range(case.feeds)]))
        outputs.append(tracker.step(features, slots).logits)
        clock.lap()
    speed = case.feeds / clock.frame_s()
    return Result(way, case, speed, tracker.bank.size_bytes / 1e6, _peak(model.device), _host(outputs))


def peers(peer: Any, case: Case, way: str, dtype: torch.dtype) -> Result:
    """Feed after feed, object after object, as the predictor does it."""
    device, count = str(peer.device), len(case.frames)
    _reset_peak(device)
    seconds, held, masks = 0.0, 0.0, []
    half = dtype != torch.float32
    with torch.inference_mode(), torch.autocast(device.split(":")[0], dtype=dtype if half else None, enabled=half):
        for feed in range(case.feeds):
            video = torch.cat([case.shown(feed, t) for t in range(count)])
            state = sam2_peer.state(peer, video)
            for i in range(case.objects):
                peer.add_new_points_or_box(state, 0, i, box=box(i, video.shape[-1]))
            clock = Clock(device)
            for t, _, _ in peer.propagate_in_video(state):
                clock.lap()
                if t == WARM_UP - 1:
                    clock.start()
            seconds += clock.frame_s()
            held += _bytes(state) / 1e6
            masks.append(sam2_peer.logits(state))
    return Result(way, case, case.feeds / seconds, held, _peak(device), torch.cat(masks, 1))


class Clock:
    """Seconds a frame: on a CPU, which others may share, the median of laps; on a GPU all of them, waited for once."""

    def __init__(self, device: str) -> None:
        self.cuda, self.laps = device.startswith("cuda"), list[float]()

    def start(self) -> None:
        if self.cuda:
            torch.cuda.synchronize()
        self.laps = [time.perf_counter()]

    def lap(self) -> None:
        self.laps.append(time.perf_counter())

    def frame_s(self) -> float:
        if self.cuda:
            torch.cuda.synchronize()
            return (time.perf_counter() - self.laps[0]) / (len(self.laps) - 1)
        return float(torch.tensor(self.laps, dtype=torch.float64).diff().median())


def _host(outputs: Sequence[torch.Tensor]) -> torch.Tensor:
    return torch.stack([t.float().cpu() for t in outputs])


def _bytes(held: Any, seen: set[int] | None = None) -> int:
    """Of all tensors in nested containers, storages counted once."""
    seen = set() if seen is None else seen
    if isinstance(held, torch.Tensor):
        storage = held.untyped_storage()
        if storage.data_ptr() in seen:
            return 0
        seen.add(storage.data_ptr())
        return int(storage.nbytes())
    inside = held.values() if isinstance(held, dict) else held if isinstance(held, list | tuple) else ()
    return sum(_bytes(h, seen) for h in inside)


def _reset_peak(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()


def _peak(device: str) -> float:
    return torch.cuda.max_memory_allocated() / 1e6 if device.startswith("cuda") else resident_bytes() / 1e6


def difference(a: torch.Tensor, b: torch.Tensor) -> tuple[float, float]:
    """Greatest difference of logits, and least IoU of the masks of a frame and object."""
    one, other = (a > 0).flatten(2), (b > 0).flatten(2)
    union = (one | other).sum(2)
    iou = torch.where(union > 0, (one & other).sum(2) / union.clamp(min=1), 1.0)
    return float((a - b).abs().max()), float(iou.min())
