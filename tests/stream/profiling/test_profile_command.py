"""`strefer profile`: a run from a source to its page, and what is wrong in one line."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stream.cli import main
from stream.profiling.results import read
from tests.running import environment

SCENE = "synthetic:two-people?seconds=4&size=160x90&fps=10"


@pytest.fixture
def with_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREFER_MODELS", environment()["STREFER_MODELS"])


@pytest.mark.slow
@pytest.mark.usefixtures("with_weights")
def test_a_run_and_its_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["profile", SCENE, "--seconds", "3", "--warm-up", "0.5", "--feeds", "2", "--out", str(tmp_path / "first")]
    assert main(asked) == 0
    said = capsys.readouterr().out
    found = read(tmp_path / "first")
    assert f"{found.frames_s:.1f} frames/s of 160x90 over 2 feed(s), lite" in said
    assert "held in real time: " in said
    assert found.frames_s > 5
    assert found.rate == pytest.approx(10)
    assert {"detect", "masklets", "flow", "encode", "decode"} <= {s.name for s in found.stages}
    assert sum(s.share for s in found.stages) == pytest.approx(1)
    assert all(s.p50_us <= s.p95_us <= s.p99_us for s in found.stages)
    assert 1 <= len(found.loads) <= 2
    assert all(load.feeds <= 2 and load.latency_s for load in found.loads)
    assert len(found.moments) > 5
    assert all(m.resident_mb > 50 for m in found.moments)
    assert found.gpu is None
    assert [line.partition(":")[0] for line in found.missing] == [
        "GPU use, memory, power and energy", "GPU kernels, gaps and bytes copied",
    ]  # fmt: skip
    page = (tmp_path / "first/profile.html").read_text()
    assert page.count("<svg") == 5
    assert found.roofline is not None
    assert {"yolox-nano", "rle", "iou", "preprocess"} <= {p.name for p in found.roofline.points}
    for p in found.roofline.points:
        assert f" {p.name} " in said
        assert 0 < p.share < 10
    assert "roof of cpu: fp32 products" in said
    assert len(found.frame_us) >= 1
    assert not re.findall(r'(?:src|href)="(?!#)', page.replace("xlink:href", "")), "nothing is fetched"
    trace = json.loads(gzip.decompress((tmp_path / "first/stages.trace.json.gz").read_bytes()))
    assert len(trace["traceEvents"]) == sum(s.calls for s in found.stages)
    shutil.copytree(tmp_path / "first", tmp_path / "second")
    assert main(["profile", "compare", str(tmp_path / "first"), str(tmp_path / "second")]) == 0
    told = capsys.readouterr().out
    assert "masklets" in told
    assert f"{found.frames_s:.1f} frames/s, then {found.frames_s:.1f}" in told


@pytest.mark.slow
@pytest.mark.usefixtures("with_weights")
def test_profile_sam2_with_objects_besides(tmp_path: Path) -> None:
    asked = ["profile", "synthetic:two-people?seconds=2&size=128x96&fps=5", "--profile", "sam2", "--sam2", "mini@256"]
    asked += [
        "--sam2-drawn",
        "--objects",
        "3",
        "--seconds",
        "2",
        "--warm-up",
        "0",
        "--feeds",
        "1",
        "--out",
        str(tmp_path),
    ]
    assert main(asked) == 0
    found = read(tmp_path)
    assert found.profile == "sam2 mini@256 drawn"
    assert set(found.batches) == {"sam2-encode", "sam2-step"}
    assert max(map(int, found.batches["sam2-step"])) >= 3
    assert found.roofline is not None
    counted = {p.name: p for p in found.roofline.points}
    assert {"sam2-encoder", "sam2-attention", "sam2-decoder", "sam2-memory"} <= set(counted)
    assert counted["sam2-attention"].rows == 1, "on a CPU objects are taken one by one"


@pytest.mark.slow
def test_sigterm_ends_it_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """Under way is when its first temporary folder is there: the source is being recorded."""
    command = [sys.executable, "-m", "stream.cli", "profile", "synthetic:two-people?seconds=60", "--out", "out"]
    (tmp_path / "temporary").mkdir()
    running = subprocess.Popen(
        command, cwd=tmp_path, env={**environment(), "TMPDIR": str(tmp_path / "temporary")}, stderr=subprocess.PIPE
    )
    while not list((tmp_path / "temporary").glob("strefer-profile-*")):
        assert running.poll() is None
        time.sleep(0.05)
    running.send_signal(signal.SIGTERM)
    _, said = running.communicate()
    assert (running.returncode, said.decode().strip()) == (130, "strefer: stopped")
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["nowhere.mp4", "--out", "{}"], "nowhere.mp4"),
        ([SCENE], "Missing option '--out'"),
        ([SCENE, "--out", "/proc/nothing"], "cannot write to /proc/nothing"),
        ([SCENE, "--out", "{}", "--objects", "3"], "--objects goes with --profile sam2"),
        ([SCENE, "--out", "{}", "--nvtx"], "--nvtx wants PyTorch with CUDA"),
        ([SCENE, "--out", "{}", "--seconds", "0"], "is not in the range"),
        ([SCENE, "--out", "{}", "--seconds", "nan"], "no number to reckon with"),
        ([SCENE, "--out", "/etc"], "which is no profile's: choose another --out"),
        (["compare", "{}", "{}"], "strefer profile SOURCE --out DIR writes one"),
    ],
)
def test_one_line_for_what_is_wrong(
    options: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["profile", *(o.format(tmp_path) if o == "{}" else o for o in options)]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert len(said.strip().splitlines()) == 1


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["profile", "--help"], ["profile", "run", "--help"], ["profile", "compare", "--help"]):
        assert main(words) == 0
        assert "strefer profile compare" in capsys.readouterr().out
