"""Profile lite over the real path (log in, worker, log out): speed by stage and memory, beside peers of the same run.

    python -m bench.lite [CLIP] [--minutes N] [--size 1280x720]

CLIP (default: bedroom.mp4 of STREFER_SAMPLES or ../shared/videos) is brought to --size and looped for N minutes of its
own time. Memory is sampled after each pass. Peers: the same networks on every frame without following (YOLOX-nano on
the frame, BlazePose on each person), and decoding alone, the limit nothing can beat.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from bench.video import scaled
from engines import lite
from engines.crops import Crop
from engines.pose import FACTOR
from engines.store import environment_store
from producers.produce import produce
from producers.sources import open_sources
from stream.chunk import Chunk, ChunkHeader, decode_header, encode_header
from stream.decode.pyav import PyAVDecoder
from stream.events import ChunkDone
from stream.log import ANNOTATIONS, CHUNKS, Log, Message
from stream.log.sqlite import Retention, SqliteLog
from stream.pipeline import Pipeline
from stream.profiling.machine import facts, resident_bytes
from stream.runtime import settle
from stream.worker import GROUP, Worker

FEED = "bench"
PERSON_SCORE = 0.4


@dataclass(frozen=True, slots=True)
class Ours:
    """What the worker did. wall_s: from the first poll to the last commit, passes together. stage_us: stage ->
    microseconds a frame, one figure a chunk. rss_mb: after each pass."""

    frames: int
    wall_s: float
    stage_us: dict[str, list[float]]
    rss_mb: list[float]

    @property
    def rate(self) -> float:
        return self.frames / self.wall_s


def load_chunks(clip: Path, folder: Path) -> list[Chunk]:
    """The clip as a producer cuts it."""
    with closing(SqliteLog(folder)) as log:
        produce(open_sources([str(clip)]), FEED, log)
        chunks = []
        for record in log.read(CHUNKS, key=FEED):
            header = decode_header(dict(record.headers))
            if isinstance(header, ChunkHeader):
                chunks.append(Chunk(header, record.value))
    return chunks


def run_ours(chunks: Sequence[Chunk], networks: lite.Lite, folder: Path, passes: int) -> Ours:
    """The worker over the looped feed. Chunks of a pass are in the log before it begins; events stay there."""
    stages: dict[str, list[float]] = {}
    frames, wall_s, rss, after = 0, 0.0, list[float](), -1
    with (
        closing(SqliteLog(folder, retain={CHUNKS: Retention(keep_bytes=32 << 20)})) as log,
        closing(Worker(log, Pipeline(networks), PyAVDecoder())) as worker,
    ):
        for number in range(passes):
            _post(log, chunks, number)
            begun = time.perf_counter()
            worker.run(until=lambda done: log.lag(GROUP, CHUNKS) == 0, poll_s=1.0)
            wall_s += time.perf_counter() - begun
            rss.append(resident_bytes() / 1e6)
            for record in log.read(ANNOTATIONS, key=FEED, after=after):
                after = record.offset
                if record.headers["ce_type"] != "chunk.done":
                    continue
                done = msgspec.json.decode(record.value, type=ChunkDone)
                frames += done.frames
                for stage, us in done.stage_us.items():
                    stages.setdefault(stage, []).append(us / done.frames)
    return Ours(frames, wall_s, stages, rss)


def _post(log: Log, chunks: Sequence[Chunk], number: int) -> None:
    """One more pass of the feed: the same video, later."""
    last = chunks[-1].header
    length_us = last.start_us + last.duration_us
    with log.transaction() as tx:
        for chunk in chunks:
            header = msgspec.structs.replace(
                chunk.header,
                seq=chunk.header.seq + number * len(chunks),
                start_us=chunk.header.start_us + number * length_us,
                origin_us=chunk.header.origin_us + number * length_us,
            )
            tx.send(Message(CHUNKS, FEED, chunk.data, encode_header(header)))


def run_decoding(chunks: Sequence[Chunk]) -> float:
    """Frames per second of decoding alone."""
    decoder, count, begun = PyAVDecoder(), 0, time.perf_counter()
    for chunk in chunks:
        count += sum(len(frames) for frames in decoder.decode(chunk))
    return count / (time.perf_counter() - begun)


def run_frame_by_frame(chunks: Sequence[Chunk], networks: lite.Lite, limit: int) -> float:
    """Frames per second of detector and pose network on every frame, nothing carried and nobody followed."""
    detector, pose = networks.detector, networks.pose
    if detector is None or pose is None:
        raise SystemExit("the peer wants a detector and a pose network: strefer models pull")
    count, begun = 0, time.perf_counter()
    for chunk in chunks:
        for frames in PyAVDecoder().decode(chunk):
            for rgb in frames.host():
                found = detector.detect(rgb)
                for box, score, category in zip(found.boxes, found.scores, found.categories, strict=True):
                    if category == "person" and score >= PERSON_SCORE:
                        pose.run(rgb, Crop.around(box, factor=FACTOR))
                count += 1
        if count >= limit:
            break
    return count / (time.perf_counter() - begun)


def show(ours: Ours, peers: dict[str, float], about: str, rate: float) -> None:
    """One table: the machine, speed beside the peers, stages, memory."""
    table = Table("what", "value", "", title=about, title_justify="left", box=None, show_edge=False)
    table.caption = "\n".join(f"{name}: {value}" for name, value in facts().items())
    table.caption_justify = "left"
    table.add_section()
    table.add_row(
        "strefer lite", f"{ours.rate:.1f} frames/s", f"{ours.rate / rate:.2f} x real time ({rate:g} frames/s)"
    )
    for name, peer in peers.items():
        table.add_row(name, f"{peer:.1f} frames/s", f"strefer lite is {ours.rate / peer:.2f} x this")
    table.add_section()
    for stage, figures in sorted(ours.stage_us.items(), key=lambda s: -float(np.mean(s[1]))):
        p50, p95 = np.percentile(figures, [50, 95])
        table.add_row(f"stage {stage}", f"{p50:,.0f} us a frame", f"p95 {p95:,.0f} (over chunks)")
    table.add_section()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    table.add_row("memory", f"{ours.rss_mb[-1]:.0f} MB at the end", f"peak {peak:.0f} MB")
    shown = [
        f"{ours.rss_mb[i]:.0f}" for i in np.linspace(0, len(ours.rss_mb) - 1, min(12, len(ours.rss_mb))).astype(int)
    ]
    table.add_row(f"over {len(ours.rss_mb)} passes", " ".join(shown) + " MB", _growth(ours.rss_mb))
    Console(width=180).print(table)


def _growth(rss: Sequence[float]) -> str:
    """Growth over the second half, when everything has been allocated once."""
    half = rss[len(rss) // 2 :]
    return f"second half: {half[-1] - half[0]:+.1f} MB"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.lite", description="Speed and memory of profile lite.")
    parser.add_argument("clip", nargs="?", type=Path, help="default: the sample bedroom.mp4")
    parser.add_argument("--minutes", type=float, default=0.5, help="length of the looped feed (default 0.5)")
    parser.add_argument("--size", default="1280x720", help="what the clip is scaled to (default 1280x720)")
    options = parser.parse_args()
    store = environment_store()
    clip = options.clip or (store.samples or Path("../shared/videos")) / "bedroom.mp4"
    if not clip.is_file():
        raise SystemExit(f"{clip} does not exist: name a clip, or set STREFER_SAMPLES")
    width, height = (int(v) for v in options.size.split("x"))
    settle()
    networks = lite.load(store)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        chunks = load_chunks(scaled(clip, folder / "scaled.mp4", (width, height)), folder / "made")
        seconds = sum(c.header.duration_us for c in chunks) / 1e6
        frames = sum(c.header.frames for c in chunks)
        passes = max(1, round(options.minutes * 60 / seconds))
        peers = {
            "peer: YOLOX-nano + BlazePose, every frame": run_frame_by_frame(chunks, networks, limit=90),
            "limit: decoding alone (PyAV)": run_decoding(chunks),
        }
        ours = run_ours(chunks, networks, folder / "log", passes)
        used = ", ".join(u.name for u in networks.used)
        about = f"{clip.name} at {options.size}, {passes} passes of {seconds:.1f} s, {used}"
        show(ours, peers, about, round(frames / seconds, 2))


if __name__ == "__main__":
    main()
