"""Decoding the chunks is decoding the file: frame for frame, time for time."""

from __future__ import annotations

import tracemalloc
from fractions import Fraction
from pathlib import Path

import av
import pytest
from chunks import cut, frames_of

from producers.piece import Piece, chunk_time_base
from tests.media import CLIPS, Recipe, decode, make_video, samples

X265 = {"x265-params": "log-level=none:open-gop={open}:keyint=25:min-keyint=25:scenecut=0:bframes=4"}
LIBVPX = {"cpu-used": "8", "auto-alt-ref": "1", "lag-in-frames": "12"}
NO_CUTS = {"sc_threshold": "1000000000"}
VFR = [i * 40 + (i % 3) * 11 + (i // 20) * 170 for i in range(75)]

REMUXED = {
    "h264": Recipe(),
    "h264-bframes": Recipe(options={"bf": "4", "b-pyramid": "normal", "sc_threshold": "0"}),
    "h264-long-reorder": Recipe(options={"x264-params": "bframes=8:b-adapt=0:b-pyramid=normal:scenecut=0"}),
    "h264-mpegts": Recipe(container="mpegts", options={"bf": "2"}, container_options={"output_ts_offset": "3600"}),
    "h264-mkv": Recipe(container="matroska", options={"bf": "2"}),
    "h264-flv": Recipe(container="flv", options={"bf": "2"}),
    "h264-vfr": Recipe(times=VFR, time_base=Fraction(1, 1000), options={"bf": "2"}),
    "h264-rotated": Recipe(rotation=90),
    "h264-audio": Recipe(audio=True),
    "h264-444-odd": Recipe(size=(161, 97), pix_fmt="yuv444p"),
    "h264-10bit": Recipe(pix_fmt="yuv420p10le"),
    "h264-ntsc": Recipe(rate=Fraction(30000, 1001)),
    "h264-full-range": Recipe(tags=(2, 1)),
    "hevc": Recipe(codec="libx265", options={"x265-params": X265["x265-params"].format(open=0)}),
    "hevc-10bit-ts": Recipe(codec="libx265", container="mpegts", pix_fmt="yuv420p10le",
                            options={"x265-params": X265["x265-params"].format(open=0)}),
    "vp9": Recipe(codec="libvpx-vp9", container="webm", options=LIBVPX),
    "vp9-odd": Recipe(codec="libvpx-vp9", container="webm", size=(161, 97), options={"cpu-used": "8"}),
    "av1": Recipe(codec="libsvtav1", options={"preset": "12", "svtav1-params": "keyint=25"}),
    "mjpeg": Recipe(codec="mjpeg", container="avi", pix_fmt="yuvj420p"),
    "mpeg4": Recipe(codec="mpeg4", options=NO_CUTS | {"bf": "0"}),
    "mpeg2-closed": Recipe(codec="mpeg2video", container="mpegts", options=NO_CUTS | {"flags": "+cgop"}),
}  # fmt: skip

ONE_GOP = {
    # open GOPs: the only safe cut is the beginning, so within the limit there is one chunk, and it is whole
    "h264-open": Recipe(options={"x264-params": "open-gop=1:bframes=4:b-adapt=0:keyint=25:min-keyint=25:scenecut=0"}),
    "h264-intra-refresh": Recipe(options={"x264-params": "intra-refresh=1:keyint=25:scenecut=0"}),
    "hevc-open": Recipe(codec="libx265", options={"x265-params": X265["x265-params"].format(open=1)}),
    "h264-one-gop": Recipe(gop=1000, options={"bf": "3"}),
}  # fmt: skip

REENCODED = {
    "vp8": Recipe(codec="libvpx", container="webm", options=LIBVPX),
    "h264-avi-bframes": Recipe(container="avi", options={"bf": "3", "b-pyramid": "none"}),
    "ffv1-odd": Recipe(codec="ffv1", container="matroska", size=(161, 97), pix_fmt="yuv444p"),
    "prores": Recipe(codec="prores", container="mov", pix_fmt="yuv422p10le"),
    "gif": Recipe(codec="gif", container="gif", pix_fmt="rgb8", frames=30),
    "raw-rgb": Recipe(codec="rawvideo", container="avi", pix_fmt="bgr24", frames=30),
}  # fmt: skip


def _same(path: Path, pieces: list[Piece]) -> None:
    wanted, got = decode(path), frames_of(pieces)
    assert [f.time for f in got] == [f.time for f in wanted]
    different = [i for i, (a, b) in enumerate(zip(wanted, got, strict=True)) if (a.planes != b.planes).any()]
    assert not different


def _close(path: Path, pieces: list[Piece]) -> None:
    """Same times and count, at least 40 dB."""
    with av.open(path) as container:
        track = container.streams.video[0]
        odd, rgb = track.width % 2 or track.height % 2, track.format.is_rgb
    pix_fmt = "rgb24" if rgb else "yuv444p" if odd else "yuv420p"
    wanted, got = decode(path, pix_fmt), frames_of(pieces, pix_fmt)
    times = sorted(f.time for f in wanted)
    assert [f.time - got[0].time for f in got] == [t - times[0] for t in times]
    worst = min(a.psnr(b) for a, b in zip(wanted, got, strict=True))
    assert worst >= 40, worst


@pytest.mark.slow
@pytest.mark.parametrize("name", REMUXED)
def test_remuxed_chunks_decode_to_the_file(name: str, tmp_path: Path) -> None:
    path = make_video(tmp_path / "clip", REMUXED[name])
    pieces = cut(path)
    assert not any(p.reencoded for p in pieces)
    assert len(pieces) == 3, [p.seconds for p in pieces]
    _same(path, pieces)


@pytest.mark.parametrize("name", ONE_GOP)
def test_gops_that_need_each_other_stay_together(name: str, tmp_path: Path) -> None:
    path = make_video(tmp_path / "clip", ONE_GOP[name])
    pieces = cut(path)
    assert [p.reencoded for p in pieces] == [False]
    _same(path, pieces)


@pytest.mark.parametrize("name", ONE_GOP)
def test_a_gop_over_the_limit_is_reencoded(name: str, tmp_path: Path) -> None:
    path = make_video(tmp_path / "clip", ONE_GOP[name])
    pieces = cut(path, limit_s=2.0)
    assert [p.frames for p in pieces] == [25, 25, 25]
    assert all(p.reencoded for p in pieces)
    _close(path, pieces)


@pytest.mark.parametrize("name", REENCODED)
def test_what_no_chunk_can_hold_is_reencoded(name: str, tmp_path: Path) -> None:
    path = make_video(tmp_path / "clip", REENCODED[name])
    pieces = cut(path)
    assert all(p.reencoded for p in pieces)
    _close(path, pieces)


@pytest.mark.slow
@pytest.mark.parametrize("name", CLIPS)
def test_sample_clips(name: str) -> None:
    path = samples() / name
    pieces = cut(path, limit_s=15)
    assert not any(p.reencoded for p in pieces)
    _same(path, pieces)


@pytest.mark.slow
@pytest.mark.parametrize("name", CLIPS)
def test_sample_clips_reencoded(name: str) -> None:
    path = samples() / name
    pieces = cut(path, limit_s=2)
    assert any(p.reencoded for p in pieces)
    _close(path, pieces)


def test_only_the_gop_over_the_limit_is_reencoded(tmp_path: Path) -> None:
    path = make_video(tmp_path / "clip", Recipe(frames=150, gop=1000, keys=(25, 100, 125)))
    pieces = cut(path, limit_s=2)
    assert [(p.frames, p.reencoded) for p in pieces] == [
        (25, False),
        (25, True),
        (25, True),
        (25, True),
        (25, False),
        (25, False),
    ]
    _close(path, pieces)


def test_edit_list_hides_frames(tmp_path: Path) -> None:
    """A file trimmed without re-encoding: what its edit list hides is not shown."""
    path = make_video(tmp_path / "long.mp4", Recipe(frames=75, gop=50, options={"bf": "2"}))
    trimmed = tmp_path / "trimmed.mp4"
    with av.open(path) as source, av.open(trimmed, "w", options={"avoid_negative_ts": "disabled"}) as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                packet.pts -= 12 * 512
                packet.dts -= 12 * 512
                out.mux(packet)
    with av.open(trimmed) as c:
        assert any(p.is_discard for p in c.demux(video=0) if p.size), "the file hides nothing"
    wanted = decode(trimmed)
    assert len(wanted) == 63
    pieces = cut(trimmed)
    assert [p.reencoded for p in pieces] == [True, True, False]
    _close(trimmed, pieces)


def test_short_gops_are_merged_up_to_the_target(tmp_path: Path) -> None:
    pieces = cut(make_video(tmp_path / "clip", Recipe(gop=5, frames=75)))
    assert [p.frames for p in pieces] == [25, 25, 25]


def test_rotation_and_size_reach_the_header(tmp_path: Path) -> None:
    path = make_video(tmp_path / "clip", Recipe(rotation=90, size=(160, 96)))
    for limit_s in (10.0, 0.5):
        assert {(p.rotation, p.width, p.height) for p in cut(path, limit_s=limit_s)} == {(90, 160, 96)}


def test_file_that_begins_in_mid_gop(tmp_path: Path) -> None:
    """A recording cut from a broadcast: what PyAV shows of the broken start is what the chunks show."""
    whole = make_video(tmp_path / "whole.ts", Recipe(container="mpegts", gop=40, options={"bf": "2"}))
    data = whole.read_bytes()
    part = tmp_path / "part.ts"
    part.write_bytes(data[188 * (len(data) // 188 // 4) :])
    pieces = cut(part)
    _close(part, pieces)


def test_live_joins_at_a_key_frame_and_stays_with_reencoding(tmp_path: Path) -> None:
    path = make_video(tmp_path / "clip", Recipe(frames=200, gop=80))
    pieces = cut(path, limit_s=2.0, live=True)
    assert all(p.reencoded for p in pieces)
    assert max(p.seconds for p in pieces) <= 1.0
    assert sum(p.frames for p in pieces) == 200


@pytest.mark.parametrize(
    ("time_base", "wanted"),
    [
        ("1/90000", "1/90000"),
        ("1/25", "1/12800"),
        ("1001/30000", "1/30000"),
        ("1/1000", "1/16000"),
        ("1/1000000", "1/1000000"),
    ],
)
def test_chunk_time_base(time_base: str, wanted: str) -> None:
    assert chunk_time_base(Fraction(time_base)) == Fraction(wanted)


@pytest.mark.slow
def test_memory_is_bounded(tmp_path: Path) -> None:
    """A single GOP of two minutes: never more than the limit is held."""
    path = make_video(tmp_path / "clip", Recipe(frames=3000, gop=10_000, options={"preset": "ultrafast", "bf": "0"}))
    with av.open(path, mode="r") as container:
        from producers.chunker import Chunker

        track = container.streams.video[0]
        chunker, most = Chunker(track, limit_s=2.0), 0
        tracemalloc.start()
        for _ in chunker.pieces(container.demux(track)):
            most = max(most, len(chunker._pending))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert most <= 51
    assert peak < 8 << 20
