"""Checks of the extras by their packages' metadata: to import them takes seconds."""

from __future__ import annotations

from engines.versions import installed
from stream.doctor.rows import Row

EXTRAS = {
    "kafka": ("the log on Kafka (--kafka)", ("kafka-python", "crc32c", "fsspec", "zstandard")),
    "view": ("strefer view", ("fastapi", "uvicorn", "websockets")),
    "detectors": ("RF-DETR and Grounding DINO, of profile sam2", ("transformers", "safetensors")),
    "tracing": ("traces (--traces)", ("opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http")),
    "vlm": ("models by HTTP (--vlm, --llm)", ("openai",)),
    "imagetext": ("an image-text network of yours", ("tokenizers",)),
    "dataset": ("pairs in Parquet", ("pyarrow",)),
    "engines": ("strefer engines build", ("onnx", "onnxscript", "sympy")),
}
"""What each is for, and its packages but torch, which has a row of its own."""


def extras() -> list[Row]:
    rows = [_row(f"[{name}]", what, packages, f".[{name}]") for name, (what, packages) in EXTRAS.items()]
    # Alone, for the extra it belongs to (gpu) brings another onnxruntime.
    return [*rows, _row("NVML", "figures of GPUs in /metrics and strefer profile", ("nvidia-ml-py",), "nvidia-ml-py")]


def _row(name: str, what: str, packages: tuple[str, ...], install: str) -> Row:
    found = {package: installed(package) for package in packages}
    if lacking := [package for package, there in found.items() if not there]:
        return Row(name, "off", f"{', '.join(lacking)} not installed, for {what}", f'pip install "{install}"')
    return Row(name, "ok", ", ".join(f"{package} {there}" for package, there in found.items()))
