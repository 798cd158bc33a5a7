"""`strefer doctor` on this machine, and with each part taken away."""

from __future__ import annotations

import ctypes
import importlib
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner
from packaging.requirements import Requirement

from engines.catalogue import MODELS, find
from engines.store import Store
from stream.doctor import Row, checks, compute, doctor, examine, extras, media, networks, system, verdict
from stream.log.sqlite import SqliteLog
from stream.log.sqlite.schema import FILE

Take = Callable[..., None]


@pytest.fixture
def take_away(monkeypatch: pytest.MonkeyPatch) -> Take:
    """Make importing a module fail, as if it were not installed or with the error given."""
    real = importlib.import_module

    def take(module: str, error: Exception | None = None) -> None:
        def import_module(name: str, package: str | None = None) -> Any:
            if name == module:
                raise error or ModuleNotFoundError(f"No module named {name!r}", name=name.split(".")[0])
            return real(name, package)

        monkeypatch.setattr("importlib.import_module", import_module)

    return take


def by_name(rows: list[Row]) -> dict[str, Row]:
    return {row.name: row for row in rows}


def test_what_this_project_needs_works_here(tmp_path: Path) -> None:
    rows = by_name(examine(checks(tmp_path)))
    needed = ["Python", "log folder", "PyAV", "PyAV decoders", "PyAV encoders", "DALI cpu", "ONNX Runtime", "ORT CPU"]
    assert [rows[name].state for name in [*needed, "LiteRT"]] == ["ok"] * 9
    assert not [row for row in rows.values() if "check failed" in row.detail]
    assert all(row.mend for row in rows.values() if row.state == "missing")


@pytest.mark.parametrize(
    ("module", "check", "name", "state", "mend"),
    [
        ("av", media.pyav, "PyAV", "missing", "pip install av"),
        ("nvidia.dali", media.dali, "DALI gpu", "off", "pip install nvidia-dali-cuda130"),
        ("onnxruntime", compute.onnxruntime, "ONNX Runtime", "missing", "pip install onnxruntime"),
        ("ai_edge_litert.interpreter", compute.litert, "LiteRT", "missing", "pip install ai-edge-litert"),
        ("torch", compute.torch, "torch", "off", "pip install torch"),
        ("tensorrt", compute.tensorrt, "TensorRT", "off", "tensorrt-cu13"),
    ],
)
def test_a_missing_module_is_one_row_with_its_mend(
    take_away: Take, module: str, check: Callable[[], list[Row]], name: str, state: str, mend: str
) -> None:
    take_away(module)
    row = by_name(check())[name]
    assert row.state == state
    assert row.detail.startswith("not installed")
    assert mend in row.mend


@pytest.mark.parametrize(
    ("package", "name", "mend"),
    [
        ("safetensors", "[detectors]", 'pip install ".[detectors]"'),
        ("opentelemetry-sdk", "[tracing]", 'pip install ".[tracing]"'),
        ("websockets", "[view]", 'pip install ".[view]"'),
        ("kafka-python", "[kafka]", 'pip install ".[kafka]"'),
        ("nvidia-ml-py", "NVML", 'pip install "nvidia-ml-py"'),
    ],
)
def test_a_package_of_an_extra_that_is_missing_is_named_with_its_mend(
    monkeypatch: pytest.MonkeyPatch, package: str, name: str, mend: str
) -> None:
    assert {row.state for row in extras.extras()} == {"ok"}, "the tests' environment has all of them"

    monkeypatch.setattr(extras, "installed", lambda distribution: "" if distribution == package else "1.0")
    (row,) = [row for row in extras.extras() if row.state != "ok"]
    assert (row.name, row.state, row.mend) == (name, "off", mend)
    assert row.detail.startswith(f"{package} not installed, for ")


def test_the_extras_are_those_that_are_offered() -> None:
    """Of pyproject.toml: what cpu, gpu, tensorrt and sam2 bring has rows of its own, and so has torch."""
    with (Path(__file__).parents[1] / "pyproject.toml").open("rb") as f:
        offered = tomllib.load(f)["project"]["optional-dependencies"]
    named = {extra: {Requirement(r).name for r in wanted} - {"torch"} for extra, wanted in offered.items()}
    for elsewhere in ("cpu", "gpu", "tensorrt", "sam2", "dev"):
        del named[elsewhere]
    assert {extra: set(packages) for extra, (_, packages) in extras.EXTRAS.items()} == named


def test_a_module_whose_library_is_missing_says_so(take_away: Take) -> None:
    take_away("tensorrt", ImportError("libnvinfer.so.11: cannot open shared object file\nand more"))
    (row,) = compute.tensorrt()
    assert row.detail == "ImportError: libnvinfer.so.11: cannot open shared object file"


