"""The kernels beside what the field uses, in one run: time, ratio, bytes moved, share of the measured copy bandwidth.

    python -m bench.kernels [--device cpu|cuda] [--sizes 480p,720p,1080p,4K] [--masks 1,16,64,256] [--repeat N]

RLE: logits of 256 x 256 to the COCO RLE of the full-size masks, beside interpolate + pycocotools.encode, and beside
`sam2.utils.amg.mask_to_rle_pytorch` (where sam2 is installed); of "objects", one to a mask, and of "blobs", a dozen.
IoU: all pairs of as many masks, beside pycocotools and the dense matrix product. Preprocessing: frames to 1024 x 1024,
beside PyTorch's antialiased interpolate.
On the CPU the CPU paths are measured; Triton's interpreter is no measure of anything and is left out. On a GPU "call"
is what a caller waits for, "device" what the GPU itself is busy (inputs rotate, so that they come from memory).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np
import torch
import triton
from pycocotools import mask as coco
from rich.console import Console
from rich.table import Table

from kernels import iou, preprocess, rle
from stream.profiling import roof
from stream.profiling.machine import facts

SIZES = {"480p": (480, 854), "720p": (720, 1280), "1080p": (1080, 1920), "4K": (2160, 3840)}
LOW = 256
SIDE = 1024
FRAMES = {"480p": 8, "720p": 8, "1080p": 8, "4K": 2}
Texture = Callable[[int, int, int], np.ndarray]
SLOWEST_S = 20.0
"""A peer whose single run takes longer is measured once."""


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement. moved: bytes that ours has to read and write, at the least. device_s: the GPU's own time."""

    job: str
    size: str
    count: int
    ours_s: float
    peers: tuple[tuple[str, float], ...]
    moved: int
    device_s: float | None = None


def blobs(n: int, side: int, seed: int = 0) -> np.ndarray:
    """Logits [n, side, side] float32 with borders like those of a mask network."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((n, side, side)).astype(np.float32)
    return np.stack([cv2.GaussianBlur(m, (0, 0), side / 16) * 60 - 1.5 for m in noise])


def objects(n: int, side: int, seed: int = 0) -> np.ndarray:
    """Logits [n, side, side] float32 of one thing each, 2 to 20 % of the picture, its border as uneven as a body's."""
    rng = np.random.default_rng(seed)
    rough = blobs(n, side, seed) + 1.5
    ys, xs = np.mgrid[:side, :side].astype(np.float32) / side
    found = []
    for bump in rough:
        y, x = rng.uniform(0.2, 0.8, 2)
        tall, wide = rng.uniform(0.12, 0.35), rng.uniform(0.06, 0.2)
        found.append(8 * (1 - np.hypot((ys - y) / tall, (xs - x) / wide)) + 1.5 * bump)
    return np.array(found, np.float32)


def seconds(work: Callable[[], object], repeat: int, device: str) -> float:
    """The median time of a call, after one to warm up."""
    begun = time.perf_counter()
    _synchronised(work, device)
    if time.perf_counter() - begun > SLOWEST_S:
        return time.perf_counter() - begun
    times = []
    for _ in range(repeat):
        begun = time.perf_counter()
        _synchronised(work, device)
        times.append(time.perf_counter() - begun)
    return float(np.median(times))


def _synchronised(work: Callable[[], object], device: str) -> None:
    work()
    if device == "cuda":
        torch.cuda.synchronize()


def device_seconds(works: Sequence[Callable[[], object]], device: str) -> float | None:
    """What the GPU is busy with a call, the calls in turns; None on the CPU."""
    return roof.device_seconds(works) if device == "cuda" else None


