"""The wheel holds what it must and nothing else, and runs outside the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PACKAGES = {"stream", "kernels", "engines", "producers", "instruct"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this checkout, built by the hatchling that is installed: no index is asked."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_every_file_of_the_five_packages_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as z:
        names = {name for name in z.namelist() if ".dist-info/" not in name}
    tracked = subprocess.run(["git", "ls-files", *PACKAGES], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(tracked.stdout.split()) <= names
    assert {name.split("/")[0] for name in names} == PACKAGES
    assert {Path(name).suffix for name in names} == {".py", ".html", ".js", ".css", ".svg", ".lark", ".toml"}
    assert {
        "stream/report.template.html",
        "stream/viewer/static/index.html",
        "stream/expression.lark",
        "stream/lexicon.toml",
    } <= names


def test_the_wheel_names_its_licence_and_its_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as z:
        inside = {name.partition(".dist-info/")[2]: name for name in z.namelist() if ".dist-info/" in name}
        assert {"licenses/LICENSE", "licenses/NOTICE"} <= set(inside)
        assert "strefer = stream.cli:main" in z.read(inside["entry_points.txt"]).decode()
        assert "License-Expression: Apache-2.0" in z.read(inside["METADATA"]).decode()


@pytest.mark.slow
def test_the_installed_wheel_runs_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    """In a new environment that sees this one's libraries, but not the checkout."""
    venv.create(tmp_path / "venv", symlinks=True, with_pip=False)
    python = tmp_path / "venv/bin/python"
    site = next((tmp_path / "venv/lib").glob("python*")) / "site-packages"
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")  # its own .pth files are not followed
    with zipfile.ZipFile(wheel) as z:
        z.extractall(site)
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    say = "import stream.cli, stream.report as r; print(r.__file__); raise SystemExit(stream.cli.main(['--help']))"
    done = subprocess.run([python, "-c", say], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert str(site) in done.stdout
    assert "annotate" in done.stdout


def test_help_is_quick_because_it_loads_no_heavy_library() -> None:
    heavy = "av cv2 numpy onnxruntime ai_edge_litert scipy supervision torch lark"
    say = (
        f"import sys, stream.cli; stream.cli.main(['--help']); print([m for m in {heavy.split()} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", say], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "[]"


def test_cpu_and_gpu_each_bring_one_onnxruntime() -> None:
    """Both distributions write one module: an environment may hold one of them only."""
    named = {extra: {Requirement(r).name for r in EXTRAS[extra]} for extra in EXTRAS}
    assert "onnxruntime" in named["cpu"]
    assert "onnxruntime-gpu" in named["gpu"]
    others = set(EXTRAS) - {"cpu", "gpu"}
    assert not [e for e in others if named[e] & {"onnxruntime", "onnxruntime-gpu"}]
    assert not [r for r in PROJECT["dependencies"] if Requirement(r).name.startswith("onnxruntime")]
    assert not named["cpu"] & named["gpu"]


def test_a_light_install_is_light() -> None:
    light = {Requirement(r).name for r in PROJECT["dependencies"] + EXTRAS["cpu"]}
    assert not light & {"torch", "torchvision", "triton", "sam2", "opencv-python"}


def test_the_constraints_pin_all_that_is_asked_for() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    pinned = {Requirement(line).name.lower().replace("_", "-"): Requirement(line) for line in lines}
    assert all("@" not in line and "/" not in line and "==" in line for line in lines)
    for wanted in map(Requirement, PROJECT["dependencies"] + EXTRAS["cpu"] + EXTRAS["dev"]):
        (spec,) = pinned[wanted.name.lower().replace("_", "-")].specifier
        assert wanted.specifier.contains(spec.version), f"{wanted} against {spec}"


def test_no_library_brings_a_second_opencv() -> None:
    """TrackEval asks for opencv-python, which would overwrite the headless one: it is installed without its wishes."""
    assert "opencv-python" not in {Requirement(r).name for r in requires("strefer-stream") or []}
    with pytest.raises(PackageNotFoundError):
        version("opencv-python")