def test_a_codec_that_pyav_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media, "DECODERS", (*media.DECODERS, ("vvc9", "no-such-codec")))
    row = by_name(media.pyav())["PyAV decoders"]
    assert (row.state, row.detail) == ("warn", "without vvc9")


def test_a_provider_that_is_listed_but_does_not_load_is_no_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    listed = ["CUDAExecutionProvider", "TensorrtExecutionProvider", "CPUExecutionProvider"]

    def loaded(ort: Any, provider: str) -> list[str]:
        if provider.startswith("Tensorrt"):
            raise RuntimeError("libnvinfer.so.10: cannot open\nsecond line")
        return ["CPUExecutionProvider"]

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: listed)
    monkeypatch.setattr(compute, "_session_providers", loaded)
    rows = by_name(compute.onnxruntime())
    assert rows["ORT CUDA"].state == "warn"
    assert rows["ORT CUDA"].detail == "listed, but a session falls back to the CPU"
    assert rows["ORT Tensorrt"].detail == "RuntimeError: libnvinfer.so.10: cannot open"
    assert "libnvinfer.so.10" in rows["ORT Tensorrt"].mend
    assert rows["ORT CPU"].state == "ok"


def test_the_hand_written_model_runs() -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(compute.relu_model(), providers=["CPUExecutionProvider"])
    for value, expected in ((-2.0, 0.0), (3.0, 3.0)):
        assert session.run(None, {"x": np.array([value], np.float32)})[0].tolist() == [expected]


def test_both_onnxruntimes_half_removed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute, "load", lambda module, distribution: (SimpleNamespace(), "1.0"))
    (row,) = compute.onnxruntime()
    assert row.state == "missing"
    assert "never both" in row.mend


@pytest.mark.parametrize(
    ("cuda", "available", "driver", "state", "detail"),
    [
        (None, False, True, "warn", "a CPU build"),
        (None, False, False, "off", "a CPU build"),
        ("13.0", False, True, "warn", "built for CUDA 13.0, no GPU found"),
        ("13.0", False, False, "off", "built for CUDA 13.0, no GPU found"),
        ("13.0", True, True, "ok", "CUDA 13.0: H200, H200"),
    ],
)
def test_torch_says_whether_it_has_a_gpu(
    monkeypatch: pytest.MonkeyPatch, cuda: str | None, available: bool, driver: bool, state: str, detail: str
) -> None:
    monkeypatch.setattr(compute, "has_driver", lambda: driver)
    fake = SimpleNamespace(
        nn=SimpleNamespace(),
        version=SimpleNamespace(cuda=cuda),
        cuda=SimpleNamespace(is_available=lambda: available, device_count=lambda: 2, get_device_name=lambda i: "H200"),
    )
    monkeypatch.setattr(compute, "load", lambda module, distribution: (fake, "2.15.0"))
    row = by_name(compute.torch())["torch CUDA"]
    assert (row.state, row.detail) == (state, detail)


def test_torch_in_pieces_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute, "load", lambda module, distribution: (SimpleNamespace(), "2.15.0"))
    assert compute.torch() == [Row("torch", "warn", "installed in pieces", "install it anew (docs/sam2.md)")]


class FakeNvml:
    """The driver's library with one GPU."""

    def __init__(self, path: str) -> None:
        self.nvmlInit_v2 = lambda: 0
        self.nvmlShutdown = lambda: 0

    def nvmlSystemGetDriverVersion(self, text: Any, size: Any) -> int:  # noqa: N802
        text.value = b"580.95.05"
        return 0

    def nvmlDeviceGetCount_v2(self, count: Any) -> int:  # noqa: N802
        count._obj.value = 1
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, index: Any, handle: Any) -> int:  # noqa: N802
        return 0

    def nvmlDeviceGetName(self, handle: Any, text: Any, size: Any) -> int:  # noqa: N802
        text.value = b"NVIDIA H200"
        return 0

    def nvmlDeviceGetMemoryInfo(self, handle: Any, memory: Any) -> int:  # noqa: N802
        memory._obj[0] = 141 << 30
        return 0


def test_gpus_are_told_by_their_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", FakeNvml)
    assert compute.gpu() == [Row("GPU 0", "ok", "NVIDIA H200, 141 GiB, driver 580.95.05")]


def test_no_driver_is_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def cdll(path: str) -> Any:
        raise OSError(path)

    monkeypatch.setattr(ctypes, "CDLL", cdll)
    (row,) = compute.gpu()
    assert (row.state, row.detail) == ("off", "no NVIDIA driver (libnvidia-ml.so.1)")


