"""What a profiling run is made of: the tape, the record of stages, traces, and the comparison of two runs."""

from __future__ import annotations

import gzip
import json
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from engines.errors import UserError
from stream.chunk import Chunk, ChunkHeader, decode_header
from stream.decode.pyav import PyAVDecoder
from stream.profiling import results
from stream.profiling.compare import FRAME, compare, differences
from stream.profiling.objects import Crowded, grid
from stream.profiling.record import Recorder, Span
from stream.profiling.results import Profile, Stage
from stream.profiling.tape import record
from stream.profiling.trace import gpu_time, write_stages

SCENE = "synthetic:two-people?seconds=3&size=128x96&fps=10"


@pytest.mark.slow
def test_a_tape_plays_without_end_and_its_time_goes_on() -> None:
    tape = record(SCENE, most_s=30)
    assert (tape.frames, tape.rate, tape.size) == (30, pytest.approx(10), (128, 96))
    times: list[int] = []
    for seq in range(2 * len(tape.chunks) + 1):
        message = tape.message("door", seq, captured_wall_us=5)
        header = decode_header(dict(message.headers))
        assert isinstance(header, ChunkHeader)
        assert (message.key, header.feed, header.seq, header.captured_wall_us) == ("door", "door", seq, 5)
        for frames in PyAVDecoder().decode(Chunk(header, message.value)):
            times += frames.pts_us.tolist()
    assert np.allclose(np.diff(times), 100_000, atol=1)


def test_a_tape_is_no_longer_than_asked_and_there_must_be_one(tmp_path: Path) -> None:
    assert record(SCENE, most_s=1).lap_us < 3_000_000
    with pytest.raises(UserError):
        record(str(tmp_path / "nothing.mp4"), most_s=1)


def test_calls_are_taken_down_between_begin_and_end() -> None:
    recorder = Recorder()
    watch = recorder.stopwatch()
    with watch("early"):
        pass
    recorder.begin()
    for _ in range(3):
        with watch("detect"):
            time.sleep(0.002)
    with pytest.raises(KeyError), watch("broken"):
        raise KeyError
    spans = recorder.end()
    with watch("late"):
        pass
    assert [s.stage for s in spans] == ["detect"] * 3
    assert all(2_000_000 <= s.took_ns < 1_000_000_000 for s in spans)
    assert watch.us()["detect"] >= 6000, "a chunk's own stopwatch goes on as ever"


def test_stages_are_summed_up_in_the_order_of_their_share() -> None:
    spans = [Span("slow", 1, i, 1000 * (i + 1)) for i in range(100)] + [Span("quick", 2, 0, 1000)]
    slow, quick = results.stages(spans)
    assert (slow.name, slow.calls, slow.p50_us, slow.total_us) == ("slow", 100, 50.5, 5050)
    assert slow.p95_us == pytest.approx(np.percentile(np.arange(1, 101), 95))
    assert slow.blocks == sorted(slow.blocks), "in the order of time"
    assert len(slow.blocks) == results.BLOCKS
    assert (quick.share, quick.blocks) == (pytest.approx(1 / 5051), [1])
    assert results.stages([]) == []


def test_a_trace_of_stages_is_what_viewers_read(tmp_path: Path) -> None:
    write_stages([Span("detect", 7, 5_000, 2_000), Span("clip", 8, 4_000, 500)], tmp_path / "t.json.gz")
    events = json.loads(gzip.decompress((tmp_path / "t.json.gz").read_bytes()))["traceEvents"]
    assert events[0] == {"name": "detect", "ts": 1.0, "dur": 2.0, "pid": 1, "tid": 7, "cat": "stage"} | {"ph": "X"} or (
        events[0].items() >= {"name": "detect", "ts": 1.0, "dur": 2.0, "pid": 1, "tid": 7}.items()
    )


def kernel(name: str, ts: float, dur: float) -> dict[str, Any]:
    return {"ph": "X", "cat": "kernel", "name": name, "ts": ts, "dur": dur, "pid": 0, "tid": "stream 7", "args": {}}


def copy(name: str, ts: float, dur: float, size: int) -> dict[str, Any]:
    return {
        "ph": "X",
        "cat": "gpu_memcpy",
        "name": name,
        "ts": ts,
        "dur": dur,
        "pid": 0,
        "tid": 7,
        "args": {"bytes": size},
    }


def test_what_a_gpu_did_is_read_out_of_pytorchs_trace(tmp_path: Path) -> None:
    events = [
        {"ph": "M", "name": "process_name", "pid": 0, "args": {"name": "python"}},
        {"ph": "X", "cat": "cpu_op", "name": "aten::mm", "ts": 0, "dur": 900, "pid": 1, "tid": 2},
        kernel("attend", 100, 50), kernel("attend", 120, 60),  # overlapping, of two streams: busy 100 to 180
        copy("Memcpy HtoD (Pinned -> Device)", 190, 10, 4096), copy("Memcpy DtoH (Device -> Pageable)", 250, 50, 1024),
    ]  # fmt: skip
    path = tmp_path / "gpu.json"
    path.write_text(json.dumps({"schemaVersion": 1, "traceEvents": events}))
    found = gpu_time(path, 4)
    assert found is not None
    assert (found.traced_us, found.gaps, found.frames) == (200, 2, 4)
    assert found.busy == pytest.approx((80 + 10 + 50) / 200)
    assert (found.gap_p50_us, found.to_device_bytes, found.to_host_bytes) == (30, 4096, 1024)
    assert [(k.name, k.calls, k.total_us, k.share) for k in found.kernels] == [("attend", 2, 110, 1)]
    path.write_bytes(gzip.compress(json.dumps({"traceEvents": events[:2]}).encode()))
    assert gpu_time(path, 4) is None


