"""`strefer engines`, as a user types it."""

from __future__ import annotations

from pathlib import Path

import pytest

from engines import compare
from stream.cli import main
from tests.media import samples
from tests.running import model_folder


@pytest.fixture(autouse=True)
def folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("STREFER_MODELS", str(model_folder()))
    monkeypatch.setenv("STREFER_SAMPLES", str(samples()))
    monkeypatch.setenv("STREFER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_list_build_list(capsys: pytest.CaptureFixture[str], folders: Path) -> None:
    assert main(["engines", "list"]) == 0
    out = capsys.readouterr().out
    assert "blazepose-full one person's mask and 33 landmarks" in " ".join(out.split())
    assert "onnx, tflite" in out
    assert str(folders / "engines") in out
    assert main(["engines", "build", "person-reid-0287", "--backend", "onnxruntime"]) == 0
    assert capsys.readouterr().out == f"1 file in {folders / 'engines'}\n"
    assert main(["engines", "list"]) == 0
    (built,) = (folders / "engines").glob("*.onnx")
    assert built.name.removeprefix("person-reid-0287-") in capsys.readouterr().out


@pytest.mark.slow
def test_verify_prints_errors_on_random_and_real_inputs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["engines", "verify", "blazepose-full", "--random", "2", "--real", "3"]) == 0
    out, err = capsys.readouterr()
    lines = [line.split() for line in out.splitlines()[1:]]
    assert {(words[1], words[3], words[4]) for words in lines} == {
        (b, n, k) for b in ("onnxruntime/CPU", "litert") for n, k in (("2", "random"), ("3", "real"))
    }
    assert {words[-1] for words in lines} == {"ok"}
    assert len(lines) == 2 * 2 * 5
    assert err.count("tensorrt: TensorRT is not installed") == 1


def test_an_error_over_the_bound_is_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["engines", "verify", "blazepose-full", "--backend", "litert", "--random", "0", "--real", "1"]
    with pytest.raises(SystemExit) as caught:
        main([*command, "--bound", "1e-9"])
    assert caught.value.code == 1
    out, err = capsys.readouterr()
    assert "OVER" in out
    assert err.endswith("some errors are over 1e-09 of the output's largest magnitude\n")


def test_bench(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["engines", "bench", "person-reid-0287", "--backend", "onnxruntime-cpu", "--batch", "2", "--seconds", "0"]
    assert main(command) == 0
    (line,) = capsys.readouterr().out.splitlines()[1:]
    assert line.split()[:4] == ["person-reid-0287", "onnxruntime/CPU", "fp32", "2"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["verify", "yolo"], "strefer: no engine 'yolo'; there are yolox-nano"),
        (["verify", "yolox-nano", "--backend", "tensorrt"], "strefer: TensorRT is not installed: pip install"),
        (["verify", "--backend", "tensorrt"], "strefer: tensorrt: TensorRT is not installed"),
        (["bench", "yolox-nano", "--backend", "torch"], "strefer: yolox-nano has no torch form: take onnxruntime"),
        (["bench", "yolox-nano", "--backend", "onnxruntime-cuda", "--device", "cuda"],
         "strefer: this onnxruntime has no CUDA provider: pip install onnxruntime-gpu"),
        (["verify", "--device", "cuda"], "strefer: onnxruntime: this onnxruntime has no CUDA provider: pip install"),
        (["bench", "fastestdet", "--backend", "onnxruntime", "--device", "cuda:1"], "this onnxruntime has no CUDA"),
        (["verify", "blazepose-full", "--backend", "litert", "--device", "cuda"],
         "strefer: litert runs on the CPU: take --device cpu"),
        (["verify", "fastestdet", "--backend", "onnxruntime-cpu", "--device", "cuda"],
         "strefer: onnxruntime-cpu runs on the CPU: take --device cpu"),
        (["build", "blazepose-full", "--backend", "litert", "--precision", "fp16"], "and LiteRT runs it as it is"),
        (["build", "--backend", "nothing"], "'nothing' is not one of 'torch'"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line_and_exit_code_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["engines", *arguments]) == 2
    line = capsys.readouterr().err.strip()
    assert message in line
    assert "\n" not in line


def test_without_clips(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STREFER_SAMPLES")
    assert main(["engines", "verify", "fastestdet", "--backend", "onnxruntime", "--random", "1"]) == 0
    assert "fastestdet: no real inputs (they want clips in STREFER_SAMPLES" in capsys.readouterr().err


def test_without_networks(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STREFER_MODELS", str(tmp_path))
    assert main(["engines", "verify"]) == 2
    assert capsys.readouterr().err.strip() == "strefer: no network is here: strefer models pull"


def test_bounds_are_for_every_precision() -> None:
    from engines.opening import PRECISIONS

    assert set(compare.BOUNDS) == set(PRECISIONS)
