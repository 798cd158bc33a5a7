"""What can be a source, and one clear line for what cannot."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from chunks import pieces_of

from engines.errors import UserError
from producers.piece import BrokenSourceError
from producers.sources import FileSource, SceneSource, open_source, open_sources
from tests.media import Recipe, add_sound, make_video

FAST_START = {"movflags": "+faststart"}


def _truncated(folder: Path) -> Path:
    path = make_video(folder / "whole.mp4", Recipe())
    (folder / "cut.mp4").write_bytes(path.read_bytes()[:-3000])
    return folder / "cut.mp4"


def _text(folder: Path) -> Path:
    (folder / "text.mp4").write_text("Dear diary, today I was renamed to a video.\n" * 20)
    return folder / "text.mp4"


def _noise(folder: Path) -> Path:
    (folder / "noise.mp4").write_bytes(np.random.default_rng(3).bytes(5000))
    return folder / "noise.mp4"


def _empty(folder: Path) -> Path:
    (folder / "empty.mp4").touch()
    return folder / "empty.mp4"


def _audio(folder: Path) -> Path:
    with av.open(folder / "sound.mp4", "w") as out:
        add_sound(out, out.add_stream("aac", rate=48_000), seconds=1)
    return folder / "sound.mp4"


def _zero_frames(folder: Path) -> Path:
    with av.open(folder / "zero.mp4", "w", options={"movflags": "empty_moov"}) as out:
        stream = out.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        out.start_encoding()
    return folder / "zero.mp4"


def _unknown_codec(folder: Path) -> Path:
    data = make_video(folder / "known.mp4", Recipe()).read_bytes()
    (folder / "unknown.mp4").write_bytes(data.replace(b"avc1", b"zzz9"))
    return folder / "unknown.mp4"


def _empty_folder(folder: Path) -> Path:
    (folder / "clips").mkdir()
    (folder / "clips/readme.txt").write_text("nothing here")
    return folder / "clips"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder / "missing.mp4", "missing.mp4 does not exist"),
        (_empty, r"is empty \(0 bytes\)"),
        (_truncated, r"is cut off: its index \(moov\) is missing"),
        (_text, "is a text file, not a video"),
        (_noise, "is not a video that FFmpeg can read"),
        (_audio, "has no video track, only audio, that can be read"),
        (_zero_frames, "holds no video frame"),
        (_unknown_codec, "has no decoder for its video codec"),
        (_empty_folder, "holds no video file"),
        (lambda folder: folder / "*.mp4", "no file matches"),
    ],
)
def test_bad_files(make: Callable[[Path], Path], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message) as caught:
        open_source(str(make(tmp_path)))
    assert "\n" not in str(caught.value)


def test_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_video(tmp_path / "a.mp4", Recipe(frames=5))

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)  # tests run as root, whom no mode stops
    with pytest.raises(UserError, match="permission denied"):
        open_source(str(path))


@pytest.mark.parametrize("address", ["rtsp://127.0.0.1:{port}/x", "http://127.0.0.1:{port}/x.m3u8", "nonsense://x"])
def test_dead_address(address: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: refused
        with pytest.raises(UserError, match="nothing can be read from"):
            open_source(address.format(port=taken.getsockname()[1]))


def test_silent_server_does_not_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("producers.live.LiveSource.__init__.__kwdefaults__", {"timeouts_s": (0.5, 0.5)})
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(UserError, match="nothing can be read from"):
            open_source(f"http://127.0.0.1:{silent.getsockname()[1]}/x.ts")


def test_folder_glob_and_scene(tmp_path: Path) -> None:
    for name in ("b.mkv", "a.mp4"):
        make_video(tmp_path / name, Recipe(frames=5, container="matroska" if name.endswith("mkv") else "mp4"))
    (tmp_path / "notes.txt").write_text("no video")
    assert [Path(s.name).name for s in open_source(str(tmp_path))] == ["a.mp4", "b.mkv"]
    assert [Path(s.name).name for s in open_source(str(tmp_path / "*.m*"))] == ["a.mp4", "b.mkv"]
    assert isinstance(open_source("synthetic:cut")[0], SceneSource)
    assert len(open_sources([str(tmp_path), "synthetic:cut"])) == 3


def test_a_name_with_glob_characters_is_a_file_first(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a[1].mp4", Recipe(frames=5))
    assert open_source(str(path))[0].name == str(path)


def test_no_sources() -> None:
    with pytest.raises(UserError, match="nothing to produce"):
        open_sources([])


@pytest.mark.parametrize("container", ["mp4", "matroska", "mpegts"])
def test_file_that_breaks_off_gives_its_good_frames(container: str, tmp_path: Path) -> None:
    options = FAST_START if container == "mp4" else {}
    path = make_video(tmp_path / "clip", Recipe(container=container, container_options=options, frames=100))
    whole = sum(p.frames for p in pieces_of(FileSource(path)))
    assert whole == 100
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 7 // 10])
    frames, broken = [], False
    try:
        for piece in FileSource(path).pieces(limit_s=10, stop=threading.Event()):
            frames.append(piece.frames)
    except BrokenSourceError:
        broken = True
    assert 60 <= sum(frames) <= 80
    assert broken == (container == "mp4"), "a stream without an index cannot be known to be cut off"