def test_the_log_folder_is_tried_and_left_as_it_was(tmp_path: Path) -> None:
    (row,) = system.log_folder(tmp_path / "new" / "log")
    assert row.state == "ok"
    assert list(tmp_path.iterdir()) == []
    (row,) = system.log_folder(Path("/proc/strefer"))
    assert (row.state, row.mend) == ("missing", "name another folder with --log")
    SqliteLog(tmp_path).close()
    assert system.log_folder(tmp_path)[0].state == "ok"
    (tmp_path / FILE).write_bytes(b"no database" * 100)
    assert "is no log" in system.log_folder(tmp_path)[0].detail


@pytest.mark.parametrize(
    ("said", "state"),
    [('openjdk version "21.0.2" 2024-01-16', "ok"), ('java version "1.8.0_392"', "warn"), ("nonsense", "warn")],
)
def test_java_wants_17(monkeypatch: pytest.MonkeyPatch, said: str, state: str) -> None:
    monkeypatch.setattr("shutil.which", lambda name: "/usr/bin/java")
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: SimpleNamespace(returncode=0, stdout="", stderr=said))
    assert system.java()[0].state == state


def test_a_network_is_here_or_can_be_pulled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STREFER_CACHE", str(tmp_path))
    monkeypatch.delenv("STREFER_MODELS", raising=False)
    rows = networks.networks()
    assert [row.name for row in rows] == [item.name for item in MODELS]
    assert {row.state for row in rows} == {"warn"}
    assert [row.mend for row in rows] == [f"strefer models pull {item.name}" for item in MODELS]


def test_a_damaged_network_is_told_to_be(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / find("yolox-nano").path
    path.parent.mkdir()
    path.write_bytes(b"half of it")
    monkeypatch.setenv("STREFER_MODELS", str(tmp_path))
    monkeypatch.setenv("STREFER_CACHE", str(tmp_path / "cache"))
    row = by_name(networks.networks())["yolox-nano"]
    assert (row.state, row.mend) == ("warn", "strefer models pull yolox-nano")
    assert row.detail.startswith(f"damaged ({path} has another sha256)")


def test_stand_ins_are_not_asked_for_where_the_detector_is_here(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    detector = next(item for item in MODELS if item.name == networks.DETECTOR)
    monkeypatch.setattr(Store, "locate", lambda self, item: tmp_path if item == detector else None)
    rows = by_name(networks.networks())
    assert rows["yolox-nano"].detail.endswith(str(tmp_path))
    assert (rows["fastestdet"].state, rows["fastestdet"].mend) == ("ok", "")
    assert rows["blazepose-full"].mend == "strefer models pull blazepose-full"


def test_a_models_folder_that_is_none_is_one_row(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STREFER_MODELS", str(tmp_path / "nowhere"))
    (row,) = networks.networks()
    assert row.state == "missing", "annotate refuses it"
    assert "STREFER_MODELS" in row.detail


def test_no_java_and_an_old_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert system.java()[0].detail.startswith("not found")
    monkeypatch.setattr("sys.version_info", (3, 10, 4, "final", 0))
    assert system.python() == [Row("Python", "missing", "3.10.4", "use Python 3.11 or 3.12")]


def test_a_check_that_breaks_is_a_row() -> None:
    def broken() -> list[Row]:
        raise KeyError("surprise")

    assert examine([("odd", broken)]) == [Row("odd", "warn", "the check failed: KeyError: 'surprise'", "report this")]


def test_the_command_prints_a_line_each_or_json(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rows = [Row("PyAV", "ok", "18.1.0"), Row("torch", "warn", "not installed [really]", "pip install torch")]
    monkeypatch.setattr("stream.doctor.checks", lambda folder: [("all", lambda: rows)])
    result = CliRunner().invoke(doctor, ["--log", str(tmp_path)])
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "ok      PyAV  18.1.0",
        "warn    torch not installed [really]  -> pip install torch",
        "profile lite is ready; the warnings concern what it does without",
    ]
    result = CliRunner().invoke(doctor, ["--json"])
    assert msgspec.json.decode(result.output, type=list[Row]) == rows
    rows.append(Row("LiteRT", "missing", "not installed", "pip install ai-edge-litert"))
    assert CliRunner().invoke(doctor, ["--json"]).exit_code == 1
    assert verdict(rows) == "profile lite cannot run: see LiteRT"
    assert verdict([Row("yolox-nano", "warn", "not here")]).startswith("profile lite runs without yolox-nano ")
    assert "or any other detector" in verdict([Row("yolox-nano", "warn", "not here")])
    stands_in = [Row("yolox-nano", "warn", "not here"), Row("fastestdet", "ok", "here")]
    assert "or any other detector" not in verdict(stands_in)
    assert verdict([Row("sam2", "off", "not installed")]) == "profile lite is ready; what is off it does without"