def profile_of(stages: dict[str, list[float]], **facts: Any) -> Profile:
    made = [Stage(name, 100, b[0], b[0], b[0], 100 * b[0], 0.5, b) for name, b in stages.items()]
    return Profile(**{
        "format": results.FORMAT, "made_at": "", "source": "clip", "profile": "lite", "engines": [], "size": (1, 1),
        "rate": 25.0, "feeds": 1, "objects": 0, "seconds": 1.0, "lanes": 1, "machine": {"gpu": "none"},
        "frames_s": 10.0, "most_feeds": 1, "stages": made, "loads": [], "moments": [], "gpu": None,
        "joules_a_frame": None, "batches": {}, "missing": [],
    } | facts)  # fmt: skip


def test_what_is_more_than_noise_is_told_and_noise_is_not() -> None:
    rng = np.random.default_rng(1)

    def run(centre: float) -> list[float]:
        return list(centre * (1 + 0.1 * rng.standard_normal(results.BLOCKS)))

    verdicts: dict[str, list[str]] = {"same": [], "slower": [], "faster": []}
    for _ in range(100):
        before = profile_of({"same": run(100), "slower": run(100), "faster": run(100), "gone": [1.0]})
        after = profile_of({"same": run(100), "slower": run(140), "faster": run(70), "new": [1.0]})
        for change in compare(before, after):
            verdicts[change.name].append(change.verdict)
    assert {name: len(given) for name, given in verdicts.items()} == {"same": 100, "slower": 100, "faster": 100}
    assert verdicts["same"].count("same") >= 96
    assert verdicts["slower"].count("slower") >= 96
    assert verdicts["faster"].count("faster") >= 96
    assert [c.verdict for c in compare(before, before)] == ["same"] * 3, "one part of `gone` tells no noise"


def test_throughput_is_compared_as_stages_are() -> None:
    rng = np.random.default_rng(2)

    def run(frame_us: float) -> Profile:
        return profile_of({}, frame_us=list(frame_us * (1 + 0.05 * rng.standard_normal(results.BLOCKS))))

    slower, same = (compare(run(40_000), run(us))[0] for us in (60_000, 40_000))
    assert (slower.name, slower.verdict, same.verdict) == (FRAME, "slower", "same")
    assert slower.low < 1.5 < slower.high
    assert compare(run(1), profile_of({})) == [], "a profile of an earlier release"


def test_a_runs_frames_in_twelve_parts() -> None:
    # Chunks of 10 frames, one a second, the last twelve of them two: 100,000 us a frame, then 200,000.
    at = [*range(11, 23), *range(24, 48, 2)]
    parts = results.frame_us(10, [(float(t), 10) for t in at])
    assert parts == [100_000] * 6 + [200_000] * 6
    assert results.frame_us(0, [(1.0, 4), (3.0, 2)]) == [250_000, 1_000_000]
    assert results.frame_us(0, []) == []


def test_what_else_differs_is_said() -> None:
    other = profile_of({}, feeds=2, machine={"gpu": "H200", "torch": "2.15"})
    other = msgspec.structs.replace(other, machine={**other.machine, "load": "7.0"})
    assert differences(profile_of({}), other) == ["feeds: 1 / 2", "gpu: none / H200", "torch: none / 2.15"]


def test_a_file_that_is_no_profile_is_one_line(tmp_path: Path) -> None:
    for content, says in ((b"{", "is no profile"), (b"{}", "is no profile"), (None, "writes one")):
        (tmp_path / "profile.json").unlink(missing_ok=True)
        if content is not None:
            (tmp_path / "profile.json").write_bytes(content)
        with pytest.raises(UserError, match=says):
            results.read(tmp_path)
    results.write(profile_of({}, format=99), tmp_path / "profile.json")
    with pytest.raises(UserError, match="format 99"):
        results.read(tmp_path)
    results.write(profile_of({"a": [1.0, 2.0]}), tmp_path / "profile.json")
    assert msgspec.structs.asdict(results.read(tmp_path))["stages"][0].blocks == [1, 2]


@dataclass
class Counting:
    """A segmenter that follows nothing and counts."""

    name: str = "counting"
    backend: str = "none"
    sha256: str = ""
    quick: bool = False
    free: int = 64
    begun: list[int] = field(default_factory=list)
    followed: list[int] = field(default_factory=list)

    def taking_part(self) -> AbstractContextManager[None]:
        return nullcontext()

    def look(self, picture: Any, full: Any = None) -> int:
        return 0

    def outlines(self, frame: Any, boxes: Any, within: Any) -> Any: ...

    def begin(self, frame: Any, mask: Any) -> int:
        self.begun.append(int(mask.sum()))
        return len(self.begun) - 1

    def follow(self, frame: Any, slots: Any) -> list[int]:
        self.followed.append(len(slots))
        return list(slots)

    def forget(self, slots: Any) -> None: ...


def test_objects_besides_are_followed_and_thrown_away() -> None:
    counting = Counting()
    crowded = Crowded(counting, 5)
    frame = crowded.look(np.zeros((90, 160, 3), np.uint8))
    mine = crowded.begin(frame, np.ones((90, 160), bool))
    assert crowded.follow(frame, [mine]) == [mine], "not on the frame that they began on"
    assert crowded.follow(crowded.look(np.zeros((90, 160, 3), np.uint8)), [mine]) == [mine]
    assert counting.followed == [1, 6]
    assert all(area > 50 for area in counting.begun)
    masks = grid(5, (90, 160))
    assert max(np.sum(masks, axis=0).ravel()) == 1, "apart from each other"
