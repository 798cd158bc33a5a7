"""The kernels beside what the field uses, in one run: time, ratio, bytes moved, share of the measured copy bandwidth.

    python -m bench.kernels [--device cpu|cuda] [--sizes 480p,720p,1080p,4K] [--masks 1,16,64,256] [--repeat N]

RLE: logits of 256 x 256 to the COCO RLE of the full-size masks, beside interpolate + pycocotools.encode, and beside
`sam2.utils.amg.mask_to_rle_pytorch` (where sam2 is installed). IoU: all pairs of as many masks, beside pycocotools and
the dense matrix product. Preprocessing: frames to 1024 x 1024, beside PyTorch's antialiased interpolate.
On the CPU the CPU paths are measured; Triton's interpreter is no measure of anything and is left out.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from pycocotools import mask as coco
from rich.console import Console
from rich.table import Table

from bench.machine import facts
from kernels import iou, preprocess, rle

SIZES = {"480p": (480, 854), "720p": (720, 1280), "1080p": (1080, 1920), "4K": (2160, 3840)}
LOW = 256
SIDE = 1024
FRAMES = {"480p": 8, "720p": 8, "1080p": 8, "4K": 2}
SLOWEST_S = 20.0
"""A peer whose single run takes longer is measured once."""


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement. moved: bytes that ours has to read and write, at the least."""

    job: str
    size: str
    count: int
    ours_s: float
    peers: tuple[tuple[str, float], ...]
    moved: int


def blobs(n: int, side: int, seed: int = 0) -> np.ndarray:
    """Logits [n, side, side] float32 with borders like those of a mask network."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((n, side, side)).astype(np.float32)
    return np.stack([cv2.GaussianBlur(m, (0, 0), side / 16) * 60 - 1.5 for m in noise])


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


def copy_bandwidth(device: str) -> float:
    """Bytes read and written a second by a plain copy of 256 MB."""
    a = torch.empty(256 << 20, dtype=torch.uint8, device=device)
    b = torch.empty_like(a)
    return float(2 * a.numel()) / seconds(lambda: b.copy_(a), 10, device)


def upsampled(logits: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Masks [N, H, W] bool."""
    return torch.nn.functional.interpolate(logits[:, None], size, mode="bilinear", align_corners=False)[:, 0] > 0


def by_pycocotools(logits: torch.Tensor, size: tuple[int, int]) -> list[Any]:
    masks = upsampled(logits, size).cpu().numpy().view(np.uint8)
    return [coco.encode(np.asfortranarray(m)) for m in masks]


def measure_rle(name: str, count: int, repeat: int, device: str) -> Row:
    size, logits = SIZES[name], torch.from_numpy(blobs(count, LOW)).to(device)
    peers = [("interpolate + pycocotools", seconds(lambda: by_pycocotools(logits, size), repeat, device))]
    try:
        from sam2.utils.amg import coco_encode_rle, mask_to_rle_pytorch
    except ImportError:
        pass
    else:

        def by_sam2() -> list[Any]:
            return [coco_encode_rle(r) for r in mask_to_rle_pytorch(upsampled(logits, size))]

        peers.append(("interpolate + sam2's", seconds(by_sam2, repeat, device)))
    ours = seconds(lambda: rle.encode_logits(logits, size, offset=0), repeat, device)
    return Row("logits to RLE", name, count, ours, tuple(peers), logits.numel() * 4)


def measure_iou(name: str, count: int, repeat: int, device: str) -> Row:
    h, w = SIZES[name]
    masks = upsampled(torch.from_numpy(blobs(count, LOW)), (h, w)).to(device)

    def dense() -> torch.Tensor:
        flat = masks.reshape(count, -1).to(torch.float16 if device == "cuda" else torch.float32)
        both = (flat @ flat.T).float()
        area = flat.sum(1, dtype=torch.float32)
        return both / (area[:, None] + area[None] - both)

    encoded = [coco.encode(np.asfortranarray(m)) for m in masks.cpu().numpy().view(np.uint8)]
    peers = (
        ("dense product", seconds(dense, repeat, device)),
        ("pycocotools, encoded before", seconds(lambda: coco.iou(encoded, encoded, [0] * count), repeat, device)),
    )
    ours = seconds(lambda: iou.mask_iou(masks, masks), repeat, device)
    return Row("mask IoU, all pairs", name, count, ours, peers, 2 * masks.numel())


def measure_preprocess(name: str, repeat: int, device: str) -> Row:
    h, w = SIZES[name]
    frames = torch.randint(0, 256, (FRAMES[name], h, w, 3), dtype=torch.uint8, device=device)

    mean, deviation = (torch.tensor(v, device=device)[:, None, None] for v in preprocess.IMAGENET)

    def plain() -> torch.Tensor:
        x = frames.permute(0, 3, 1, 2).float()
        small = torch.nn.functional.interpolate(x, (SIDE, SIDE), mode="bilinear", antialias=True)
        return ((small - mean) / deviation).half()

    peers = (("interpolate, then normalise", seconds(plain, repeat, device)),)
    ours = seconds(lambda: preprocess.preprocess([frames], SIDE, dtype=torch.float16), repeat, device)
    return Row("preprocess", name, len(frames), ours, peers, frames.numel() + len(frames) * 3 * SIDE * SIDE * 2)


def show(rows: Sequence[Row], bandwidth: float, device: str) -> None:
    columns = ("job", "size", "count", "ours ms", "peer ms", "ours is quicker by", "MB to move", "of copy speed")
    table = Table(*columns, title=f"kernels on {device}; a copy moves {bandwidth / 1e9:.1f} GB/s", box=None)
    for row in rows:
        share = row.moved / row.ours_s / bandwidth
        table.add_row(
            row.job, row.size, str(row.count), f"{row.ours_s * 1e3:.2f}",
            "\n".join(f"{s * 1e3:.2f} {name}" for name, s in row.peers),
            "\n".join(f"{s / row.ours_s:.2f} x" for _, s in row.peers), f"{row.moved / 1e6:.1f}", f"{share:.1%}",
        )  # fmt: skip
    console = Console(width=140)
    console.print(table)
    for name, fact in facts().items():
        console.print(f"{name}: {fact}")
    console.print(f"torch {torch.__version__}" + (f", {torch.cuda.get_device_name()}" if device == "cuda" else ""))


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
    rows = [measure_rle(s, n, asked.repeat, asked.device) for s in sizes for n in counts]
    rows += [measure_iou(s, n, asked.repeat, asked.device) for s in sizes for n in counts if n > 1]
    rows += [measure_preprocess(s, asked.repeat, asked.device) for s in sizes]
    show(rows, copy_bandwidth(asked.device), asked.device)


if __name__ == "__main__":
    main()
