"""The PyAV decoder: exact pixels by the stream's own tags, exact times, no silent halves."""

from __future__ import annotations

import zlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from stream.chunk import Chunk, ChunkHeader
from stream.decode import CorruptChunkError
from stream.decode.pyav import PyAVDecoder, RgbConverter, upright
from tests.media import Recipe, decode, make_video

MATRICES = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 7: (0.212, 0.087), 9: (0.2627, 0.0593)}
"""AVColorSpace -> (Kr, Kb)."""


def _chunk(data: bytes, **fields: object) -> Chunk:
    values: dict[str, object] = {
        "feed": "f", "seq": 0, "start_us": 0, "duration_us": 0, "codec": "h264", "width": 160, "height": 96,
        "frames": 75, "crc32": zlib.crc32(data), "time_base": "1/12800",
    }  # fmt: skip
    return Chunk(ChunkHeader(**(values | fields)), data)  # type: ignore[arg-type]


def _rgb(yuv: tuple[int, int, int], matrix: int, full: bool) -> NDArray[np.float64]:
    """ITU-R conversion in real arithmetic, 0..255."""
    kr, kb = MATRICES[matrix]
    y, u, v = yuv
    luma, blue, red = (
        (y / 255, (u - 128) / 255, (v - 128) / 255) if full else ((y - 16) / 219, (u - 128) / 224, (v - 128) / 224)
    )
    r, b = luma + 2 * (1 - kr) * red, luma + 2 * (1 - kb) * blue
    return np.clip(np.array([r, (luma - kr * r - kb * b) / (1 - kr - kb), b]) * 255, 0, 255)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", MATRICES)
def test_colours_follow_the_tags(matrix: int, full: bool) -> None:
    frame = _flat((120, 90, 160), "yuv420p", 64)
    frame.colorspace, frame.color_range = matrix, 2 if full else 1
    wanted = _rgb((120, 90, 160), matrix, full)
    assert np.abs(RgbConverter()(frame)[9, 9] - wanted).max() <= 2.5  # swscale's quick path rounds down
    assert np.abs(RgbConverter(accurate=True)(frame)[9, 9] - wanted).max() <= 1.5


@pytest.mark.parametrize(("height", "matrix"), [(64, 6), (718, 6), (720, 1), (1080, 1)])
def test_untagged_colours_follow_the_convention(height: int, matrix: int) -> None:
    wanted = _rgb((120, 90, 160), matrix, full=False)
    assert np.abs(RgbConverter(accurate=True)(_flat((120, 90, 160), "yuv420p", height))[9, 9] - wanted).max() <= 1.5


def test_ten_bit_becomes_eight() -> None:
    eight, ten = _flat((120, 90, 160), "yuv420p", 64), _flat((120, 90, 160), "yuv420p10le", 64)
    converter = RgbConverter(accurate=True)
    assert np.abs(converter(eight).astype(int) - converter(ten)).max() <= 1


def _flat(yuv: tuple[int, int, int], pix_fmt: str, height: int) -> av.VideoFrame:
    frame = av.VideoFrame(64, height, pix_fmt)
    for plane, value in zip(frame.planes, yuv, strict=True):
        sample = bytes([value]) if pix_fmt == "yuv420p" else (value << 2).to_bytes(2, "little")
        plane.update(sample * (plane.buffer_size // len(sample)))
    return frame


def test_times_are_exact_and_batches_small(tmp_path: Path) -> None:
    times = [i * 40 + (i % 3) * 11 for i in range(75)]
    data = make_video(
        tmp_path / "a.mp4", Recipe(times=times, time_base=Fraction(1, 1000), options={"bf": "2"})
    ).read_bytes()
    header = {"time_base": "1/16000", "origin_us": 5_000_001, "start_pts": 1600}
    batches = list(PyAVDecoder(batch=8).decode(_chunk(data, **header)))
    assert [len(b) for b in batches] == [8] * 9 + [3]
    assert [int(t) for b in batches for t in b.pts_us] == [5_000_001 + 100_000 + t * 1000 for t in times]
    assert batches[0].pixels.shape == (8, 96, 160, 3)
    assert batches[0].pixels.dtype == np.uint8


def test_batches_do_not_share_memory(tmp_path: Path) -> None:
    data = make_video(tmp_path / "a.mp4", Recipe(frames=20)).read_bytes()
    first, second, _ = PyAVDecoder(batch=8).decode(_chunk(data, frames=20))
    assert not np.shares_memory(first.pixels, second.pixels)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_any_number_of_threads_gives_the_same(threads: int, tmp_path: Path) -> None:
    data = make_video(tmp_path / "a.mp4", Recipe(options={"bf": "3"})).read_bytes()
    one = [b.host() for b in PyAVDecoder().decode(_chunk(data))]
    many = [b.host() for b in PyAVDecoder(threads=threads).decode(_chunk(data))]
    assert all((a == b).all() for a, b in zip(one, many, strict=True))


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_frames_are_upright(rotation: int, tmp_path: Path) -> None:
    data = make_video(tmp_path / "a.mp4", Recipe(frames=3, rotation=rotation)).read_bytes()
    plain = next(PyAVDecoder().decode(_chunk(data, frames=3))).host()
    turned = next(PyAVDecoder().decode(_chunk(data, frames=3, rotation=rotation))).host()
    assert (turned[0] == np.rot90(plain[0], -rotation // 90)).all()


def test_upright_turns_clockwise() -> None:
    corner = np.zeros((2, 3, 3), np.uint8)
    corner[0, 0] = 255  # top left goes to top right
    assert upright(corner, 90)[0, -1, 0] == 255


def test_too_few_frames_are_no_silent_half(tmp_path: Path) -> None:
    data = make_video(tmp_path / "a.mp4", Recipe()).read_bytes()
    got: list[int] = []
    with pytest.raises(CorruptChunkError, match="75 decodable frames, its header promises 76"):
        got.extend(len(batch) for batch in PyAVDecoder().decode(_chunk(data, frames=76)))
    assert sum(got) == 75


@pytest.mark.parametrize("data", [b"", b"no video at all", b"\0\0\0\x18ftypisom" + bytes(200)])
def test_no_video(data: bytes) -> None:
    with pytest.raises(CorruptChunkError, match="cannot be decoded"):
        list(PyAVDecoder().decode(_chunk(data)))


def test_damage_and_truncation(tmp_path: Path) -> None:
    whole = make_video(
        tmp_path / "a.mp4", Recipe(container_options={"movflags": "empty_moov+frag_keyframe"})
    ).read_bytes()
    with pytest.raises(CorruptChunkError):
        list(PyAVDecoder().decode(_chunk(whole[: len(whole) * 2 // 3])))
    damaged = bytearray(whole)
    at = whole.index(b"mdat") + 600
    damaged[at : at + 800] = bytes(800)
    with pytest.raises(CorruptChunkError):
        list(PyAVDecoder().decode(_chunk(bytes(damaged))))


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="batch is 0"):
        PyAVDecoder(batch=0)
    with pytest.raises(ValueError, match="rotation is 45"):
        upright(np.zeros((2, 2, 3), np.uint8), 45)


def test_pixels_are_those_of_pyav(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", Recipe(tags=(1, 6)))
    wanted = decode(path, "rgb24")
    got = [f for b in PyAVDecoder(accurate=True).decode(_chunk(path.read_bytes())) for f in b.host()]
    assert all((w.planes == g.ravel()).all() for w, g in zip(wanted, got, strict=True))
