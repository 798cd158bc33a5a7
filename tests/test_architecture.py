"""Imports point one way, and each native dependency stays in the few files that own it."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("stream", "kernels", "engines", "producers", "instruct")

# What a package of ours may import of ours. `producers` and `instruct` know the worker by its contracts only.
MAY_IMPORT = {
    "kernels": {"kernels"},
    "engines": {"engines", "kernels"},
    "producers": {"producers", "engines", "kernels", "stream.chunk", "stream.log", "stream.cli_log", "stream.tracing"},
    "instruct": {
        "instruct",
        "producers.cli",
        "stream.cli_log",
        "stream.log",
        "engines.errors",
        "engines.finite",
        "engines.chat",
        "engines.store",
        "kernels.rle",
        "stream.events",
        "stream.mended",
        "stream.story",
        "stream.cli_models",
    },
}
# Stages and what they are made of: policy, that knows no log and no command line.
STAGES = (
    "ask associate attach background blocks body clip closeup colours company cuts detect draft drift entity "
    "expression flow gesture lexicon look lookback masklets motion movement outline overlap parse parse_llm patch "
    "phrases picture pipeline pressure reading recognize recognize_vlm redraw refer refer_vlm region reidentify "
    "relation sam timeline traits transcribe transcribe_vlm view"
).split()
OUTSIDE_STAGES = ("kafka", "sqlite3", "stream.log", "stream.worker", "stream.annotate", "producers", "click", "rich")
# Where each heavy dependency may be imported; a missing one is then told in one place.
HOMES = {
    "ai_edge_litert": {"engines/backends/litert.py"},
    "inflect": set(),  # tests hold the lexicon against it; its import takes a second
    "kafka": {
        "stream/log/kafka/__init__.py",
        "stream/log/kafka/clients.py",
        "stream/log/kafka/consumer.py",
        "stream/log/kafka/reader.py",
        "stream/log/kafka/topics.py",
        "stream/log/kafka/transaction.py",
    },
    "fastapi": {"stream/viewer/server.py"},
    "fsspec": {"stream/log/kafka/claims.py"},
    "lark": {"stream/phrases.py"},
    "matplotlib": {"stream/profiling/report.py"},
    "nvidia": {"stream/decode/dali.py"},
    "onnx": {"engines/variants.py"},
    # ort.py runs networks, ort_counting.py once, for its profile; variants.py takes its converters to float16 and int8.
    "onnxruntime": {"engines/backends/ort.py", "engines/backends/ort_counting.py", "engines/variants.py"},
    "onnxruntime_ep_nv_tensorrt_rtx": {"engines/backends/ort.py"},
    "onnxscript": {"engines/export.py"},
    "openai": {"engines/chat.py"},
    "opentelemetry": {"stream/tracing.py"},
    "pyarrow": {"instruct/formats/parquet.py"},
    "pycocotools": {"kernels/rle.py"},
    "pynvml": {"stream/gpu_metrics.py"},
    "requests": {"engines/download.py"},
    "safetensors": {"engines/detectors/hub.py"},
    "scenedetect": {"stream/cuts.py"},
    "supervision": {"stream/overlay.py"},
    "numba": {"kernels/cpu/rle.py"},
    "tokenizers": {"engines/imagetext.py"},
    "tensorrt": {"engines/backends/trt.py"},
    "sam2": {"engines/sam2/build.py"},
    "transformers": {"engines/detectors/hub.py"},
    "torch": {
        "engines/backends/graphs.py",
        "engines/backends/ort.py",
        "engines/backends/torch_backend.py",
        "engines/backends/torch_counting.py",
        "engines/backends/trt.py",
        "engines/detectors/detector.py",
        "engines/detectors/modules.py",
        "engines/detectors/opening.py",
        "engines/export.py",
        "engines/sam2/attend.py",
        "engines/sam2/attention.py",
        "engines/sam2/backward.py",
        "engines/sam2/bank.py",
        "engines/sam2/build.py",
        "engines/sam2/decoder.py",
        "engines/sam2/encoder.py",
        "engines/sam2/export.py",
        "engines/sam2/graphs.py",
        "engines/sam2/hiera.py",
        "engines/sam2/layers.py",
        "engines/sam2/memory.py",
        "engines/sam2/onednn.py",
        "engines/sam2/prompt.py",
        "engines/sam2/seen.py",
        "engines/sam2/segmenter.py",
        "engines/sam2/snapshot.py",
        "engines/sam2/step.py",
        "engines/sam2/tracker.py",
        "engines/sam2/weights.py",
        "stream/cli_profiling.py",
        "stream/decode/dali.py",
        "stream/profiling/kernel_calls.py",
        "stream/profiling/record.py",
        "stream/profiling/roof.py",
        "stream/profiling/run.py",
        "kernels/rle.py",
        "kernels/iou.py",
        "kernels/preprocess.py",
        "kernels/gpu/attend.py",
        "kernels/gpu/rle.py",
        "kernels/gpu/iou.py",
        "kernels/gpu/preprocess.py",
        "kernels/gpu/table.py",
        "kernels/reference/attend.py",
        "kernels/reference/rle.py",
        "kernels/reference/iou.py",
        "kernels/reference/preprocess.py",
    },
    "uvicorn": {"stream/viewer/serve.py"},
    "triton": {"kernels/gpu/attend.py", "kernels/gpu/rle.py", "kernels/gpu/iou.py", "kernels/gpu/preprocess.py"},
}


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported(path: Path) -> tuple[str, ...]:
    """Every module a file imports, anywhere in it: `from a import b` counts as a.b, which holds both readings."""
    return _read(path)[0]


@cache
def _read(path: Path) -> tuple[tuple[str, ...], frozenset[str]]:
    """What a file imports, and the names of all attributes it asks for: parsing is what takes time, so once."""
    modules: list[str] = []
    attributes = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            modules += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            modules += (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute):
            attributes.add(node.attr)
    return tuple(modules), frozenset(attributes)


def within(module: str, roots: set[str] | tuple[str, ...]) -> bool:
    return any(f"{module}.".startswith(f"{root}.") for root in roots)


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_point_one_way(package: str) -> None:
    for path in sources(package):
        ours = [m for m in imported(path) if within(m, PACKAGES)]
        assert not [m for m in ours if not within(m, MAY_IMPORT[package])], path


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_knows_neither_log_nor_command_line(stage: str) -> None:
    path = ROOT / "stream" / f"{stage}.py"
    assert not [m for m in imported(path) if within(m, OUTSIDE_STAGES)]


@pytest.mark.parametrize("dependency", HOMES)
def test_a_heavy_dependency_has_one_home(dependency: str) -> None:
    users = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in sources(package)
        if any(within(m, (dependency,)) for m in imported(path))
    }
    assert users == HOMES[dependency]


def test_only_the_store_reads_the_environment() -> None:
    readers = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in sources(package)
        if any(within(m, ("os.environ", "os.getenv")) for m in imported(path)) or {"environ", "getenv"} & _read(path)[1]
    }
    assert readers == {"engines/store.py"}
