"""Live sources on loopback: a real RTSP server that dies and comes back, and a live HLS playlist."""

from __future__ import annotations

import itertools
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import pytest
from av.video.stream import VideoStream
from chunks import MemoryLog

from producers.live import LiveSource
from producers.produce import Produced, produce
from stream.chunk import ChunkHeader, EndHeader, GapHeader
from tests.media import Recipe, make_video, picture
from tools.kafka.broker import free_port

DEBIAN_PYTHON = "/usr/bin/python3"


@pytest.fixture(scope="module")
def rtsp_ready() -> None:
    """Fails, does not skip, where the server's packages are missing."""
    probe = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
    done = subprocess.run([DEBIAN_PYTHON, "-c", probe], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"apt-get install $(cat tests/apt-packages.txt)\n{done.stderr}"


@contextmanager
def _rtsp(port: int, clip: Path) -> Iterator[None]:
    """Serve a clip at /cam; killed, as by a power cut, on leaving."""
    command = [DEBIAN_PYTHON, str(Path(__file__).with_name("rtsp_server.py")), str(port), str(clip)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
        try:
            assert server.stdout is not None
            assert server.stdout.readline() == b"ready\n"
            yield
        finally:
            server.kill()


class _Recorder:
    """A producer on a thread."""

    def __init__(self, source: LiveSource, **options: float) -> None:
        self.log, self.stop, self.result = MemoryLog(), threading.Event(), list[Produced]()

        def run() -> None:
            self.result.append(produce([source], "live", self.log, stop=self.stop, **options))  # type: ignore[arg-type]

        self._thread = threading.Thread(target=run)
        self._thread.start()

    def wait_for_chunks(self, count: int, timeout_s: float = 30) -> None:
        until = time.monotonic() + timeout_s
        while len(self.log.chunks()) < count and self._thread.is_alive():
            assert time.monotonic() < until, f"only {len(self.log.chunks())} of {count} chunks"
            time.sleep(0.05)

    def finish(self, *, stop: bool = True) -> Produced:
        if stop:
            self.stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive()
        return self.result[0]


@pytest.mark.slow
@pytest.mark.usefixtures("rtsp_ready")
def test_rtsp_camera_that_dies_and_comes_back(tmp_path: Path) -> None:
    clip = make_video(tmp_path / "cam.mp4", Recipe(frames=1000, gop=25, options={"bf": "0"}))
    port = free_port()
    with _rtsp(port, clip):
        recorder = _Recorder(LiveSource(f"rtsp://127.0.0.1:{port}/cam"))
        recorder.wait_for_chunks(2)
    before = len(recorder.log.chunks())
    time.sleep(1.5)
    with _rtsp(port, clip):
        recorder.wait_for_chunks(before + 3)
        assert recorder.finish().reason == "stopped"
    headers = recorder.log.headers()
    gaps = [h for h in headers if isinstance(h, GapHeader)]
    assert len(gaps) == 1
    assert gaps[0].reason
    assert 1_000_000 < gaps[0].end_us - gaps[0].start_us < 15_000_000
    chunks = [h for h in headers if isinstance(h, ChunkHeader)]
    after = next(h for h in chunks if h.seq > gaps[0].seq)
    assert after.start_us == gaps[0].end_us
    assert all(h.captured_wall_us is not None and abs(h.captured_wall_us / 1e6 - time.time()) < 60 for h in chunks)
    assert not any(h.reencoded for h in chunks)
    assert isinstance(headers[-1], EndHeader)
    times = recorder.log.times_us()
    assert times == sorted(set(times))


@pytest.mark.slow
@pytest.mark.usefixtures("rtsp_ready")
def test_rtsp_with_long_gops_is_reencoded_into_short_chunks(tmp_path: Path) -> None:
    clip = make_video(tmp_path / "cam.mp4", Recipe(frames=500, gop=250, options={"bf": "0"}))
    port = free_port()
    with _rtsp(port, clip):
        recorder = _Recorder(LiveSource(f"rtsp://127.0.0.1:{port}/cam"), live_chunk_s=1.5)
        recorder.wait_for_chunks(4)
        recorder.finish()
    chunks = [c.header for c in recorder.log.chunks()]
    assert all(h.reencoded and h.codec == "h264" and h.duration_us <= 1_100_000 for h in chunks)
    recorder.log.times_us()


def _write_hls(folder: Path, seconds: int, started: threading.Event) -> None:
    """A live playlist in real time: 25 frames a second, 1 s segments, an end mark at the end."""
    options = {"hls_time": "1", "hls_list_size": "8", "hls_flags": "independent_segments"}
    with av.open(folder / "live.m3u8", "w", format="hls", options=options) as out:
        stream = out.add_stream("libx264", rate=25, options={"sc_threshold": "0", "tune": "zerolatency"})
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 160, 96, "yuv420p", 25
        begun = time.monotonic()
        for i in range(25 * seconds):
            frame = av.VideoFrame.from_ndarray(picture(i, (160, 96)), format="rgb24")
            frame.pts = i
            out.mux(stream.encode(frame))
            if (folder / "live.m3u8").exists():
                started.set()
            time.sleep(max(begun + i / 25 - time.monotonic(), 0))
        out.mux(stream.encode(None))


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.mark.slow
def test_live_hls(tmp_path: Path) -> None:
    started = threading.Event()
    writer = threading.Thread(target=_write_hls, args=(tmp_path, 8, started))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(tmp_path)))
    server.daemon_threads = True
    threads = [writer, threading.Thread(target=server.serve_forever, daemon=True)]
    for thread in threads:
        thread.start()
    try:
        assert started.wait(10)
        source = LiveSource(f"http://127.0.0.1:{server.server_port}/live.m3u8")
        assert source.live
        recorder = _Recorder(source)
        recorder.wait_for_chunks(2)
        assert recorder.finish(stop=False).reason == "end"
    finally:
        writer.join()
        server.shutdown()
        server.server_close()
    times = recorder.log.times_us()
    assert len(times) >= 150
    assert {b - a for a, b in itertools.pairwise(times)} == {40_000}


def test_a_file_over_http_is_no_live_source(tmp_path: Path) -> None:
    make_video(tmp_path / "clip.mp4", Recipe(frames=75))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(tmp_path)))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        source = LiveSource(f"http://127.0.0.1:{server.server_port}/clip.mp4")
        assert (source.live, source.seconds) == (False, 3.0)
        log = MemoryLog()
        assert produce([source], "web", log).reason == "end"  # type: ignore[arg-type]
        assert len(log.times_us()) == 75
    finally:
        server.shutdown()
        server.server_close()