def upsampled(logits: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Masks [N, H, W] bool."""
    return torch.nn.functional.interpolate(logits[:, None], size, mode="bilinear", align_corners=False)[:, 0] > 0


def by_pycocotools(logits: torch.Tensor, size: tuple[int, int]) -> list[Any]:
    masks = upsampled(logits, size).cpu().numpy().view(np.uint8)
    return [coco.encode(np.asfortranarray(m)) for m in masks]


def measure_rle(name: str, texture: Texture, count: int, repeat: int, device: str) -> list[Row]:
    """To the runs alone, which is the GPU's part, and to the packed strings."""
    size, kind = SIZES[name], f", {texture.__name__}"
    logits = torch.from_numpy(texture(count, LOW, 0)).to(device)
    offset = 1.0 if device == "cuda" else 0.0  # the stability score costs the GPU nothing; the peers give none
    runs: list[tuple[str, float]] = []
    strings = [("interpolate + pycocotools", seconds(lambda: by_pycocotools(logits, size), repeat, device))]
    try:
        from sam2.utils.amg import coco_encode_rle, mask_to_rle_pytorch
    except ImportError:
        pass
    else:

        def by_sam2() -> list[Any]:
            return [coco_encode_rle(r) for r in mask_to_rle_pytorch(upsampled(logits, size))]

        strings.append(("interpolate + sam2's", seconds(by_sam2, repeat, device)))
        runs.append(
            ("interpolate + sam2's", seconds(lambda: mask_to_rle_pytorch(upsampled(logits, size)), repeat, device))
        )
    ours = seconds(lambda: rle.encode_logits(logits, size, offset=offset), 3 * repeat, device)
    rows = [Row("logits to RLE" + kind, name, count, ours, tuple(strings), logits.numel() * 4)]
    if device == "cuda":
        from kernels.gpu import rle as gpu

        sets = [logits] + [torch.from_numpy(texture(count, LOW, seed)).to(device) for seed in range(1, 5)]
        busy = device_seconds([partial(_to_host, s, size) for s in sets], device)
        alone = seconds(lambda: gpu.runs(logits, size, 0.0, offset, rle.CAPACITY), 10 * repeat, device)
        rows.insert(0, Row("logits to runs" + kind, name, count, alone, tuple(runs), logits.numel() * 4, busy))
    return rows


def _to_host(logits: torch.Tensor, size: tuple[int, int]) -> None:
    """What the GPU does for `encode_logits`: all launches, and the copy to the host."""
    from kernels.gpu import rle as gpu

    found = gpu.launch(logits, size, 0.0, 1.0, rle.CAPACITY)
    torch.empty(found.shape, dtype=found.dtype, pin_memory=True).copy_(found, non_blocking=True)


def measure_iou(name: str, count: int, repeat: int, device: str) -> Row:
    h, w = SIZES[name]
    masks = upsampled(torch.from_numpy(blobs(count, LOW)), (h, w)).to(device)

    def dense(kind: torch.dtype) -> torch.Tensor:
        flat = masks.reshape(count, -1).to(kind)
        both = (flat @ flat.T).float()
        area = flat.sum(1, dtype=torch.float32)
        return both / (area[:, None] + area[None] - both)

    encoded = [coco.encode(np.asfortranarray(m)) for m in masks.cpu().numpy().view(np.uint8)]
    peers = [("dense product", seconds(lambda: dense(torch.float32), repeat, device))]
    if device == "cuda":  # inexact: float16 counts to 65,504
        peers.append(("dense product, float16", seconds(lambda: dense(torch.float16), repeat, device)))
    peers.append(("pycocotools, encoded", seconds(lambda: coco.iou(encoded, encoded, [0] * count), repeat, device)))
    ours = seconds(lambda: iou.mask_iou(masks, masks), repeat, device)
    busy = device_seconds([lambda: iou.mask_iou(masks, masks)], device)
    return Row("mask IoU, all pairs", name, count, ours, tuple(peers), masks.numel(), busy)


def measure_preprocess(name: str, repeat: int, device: str) -> Row:
    h, w = SIZES[name]
    sets = [
        torch.randint(0, 256, (FRAMES[name], h, w, 3), dtype=torch.uint8, device=device)
        for _ in range(4 if device == "cuda" else 1)
    ]
    frames = sets[0]
    mean, deviation = (torch.tensor(v, device=device)[:, None, None] for v in preprocess.IMAGENET)

    def plain() -> torch.Tensor:
        x = frames.permute(0, 3, 1, 2).float()
        small = torch.nn.functional.interpolate(x, (SIDE, SIDE), mode="bilinear", antialias=True)
        return ((small - mean) / deviation).half()

    peers = (("interpolate, then normalise", seconds(plain, repeat, device)),)
    works = [partial(preprocess.preprocess, [s], SIDE, dtype=torch.float16) for s in sets]
    ours = seconds(works[0], repeat, device)
    moved = frames.numel() + len(frames) * 3 * SIDE * SIDE * 2
    return Row("preprocess", name, len(frames), ours, peers, moved, device_seconds(works, device))


def show(rows: Sequence[Row], bandwidth: float, device: str) -> None:
    columns = ("job", "size", "count", "call ms", "device ms", "peer ms", "quicker by", "MB to move", "of copy speed")
    table = Table(*columns, title=f"kernels on {device}; a copy moves {bandwidth / 1e9:.1f} GB/s", box=None)
    for row in rows:
        share = row.moved / (row.device_s or row.ours_s) / bandwidth
        table.add_row(
            row.job, row.size, str(row.count), f"{row.ours_s * 1e3:.3f}",
            "-" if row.device_s is None else f"{row.device_s * 1e3:.3f}",
            "\n".join(f"{s * 1e3:.2f} {name}" for name, s in row.peers),
            "\n".join(f"{s / row.ours_s:.2f} x" for _, s in row.peers), f"{row.moved / 1e6:.1f}", f"{share:.1%}",
        )  # fmt: skip
    console = Console(width=140)
    console.print(table)
    for name, fact in facts().items():
        console.print(f"{name}: {fact}")
    console.print(
        f"torch {torch.__version__}, triton {triton.__version__}"
        + (f", {torch.cuda.get_device_name()}" if device == "cuda" else "")
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", choices=["cpu", "cuda"])
    parser.add_argument("--sizes", default="480p,720p,1080p,4K")
    parser.add_argument("--masks", default="1,16,64,256")
    parser.add_argument("--repeat", type=int, default=5)
    asked = parser.parse_args()
    sizes, counts = asked.sizes.split(","), [int(n) for n in asked.masks.split(",")]
    unknown = [s for s in sizes if s not in SIZES]
    if unknown:
        parser.error(f"no size {unknown[0]}: choose of {', '.join(SIZES)}")
    rows = [
        row for texture in (objects, blobs) for s in sizes for n in counts
        for row in measure_rle(s, texture, n, asked.repeat, asked.device)
    ]  # fmt: skip
    rows += [measure_iou(s, n, asked.repeat, asked.device) for s in sizes for n in counts if n > 1]
    rows += [measure_preprocess(s, asked.repeat, asked.device) for s in sizes]
    show(rows, roof.copy_bandwidth(asked.device), asked.device)


if __name__ == "__main__":
    main()
