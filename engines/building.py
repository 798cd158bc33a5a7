"""Files that engines are made of, built once and cached: ONNX exports, batched and quantized variants, plans."""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path

from engines.cache import Cache, Key
from engines.digest import sha256
from engines.errors import UserError
from engines.networks import Network
from engines.spec import EngineSpec
from engines.versions import installed

CALIBRATION = 24
"""Real inputs that int8 ranges are measured on."""
Say = Callable[[str], None]
Steps = Callable[[str, int, int], bool]


def onnx_file(network: Network, precision: str, cache: Cache, *, say: Say = lambda line: None) -> Path:
    """The ONNX file of a network at this precision, with the dynamic axes of its spec.

    say: gets a line before something is built. Raises UserError where there is no form to make it of, or what makes it
    is missing."""
    from engines import variants

    if precision not in variants.VARIANTS:
        raise UserError(f"an ONNX file has precision {', '.join(variants.VARIANTS)}, not {precision}")
    base = _base(network, cache, say)
    if precision == "fp32":
        return base
    facts = (("of", sha256(base)), ("precision", precision), ("calibration", _calibration(network, precision)),
             *_versions("onnx", "onnxruntime"))  # fmt: skip

    def make(target: Path) -> None:
        say(f"{network.name}: {precision}")
        variants.write(base, target, precision, lambda: network.real(CALIBRATION) if network.real else ())

    return cache.build(Key(f"{network.name}-{precision}", ".onnx", facts), make)


def plan_file(
    network: Network, precision: str, cache: Cache, device: str, *, say: Say = lambda line: None,
    progress: Steps | None = None,
) -> Path:  # fmt: skip
    """The TensorRT plan of a network for the GPU `device`. Raises UserError where TensorRT or the GPU is missing."""
    from engines.backends import trt
    from engines.backends.torch_backend import gpu_name

    release, gpu = trt.version(), gpu_name(device)
    source = onnx_file(network, precision, cache, say=say)
    facts = (("of", sha256(source)), ("precision", precision), ("axes", _axes(network.spec)), ("tensorrt", release),
             ("gpu", gpu))  # fmt: skip
    timing = f"timing-{gpu}-{release}.cache".replace(" ", "-").replace("/", "-")

    def make(target: Path) -> None:
        say(f"{network.name}: TensorRT {release} for {gpu}")
        # Builders side by side would disturb each other's timings: one at a time also for that.
        with cache.locked(timing):
            known = cache.folder / timing
            plan, learnt = trt.build_plan(
                source, network.spec, timing=known.read_bytes() if known.is_file() else b"", progress=progress
            )
            cache.write(timing, learnt)
        target.write_bytes(plan)

    return cache.build(Key(f"{network.name}-{precision}", ".plan", facts), make)


def _base(network: Network, cache: Cache, say: Say) -> Path:
    """The float32 file with the spec's dynamic axes: exported from the module, or the catalogue's made dynamic."""
    spec, facts = network.spec, (("weights", network.spec.weights), ("axes", _axes(network.spec)))
    if network.module is not None:
        module = network.module

        def export(target: Path) -> None:
            from engines.export import export_onnx

            say(f"{network.name}: export to ONNX")
            export_onnx(module(), spec, target)

        return cache.build(Key(f"{spec.name}-export", ".onnx", (*facts, *_versions("torch", "onnxscript"))), export)
    if network.onnx is None:
        raise UserError(f"{network.name} has no ONNX form here: put it into STREFER_MODELS (strefer engines list)")
    if not spec.batch:
        return network.onnx
    source = network.onnx

    def widen(target: Path) -> None:
        from engines.variants import dynamic_batch

        say(f"{network.name}: dynamic batch axis")
        dynamic_batch(source, target, spec.batch)

    return cache.build(Key(f"{spec.name}-batch", ".onnx", (*facts, *_versions("onnx"))), widen)


def _axes(spec: EngineSpec) -> str:
    return " ".join(f"{a.name}={'..'.join(map(str, a.sizes))}" for a in spec.axes)


def _calibration(network: Network, precision: str) -> str:
    return network.calibration() if precision == "int8" and network.calibration else ""


def _versions(*packages: str) -> tuple[tuple[str, str], ...]:
    return (*((package, installed(package)) for package in packages), ("machine", platform.machine()))
