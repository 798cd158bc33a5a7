"""Compile every Triton kernel for every GPU generation, without a GPU, and print what each takes, as JSON lines.

`python -m tests.kernels.compiled`, in a process without TRITON_INTERPRET (it is read when Triton is imported).
Registers and spills are what the assembler that comes in Triton's wheel says of the PTX.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from kernels.gpu import attend, iou, preprocess, rle

ARCHITECTURES = (80, 86, 89, 90, 100, 120)
WHOLE = (80, 90, 120)
"""Those for which each configuration of a kernel is compiled: the oldest, what servers have, the newest. The others are
their neighbours, with the same instructions or some more: one configuration of each kernel for them."""

AXES = {"first_x": "*i32", "weight_x": "*fp32", "first_y": "*i32", "begin_y": "*i32", "weight_y": "*fp32"}
SIZES = dict.fromkeys(("h", "w", "out_h", "out_w", "groups", "rows", "segments"), "i32")


def configurations(arch: int) -> list[tuple[str, Any, dict[str, str], dict[str, Any]]]:
    """Name, kernel, signature and constants of everything that is launched on a GPU of this generation."""
    found: list[tuple[str, Any, dict[str, str], dict[str, Any]]] = []
    walk = {"GROUP": rle.GROUP, "BX": rle.COLUMNS, "num_warps": 1}
    for kind in ("fp16", "bf16", "fp32", "u8"):
        head = {"logits": f"*{kind}", "limits": "*fp32", **AXES, "counts": "*i32"}
        low = {"logits": f"*{kind}", "limits": "*fp32", "h": "i32", "w": "i32", "groups": "i32"}
        found.append((f"rle._limits {kind}", rle._limits, low, {"GROUP": rle.GROUP, "BX": rle.BLOCK_X}))
        count = {**head, "parts": "*i32", **SIZES, "threshold": "fp32", "offset": "fp32"}
        write = {
            **head, "places": "*i32", "out": "*i32", **SIZES, "masks": "i32", "threshold": "fp32", "room": "i32",
        }  # fmt: skip
        found.append((f"rle._count {kind}", rle._count, count, walk))
        found.append((f"rle._write {kind}", rle._write, write, walk))
    pointers = dict.fromkeys(("counts", "parts", "places", "cursor", "out"), "*i32")
    place = {**pointers, "slots": "i32", "n_parts": "i32"}
    found.append(("rle._place", rle._place, place, {"BLOCK": rle.BLOCK, "num_warps": 8}))
    runs = {"starts": "*i32", "offsets": "*i64", "out": "*u8", "out_h": "i32", "out_w": "i32", "steps": "i32"}
    found.append(("rle._fill", rle._fill, runs, {"BY": 16, "BX": 64}))
    wide = [(128, 1)] if iou.widest((arch // 10, 0)) == 128 else []
    for side, aligned in [(16, 0), (16, 1), (32, 1), (64, 1), *wide]:
        for own in (0, 1):
            constants = {"TILE": side, "PIXELS": iou.PIXELS, "ALIGNED": aligned, "OWN": own}
            options = {"num_warps": iou.warps(side), "num_stages": iou.stages(side)}
            tiles = {"table": "*i64", "out": "*i32"}
            found.append((f"iou._pairs {side} {aligned} {own}", iou._pairs, tiles, {**constants, **options}))
    levels = dict.fromkeys(("mean_r", "mean_g", "mean_b", "over_r", "over_g", "over_b", "pad"), "fp32")
    for kind in ("fp16", "bf16", "fp32"):
        every = (("rgb", 2), ("rgb", 8), ("rgb", 0), ("nv12", 4)) if kind == "fp16" else ()
        for frames, taps in (("rgb", 4), ("mixed", 4), *every):
            to = {"table": "*i64", "colours": "*fp32", "out": f"*{kind}", "side": "i32", "rows": "i32", "taps": "i32"}
            constants = {"KIND": frames, "TAPS": taps, "BX": preprocess.COLUMNS, "num_warps": preprocess.COLUMNS // 32}
            found.append((f"preprocess {kind} {frames} {taps}", preprocess._preprocess, {**to, **levels}, constants))
    for kind, dtype in (("fp16", torch.float16), ("bf16", torch.bfloat16)):
        parts = dict.fromkeys(("query", "keys", "values"), f"*{kind}")
        rest = {"alive": "*u8", "seen": "*fp32", "sums": "*fp32", "memories": "i32", "cells": "i32", "scale": "fp32"}
        for shared in (0, attend.SHARED_BYTES):
            queries, columns, warps, stages = attend.tile(dtype, shared)
            constants = {"D": 256, "V": 64, "BQ": queries, "BK": columns, "PRECISION": "ieee"}
            constants |= {"num_warps": warps, "num_stages": stages, "aligned": 1}
            found.append((f"attend {kind} {queries}", attend._attend, {**parts, **rest}, constants))
    return found


def compile_one(kernel: Any, signature: dict[str, str], constants: dict[str, Any], arch: int) -> dict[str, int]:
    """Registers, spilled bytes and shared memory of one kernel."""
    options = {name: value for name, value in constants.items() if name in ("num_warps", "num_stages")}
    # As PyTorch's tensors are: only then are loads asynchronous, and stages take their shared memory.
    aligned = [name for name, kind in signature.items() if kind[0] == "*" and "aligned" in constants]
    attributes = {(kernel.arg_names.index(name),): [["tt.divisibility", 16]] for name in aligned}
    constants = {name: value for name, value in constants.items() if name not in (*options, "aligned")}
    kinds = {**signature, **dict.fromkeys(constants, "constexpr")}
    values = {(kernel.arg_names.index(name),): value for name, value in constants.items()}
    source = ASTSource(kernel, kinds, values, attributes)
    built = triton.compile(source, target=GPUTarget("cuda", arch, 32), options=options)
    assert built.asm["cubin"][:4] == b"\x7fELF"
    said = assembled(built.asm["ptx"])
    registers = re.search(r"Used (\d+) registers", said)
    spills = re.findall(r"(\d+) bytes spill (?:stores|loads)", said)
    assert registers, said
    assert spills, said
    return {
        "registers": int(registers[1]), "spilled": sum(map(int, spills)), "shared": int(built.metadata.shared),
        "threads": 32 * built.metadata.num_warps,
    }  # fmt: skip


def assembled(ptx: str) -> str:
    """What the assembler says of PTX."""
    target = re.search(r"\.target\s+(\w+)", ptx)
    assert target, ptx[:200]
    folder = Path(triton.__file__).parent / "backends/nvidia/bin"
    newer = folder / "ptxas-blackwell"
    assembler = newer if newer.exists() else folder / "ptxas"
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "kernel.ptx"
        source.write_text(ptx)
        done = subprocess.run(
            [assembler, "-v", f"--gpu-name={target[1]}", source, "-o", Path(name) / "kernel.cubin"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stderr


def main() -> int:
    for arch in ARCHITECTURES:
        done = set()
        for name, kernel, signature, constants in configurations(arch):
            if arch in WHOLE or kernel not in done:
                done.add(kernel)
                taken = compile_one(kernel, signature, constants, arch)
                print(json.dumps({"kernel": name, "sm": arch, **taken}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
