"""Everything a user can get wrong ends in one line on stderr that names cause and mend, and exit code 2."""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import pytest

from stream.cli import main
from tests.e2e.programs import ROOT
from tests.media import Recipe, add_sound, make_video
from tests.running import environment, model_folder

SCENE = "synthetic:cut?seconds=1&size=160x96&fps=10"
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2


@pytest.fixture
def strefer(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Strefer]:
    monkeypatch.setenv("STREFER_MODELS", str(model_folder()))
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield Strefer(tmp_path, capfd)
    for number, handler in handlers.items():
        signal.signal(number, handler)


class Strefer:
    """Runs commands in this process, with files of `folder` in their arguments."""

    def __init__(self, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capfd = folder, capfd

    def __call__(self, *arguments: str) -> tuple[int, list[str]]:
        """Exit code and lines on stderr; {0} in an argument is the folder."""
        code = main([a.format(self.folder) for a in arguments])
        return code, self._capfd.readouterr().err.splitlines()

    def fails(self, *arguments: str) -> str:
        """The one line of a command that a user got wrong."""
        code, lines = self(*arguments)
        assert (code, len(lines)) == (2, 1), lines
        assert lines[0].startswith("strefer: ")
        assert "Traceback" not in lines[0]
        return lines[0]


def _cut_off(folder: Path) -> None:
    whole = make_video(folder / "whole.mp4", Recipe(frames=50)).read_bytes()
    (folder / "bad.mp4").write_bytes(whole[: len(whole) // 2])


def _only_sound(folder: Path) -> None:
    with av.open(folder / "bad.mp4", mode="w") as out:
        add_sound(out, out.add_stream("aac", rate=48_000), seconds=1)


def _no_frames(folder: Path) -> None:
    with av.open(folder / "bad.mp4", mode="w") as out:
        stream = out.add_stream("libx264", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        out.start_encoding()


def _write(data: bytes) -> object:
    return lambda folder: (folder / "bad.mp4").write_bytes(data)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        pytest.param(_cut_off, "cut off", id="truncated"),
        pytest.param(_write(b""), "is empty", id="empty"),
        pytest.param(_write(b"Dear diary,\nnothing moved.\n"), "is a text file", id="text"),
        pytest.param(_write(bytes(range(256)) * 40), "is not a video", id="noise"),
        pytest.param(_only_sound, "no video track, only audio", id="audio only"),
        pytest.param(_no_frames, "no video", id="no frames"),
        pytest.param(lambda folder: None, "does not exist", id="missing"),
        pytest.param(lambda folder: (folder / "bad.mp4").mkdir(), "holds no video", id="empty folder"),
    ],
)
@pytest.mark.parametrize("command", ["annotate", "produce"])
def test_bad_source(strefer: Strefer, make: object, says: str, command: str) -> None:
    make(strefer.folder)  # type: ignore[operator]
    where = ("--out", "{0}/out") if command == "annotate" else ("--feed", "f", "--log", "{0}/out")
    line = strefer.fails(command, "{0}/bad.mp4", *where)
    assert says in line
    assert "bad.mp4" in line
    assert not (strefer.folder / "out").exists(), "nothing is left behind"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("annotate", SCENE), "Missing option '--out'"),
        (("annotate", "--out", "{0}/out"), "Missing argument"),
        (("annotate", SCENE, "--out", "{0}/out", "--frob"), "No such option '--frob'"),
        (("annotate", SCENE, "--out", "{0}/out", "--profile", "huge"), "'huge' is not one of 'lite', 'sam2'"),
        (("annotate", SCENE, "--out", "{0}/out", "--max-chunk", "soon"), "'soon' is not a valid float"),
        (("annotate", SCENE, "--out", "{0}/out", "--max-chunk", "-1"), "chunk lengths must be between"),
        (("annotate", SCENE, "--out", "{0}/out", "--query", ""), "has no words"),
        (("annotate", SCENE, "--out", "{0}/out", "--query", "!?"), "has no words"),
        (("annotate", SCENE, "--out", "{0}/out", "--query", "zorkmid"), "nothing in the query 'zorkmid' is understood"),
        (("annotate", SCENE, "--out", "{0}/out", "--query", "the dog", "--query", "xyzzy"), "'xyzzy'"),
        (("annotate", "synthetic:nobody", "--out", "{0}/out"), "no synthetic scene 'nobody'"),
        (("annotate", "{0}/*.mov", "--out", "{0}/out"), "no file matches"),
        (("annotate", "rtsp://127.0.0.1:1/x", "--out", "{0}/out"), "Connection refused"),
        (("annotate", SCENE, "--out", "/proc/nowhere"), "cannot write to /proc/nowhere"),
        (("produce", SCENE, "--feed", "a/b", "--log", "{0}/log"), "is no name for a feed"),
        (("produce", SCENE, "--feed", "a", "--log", "/proc/nowhere"), "cannot be made"),
        (("worker", "--log", "{0}/none", "--drain"), "holds no log"),
        (("worker", "--log", "/proc/nowhere"), "cannot be made"),
        (("models", "path", "nonesuch"), "no model 'nonesuch'; there are yolox-nano"),
        (("models", "frob"), "No such command 'frob'"),
        (("frobnicate",), "No such command 'frobnicate'"),
    ],
)
def test_bad_arguments(strefer: Strefer, arguments: tuple[str, ...], says: str) -> None:
    assert says in strefer.fails(*arguments)


