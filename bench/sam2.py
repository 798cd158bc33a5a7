"""SAM 2.1 as a stream beside SAM 2's own video predictor: same weights (drawn), same frames, same prompts, one run.

    python -m bench.sam2 [--device cpu|cuda] [--variant tiny] [--size 512] [--objects 1,4,16] [--frames 24]
                         [--feeds 1,8] [--dtype float32|bfloat16] [--peer-dtype float32] [--ways eager,graphs,compiled]
                         [--long 50,200,800]

Frames lie on the device, normalised, before the clock starts; the first WARM_UP frames, on which memory fills, are not
counted. The peer runs under autocast where the type is not float32, as its authors advise. `error` is the greatest
difference of a logit from the peer's over all frames, `IoU` the least agreement of a mask.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from importlib.metadata import version

import torch
from rich.console import Console
from rich.table import Table

from bench import sam2_peer
from bench.sam2_runs import Case, Result, difference, draw, ours, peers
from engines.sam2.attend import WAYS
from engines.sam2.build import Sam2, build
from engines.sam2.graphs import GraphTracker
from engines.sam2.tracker import Tracker
from engines.sam2.variants import VARIANTS
from stream.profiling.machine import facts

LEAST = 16
"""Frames of a video: in a shorter one the peer counts its pointers' distance in parts of the video's length."""
KINDS = ("eager", "graphs", "compiled", "compiled-graphs")
WAYS_HELP = "eager, graphs, compiled, compiled-graphs; each with :ATTENTION if wished (masked, framed, narrow)"


def run(asked: argparse.Namespace) -> Iterator[tuple[Result, Result]]:
    """Pairs (a result, the peer's of the same case), the peer's own first."""
    dtype = getattr(torch, asked.peer_dtype or asked.dtype)
    peer = sam2_peer.predictor(asked.variant, image_size=asked.size, device=asked.device, compiled=asked.peer_compiled)
    cases = [(1, n) for n in asked.objects] + [(f, 2) for f in asked.feeds]
    models: dict[str, Sam2] = {}
    for feeds, objects in cases:
        case = Case(feeds, objects, draw(asked.frames, asked.size).to(asked.device))
        theirs = peers(peer, case, type(peer).__name__, dtype)
        yield theirs, theirs
        for way in asked.ways:
            kind, _, attention = way.partition(":")
            name = ("compiled" if kind.startswith("compiled") else "") + attention
            if name not in models:
                models[name] = _model(asked, attention, compiled=kind.startswith("compiled"))
            yield ours(models[name], case, f"ours, {way}", GraphTracker if "graphs" in kind else Tracker), theirs


def _model(asked: argparse.Namespace, attention: str, *, compiled: bool) -> Sam2:
    dtype, way = getattr(torch, asked.dtype), attention or "auto"
    model = build(asked.variant, image_size=asked.size, device=asked.device, dtype=dtype, attention=way)
    return model.compile(dynamic=False) if compiled else model


def grow(asked: argparse.Namespace) -> Iterator[tuple[int, float, float]]:
    """(frames, MB that ours holds, MB that the peer holds) after videos of these lengths, of 2 objects."""
    dtype = getattr(torch, asked.dtype)
    small = asked.device == "cpu"
    name, side = ("mini", 256) if small else (asked.variant, asked.size)
    peer = sam2_peer.predictor(name, image_size=side, device=asked.device)
    model = build(name, image_size=side, device=asked.device, dtype=dtype)
    for count in asked.long:
        case = Case(1, 2, draw(16, side).to(asked.device)[torch.arange(count) % 16])
        yield count, ours(model, case, "").state_mb, peers(peer, case, "", dtype).state_mb


def show(asked: argparse.Namespace) -> None:
    console = Console(width=150)
    kinds = asked.dtype + (f" (peer {asked.peer_dtype})" if asked.peer_dtype else "")
    title = f"SAM 2.1 {asked.variant} at {asked.size}, {kinds}, on {asked.device}, {asked.frames} frames"
    columns = ("feeds x objects", "way", "frames/s", "x peer", "state MB", "peak MB", "error", "IoU")
    table = Table(*columns, title=title, box=None)
    for result, theirs in run(asked):
        error, iou = difference(result.logits, theirs.logits)
        table.add_row(
            f"{result.case.feeds} x {result.case.objects}", result.way, f"{result.frames_s:.2f}",
            f"{result.frames_s / theirs.frames_s:.2f}", f"{result.state_mb:.0f}", f"{result.peak_mb:.0f}",
            f"{error:.1e}", f"{iou:.3f}",
        )  # fmt: skip
        console.print(f"{result.case.feeds} x {result.case.objects} {result.way}: {result.frames_s:.2f} frames/s")
    console.print(table)
    if asked.long:
        growth = Table("frames", "ours, MB held", "peer, MB held", title="memory of 2 objects", box=None)
        for count, mine, its in grow(asked):
            growth.add_row(str(count), f"{mine:.1f}", f"{its:.1f}")
        console.print(growth)
    for name, fact in facts().items():
        console.print(f"{name}: {fact}")
    gpu = f", {torch.cuda.get_device_name()}" if asked.device.startswith("cuda") else ""
    console.print(f"torch {torch.__version__}, sam2 {version('sam2')}, {torch.get_num_threads()} threads{gpu}")


def _wrong(asked: argparse.Namespace) -> str:
    """What cannot be measured, in a line; empty where all can."""
    if asked.variant not in VARIANTS:
        return f"--variant {asked.variant}: there are {', '.join(VARIANTS)}"
    if asked.size < 128 or asked.size % 128:
        return f"--size {asked.size}: take a multiple of 128"
    if any(n < 1 for n in (*asked.objects, *asked.feeds, *asked.long)):
        return "--objects, --feeds and --long: take 1 or more"
    for way in asked.ways:
        kind, _, attention = way.partition(":")
        if kind not in KINDS or (attention and attention not in WAYS):
            return f"--ways {way}: {WAYS_HELP}"
    return ""


def _numbers(text: str) -> list[int]:
    return [int(n) for n in text.split(",") if n]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cuda = torch.cuda.is_available()
    ways = "eager,graphs:masked,graphs:framed,graphs:narrow,compiled-graphs:framed" if cuda else "eager"
    parser.add_argument("--device", default="cuda" if cuda else "cpu")
    parser.add_argument("--variant", default="tiny")
    parser.add_argument("--size", type=int, default=1024 if cuda else 512)
    parser.add_argument("--objects", type=_numbers, default=[1, 4, 16])
    parser.add_argument("--feeds", type=_numbers, default=[8])
    parser.add_argument("--frames", type=int, default=100 if cuda else 18)
    kinds = ("float32", "bfloat16", "float16")
    parser.add_argument("--dtype", default="bfloat16" if cuda else "float32", choices=kinds)
    parser.add_argument("--peer-dtype", choices=kinds, help="the peer's, where it is to be another")
    parser.add_argument("--ways", type=lambda t: t.split(","), default=ways.split(","), help=WAYS_HELP)
    parser.add_argument("--peer-compiled", action="store_true", help="the peer's compiled class, slow to begin with")
    parser.add_argument("--long", type=_numbers, default=[50, 200, 800])
    asked = parser.parse_args()
    if asked.frames < LEAST:
        parser.error(f"--frames {asked.frames}: take {LEAST} or more")
    if wrong := _wrong(asked):
        parser.error(wrong)
    if asked.device == "cpu":
        torch.set_num_threads(min(torch.get_num_threads(), len(os.sched_getaffinity(0))))
    show(asked)


if __name__ == "__main__":
    main()
