"""Who finds the boundaries of shots: the clipper beside PySceneDetect's detectors, on generated videos.

    python -m bench.clip [--seeds 1000,1001] [--rates 10,25,30,60] [--kinds cut,fade,...] [--lights 1.0,0.25]

Each cell is precision / recall / F1. Cuts count within a frame; fades and dissolves from their first frame until 0.6 s
after their last, once. Parameters were chosen on seeds below 100; the default seeds are others.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Sequence

import numpy as np
from rich.console import Console
from rich.table import Table
from scenedetect import FrameTimecode
from scenedetect.detector import SceneDetector
from scenedetect.detectors import AdaptiveDetector, ContentDetector

from bench.shots import KINDS, RATES, U8, Tally, judge, video
from stream.clip import Clipper, ClipState
from stream.flow import small_image

SEEDS = (1000, 1001)
LIGHTS = (1.0, 0.25)
"""Full daylight, and a quarter of it."""


def ours(frames: Sequence[U8], rate: float) -> list[int]:
    """Frames at which the clipper says that a new shot is there."""
    clipper, state = Clipper(), ClipState()
    return [i for i, f in enumerate(frames) if clipper.step(state, small_image(f), round(i * 1e6 / rate))[0]]


def theirs(detector: SceneDetector, frames: Sequence[U8], rate: float) -> list[int]:
    """Cuts of a detector of PySceneDetect's."""
    cuts: list[int] = []
    for i, f in enumerate(frames):
        bgr = np.ascontiguousarray(f[:, :, ::-1])
        cuts += [int(t.frame_num) for t in detector.process_frame(FrameTimecode(i, fps=float(rate)), bgr)]
    last = FrameTimecode(len(frames) - 1, fps=float(rate))
    return cuts + [int(t.frame_num) for t in detector.post_process(last)]


def adaptive(frames: Sequence[U8], rate: float) -> list[int]:
    return theirs(AdaptiveDetector(min_scene_len=round(rate / 2)), frames, rate)


def content(frames: Sequence[U8], rate: float) -> list[int]:
    return theirs(ContentDetector(min_scene_len=round(rate / 2)), frames, rate)


FINDERS: dict[str, Callable[[Sequence[U8], float], list[int]]] = {
    "ours": ours, "AdaptiveDetector": adaptive, "ContentDetector": content,
}  # fmt: skip


def measure(
    kinds: Sequence[str], seeds: Sequence[int], rates: Sequence[int], lights: Sequence[float], finders: Sequence[str]
) -> dict[tuple[str, str], Tally]:
    """By kind and finder, over all seeds, rates and lights."""
    tallies: dict[tuple[str, str], Tally] = {}
    for kind, seed, rate, light in itertools.product(kinds, seeds, rates, lights):
        v = video(kind, seed, rate, light=light)
        for name in finders:
            tallies[kind, name] = tallies.get((kind, name), Tally()) + judge(FINDERS[name](v.frames, rate), v)
    return tallies


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=_numbers, default=SEEDS)
    parser.add_argument("--rates", type=_numbers, default=RATES)
    parser.add_argument("--lights", type=lambda s: tuple(float(x) for x in s.split(",")), default=LIGHTS)
    parser.add_argument("--kinds", type=lambda s: tuple(s.split(",")), default=KINDS)
    args = parser.parse_args()
    tallies = measure(args.kinds, args.seeds, args.rates, args.lights, tuple(FINDERS))
    table = Table("videos with", "boundaries", *FINDERS)
    hard = {name: Tally() for name in FINDERS}
    for kind in args.kinds:
        row = [tallies[kind, name] for name in FINDERS]
        table.add_row(kind, str(row[0].right + row[0].missed), *map(_cell, row))
        if kind not in ("fade", "dissolve"):
            hard = {name: hard[name] + t for name, t in zip(FINDERS, row, strict=True)}
    table.add_section()
    table.add_row("all with cuts", str(hard["ours"].right + hard["ours"].missed), *map(_cell, hard.values()))
    Console(width=120).print(table)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(x) for x in text.split(","))


def _cell(t: Tally) -> str:
    return f"{t.precision:.3f} / {t.recall:.3f} / {t.f1:.3f}"


if __name__ == "__main__":
    main()