def test_out_is_a_file(strefer: Strefer) -> None:
    (strefer.folder / "out").write_text("mine")
    assert "choose another --out" in strefer.fails("annotate", SCENE, "--out", "{0}/out")
    assert (strefer.folder / "out").read_text() == "mine"


def test_out_in_use(strefer: Strefer) -> None:
    home = strefer.folder / "out/.strefer"
    home.mkdir(parents=True)
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "another strefer annotate is writing" in strefer.fails("annotate", SCENE, "--out", "{0}/out")


def test_out_with_somebody_elses_files(strefer: Strefer) -> None:
    (strefer.folder / "out").mkdir()
    (strefer.folder / "out/summary.json").write_text("{}")
    assert "no run of ours wrote it" in strefer.fails("annotate", SCENE, "--out", "{0}/out")
    assert (strefer.folder / "out/summary.json").read_text() == "{}"


def test_models_nowhere(strefer: Strefer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREFER_MODELS", "/nowhere/at/all")
    line = strefer.fails("annotate", SCENE, "--out", "{0}/out")
    assert "STREFER_MODELS is '/nowhere/at/all'" in line


@pytest.fixture
def without_rights(tmp_path: Path) -> Iterator[Path]:
    """A folder and a video nobody may open."""
    make_video(tmp_path / "bad.mp4", Recipe(frames=5)).chmod(0)
    (tmp_path / "shut").mkdir(mode=0o500)
    yield tmp_path
    (tmp_path / "bad.mp4").chmod(0o600)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("{0}/bad.mp4", "--out", "{0}/out"), "permission denied"),
        ((SCENE, "--out", "{0}/shut/out"), "Permission denied; choose another --out"),
    ],
)
def test_no_permission(without_rights: Path, arguments: tuple[str, ...], says: str) -> None:
    command = [sys.executable, "-m", "stream.cli", "annotate", *(a.format(without_rights) for a in arguments)]
    run = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False, preexec_fn=_be_nobody_special
    )
    lines = run.stderr.splitlines()
    assert (run.returncode, len(lines), run.stdout) == (2, 1, ""), run.stderr
    assert says in lines[0]


def _be_nobody_special() -> None:
    """Root may open anything: after this its child may not."""
    if os.geteuid() == 0:
        for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
            ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


@pytest.mark.slow
@pytest.mark.parametrize("other", [("--query", "the car"), ("--max-chunk", "0.5")])
def test_out_of_another_run(strefer: Strefer, other: tuple[str, ...]) -> None:
    code, _ = strefer("annotate", SCENE, "--out", "{0}/out", "--quiet")
    assert code == 0
    before = {p.name: p.read_bytes() for p in (strefer.folder / "out").iterdir() if p.is_file()}
    line = strefer.fails("annotate", SCENE, "--out", "{0}/out", "--quiet", *other)
    assert "--fresh starts over, or choose another --out" in line
    assert {p.name: p.read_bytes() for p in (strefer.folder / "out").iterdir() if p.is_file()} == before
    assert strefer("annotate", SCENE, "--out", "{0}/out", "--quiet") == (0, []), "the run itself is complete"


@pytest.mark.slow
def test_a_cut_off_video_with_its_index_in_front(strefer: Strefer, capfd: pytest.CaptureFixture[str]) -> None:
    """What is there of it is annotated, and it is said that the rest is missing."""
    recipe = Recipe(frames=75, gop=25, container_options={"movflags": "faststart"})
    whole = make_video(strefer.folder / "whole.mp4", recipe).read_bytes()
    (strefer.folder / "bad.mp4").write_bytes(whole[: round(len(whole) * 0.6)])
    code = main(["annotate", str(strefer.folder / "bad.mp4"), "--out", str(strefer.folder / "out")])
    out, err = capfd.readouterr()
    assert code == 0
    assert "Traceback" not in out + err
    assert "the source broke off before its end" in out
    summary = json.loads((strefer.folder / "out/summary.json").read_bytes())
    assert summary["reason"] == "error"
    assert 25 <= summary["frames"] < 75


@pytest.mark.slow
def test_a_bad_file_among_good_ones(strefer: Strefer, capfd: pytest.CaptureFixture[str]) -> None:
    """The others are annotated, and what was left out is said last."""
    folder = strefer.folder / "clips"
    folder.mkdir()
    for name in ("a.mp4", "c.mp4"):
        make_video(folder / name, Recipe(frames=10))
    (folder / "b.mp4").write_text("no video")
    code = main(["annotate", str(folder), "--out", str(strefer.folder / "out"), "--quiet"])
    assert (code, capfd.readouterr().err.count("left out")) == (2, 1)
    assert {p.parent.name for p in (strefer.folder / "out").glob("*/summary.json")} == {"a", "c"}


@pytest.mark.slow
def test_half_a_file_that_does_not_know_it(strefer: Strefer, capfd: pytest.CaptureFixture[str]) -> None:
    whole = make_video(strefer.folder / "whole.mkv", Recipe(container="matroska", frames=100, gop=10)).read_bytes()
    (strefer.folder / "half.mkv").write_bytes(whole[: len(whole) // 2])
    assert main(["annotate", str(strefer.folder / "half.mkv"), "--out", str(strefer.folder / "out")]) == 0
    assert "it may have been cut off" in "".join(capfd.readouterr())


def test_a_worker_where_no_log_is(strefer: Strefer) -> None:
    assert "holds no log" in strefer.fails("worker", "--log", "{0}/nosuch", "--drain")
    assert not (strefer.folder / "nosuch").exists()
