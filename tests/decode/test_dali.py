"""DALI on the CPU against PyAV. Its GPU path shares all but the pipeline's device with it (see docs/decode.md)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made import FRAMES, FULL, LIMITED, change, edit, encode, together

from engines.errors import UserError
from stream.decode import CorruptChunkError
from stream.decode.colour import from_bt601
from stream.decode.container import contents
from stream.decode.dali import DaliDecoder, correct
from stream.decode.pyav import PyAVDecoder


@pytest.fixture(scope="module")
def dali() -> DaliDecoder:
    return DaliDecoder("cpu", batch=8)


@pytest.mark.slow
@pytest.mark.parametrize("colour_range", [LIMITED, FULL, 0])
@pytest.mark.parametrize("matrix", [6, 5, 1, 9, 2])
def test_frames_follow_the_streams_colour_tags_as_pyavs_do(dali: DaliDecoder, matrix: int, colour_range: int) -> None:
    chunk = encode(matrix=matrix, colour_range=colour_range)
    ours, times = together(dali.decode(chunk))
    theirs, same_times = together(PyAVDecoder(accurate=True).decode(chunk))
    assert times == same_times
    error = np.abs(ours.astype(int) - theirs)
    if matrix in (1, 9):  # put right after rounding to 8 bit: the bound stated in docs/decode.md
        assert error.mean() < 0.3
        assert error.max() <= 1
    else:
        assert error.max() == 0


def test_against_pyavs_quick_conversion_the_difference_is_its_rounding(dali: DaliDecoder) -> None:
    chunk = encode(matrix=6, colour_range=LIMITED)
    difference = together(dali.decode(chunk))[0].astype(int) - together(PyAVDecoder().decode(chunk))[0]
    assert np.abs(difference).mean() < 1.5
    assert difference.mean() > 0.5  # the quick path is darker, not scattered


@pytest.mark.parametrize("size", [(720, 1280), (576, 720)])
def test_untagged_video_is_bt709_from_720_lines(dali: DaliDecoder, size: tuple[int, int]) -> None:
    chunk = encode(size=size, pts=[0, 40])
    assert contents(chunk).matrix == (1 if size[0] == 720 else 6)
    error = np.abs(together(dali.decode(chunk))[0].astype(int) - together(PyAVDecoder(accurate=True).decode(chunk))[0])
    assert error.mean() < 0.5


@pytest.mark.parametrize("codec", ["vp9", "vp8", "mjpeg"])
def test_the_codecs_it_reads_on_the_cpu(dali: DaliDecoder, codec: str) -> None:
    chunk = encode(codec)
    assert dali.supports(chunk)
    ours, times = together(dali.decode(chunk))
    theirs, same_times = together(PyAVDecoder(accurate=True).decode(chunk))
    assert times == same_times == [i * 40_000 for i in range(FRAMES)]
    assert np.abs(ours.astype(int) - theirs).mean() < 0.5


def test_other_codecs_are_refused_and_the_decoder_lives_on(dali: DaliDecoder) -> None:
    chunk = encode("mpeg4")
    assert not dali.supports(chunk)
    with pytest.raises(CorruptChunkError, match=r"codec is mpeg4, DALI on the cpu reads \['mjpeg', 'vp8', 'vp9'\]"):
        next(dali.decode(chunk))
    assert len(together(dali.decode(encode()))[1]) == FRAMES


@pytest.mark.parametrize("batch", [1, 7, 20, 64])
def test_batches_are_at_most_what_was_asked_for(batch: int) -> None:
    sizes = [len(b) for b in DaliDecoder("cpu", batch=batch).decode(encode())]
    assert sum(sizes) == FRAMES
    assert all(size == batch for size in sizes[:-1])


def test_uneven_times_come_from_the_container(dali: DaliDecoder) -> None:
    pts = [0, 33, 67, 100, 1000, 1001, 1500]
    chunk = change(encode(pts=pts), origin_us=5_000_000)
    assert together(dali.decode(chunk))[1] == [5_000_000 + p * 1000 for p in pts]


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_frames_are_upright(dali: DaliDecoder, rotation: int) -> None:
    chunk = encode(matrix=6, rotation=rotation)
    ours, _ = together(dali.decode(chunk))
    theirs, _ = together(PyAVDecoder(accurate=True).decode(chunk))
    assert np.array_equal(ours, theirs)


def test_chunks_of_different_sizes_and_colours_follow_each_other(dali: DaliDecoder) -> None:
    for size, matrix in [((144, 192), 6), ((96, 128), 1), ((240, 320), 6), ((144, 192), 9)]:
        pixels, _ = together(dali.decode(encode(size=size, matrix=matrix)))
        assert pixels.shape == (FRAMES, *size, 3)


def test_a_chunk_left_half_way_does_not_leak_into_the_next(dali: DaliDecoder) -> None:
    first = encode(matrix=6)
    for _ in range(3):
        batches = dali.decode(first)
        next(batches)
        batches.close()  # type: ignore[attr-defined]
    pixels, times = together(dali.decode(first))
    assert times[0] == 0
    assert np.array_equal(pixels, together(PyAVDecoder(accurate=True).decode(first))[0])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda c: change(c, data=b""), "cannot be read"),
        (lambda c: change(c, data=b"hello " * 200), "cannot be read"),
        (lambda c: change(c, data=c.data[: len(c.data) // 2]), "is damaged"),
        (lambda c: change(c, frames=19), "20 frames, its header promises 19"),
        (lambda c: change(c, time_base="1/7"), "do not fit"),
    ],
)
def test_a_bad_chunk_is_told_and_the_decoder_lives_on(dali: DaliDecoder, spoil: Any, message: str) -> None:
    good = encode()
    with pytest.raises(CorruptChunkError, match=message):
        together(dali.decode(spoil(good)))
    assert not dali.supports(change(good, data=b""))
    assert len(together(dali.decode(good))[1]) == FRAMES


def test_what_an_edit_list_discards_is_not_shown_and_not_left_for_the_next_chunk(dali: DaliDecoder) -> None:
    edited = edit(encode(matrix=6), 120)
    found = contents(edited)
    assert found.shown[:4] == (False, False, False, True)
    assert len(found.shown) == FRAMES
    edited = change(edited, frames=sum(found.shown))
    ours, times = together(dali.decode(edited))
    theirs, same_times = together(PyAVDecoder(accurate=True).decode(edited))
    assert times == same_times
    assert np.array_equal(ours, theirs)
    plain = encode(matrix=5)
    assert np.array_equal(together(dali.decode(plain))[0], together(PyAVDecoder(accurate=True).decode(plain))[0])


@pytest.mark.parametrize("frames", [15, 16, 17])
def test_nothing_is_left_over_between_chunks_of_whole_batches(frames: int) -> None:
    decoder = DaliDecoder("cpu", batch=8)
    chunk = encode(matrix=6, pts=[i * 40 for i in range(frames)])
    expected = together(PyAVDecoder(accurate=True).decode(chunk))[0]
    for _ in range(3):
        assert np.array_equal(together(decoder.decode(chunk))[0], expected)


def test_damaged_bytes_end_in_an_error_or_in_the_promised_frames(dali: DaliDecoder) -> None:
    good = encode()
    random = np.random.default_rng(0)
    for _ in range(8):
        data = bytearray(good.data)
        for at in random.integers(len(data) // 4, len(data), 20):
            data[at] ^= 0xFF
        try:
            _, times = together(dali.decode(change(good, data=bytes(data))))
        except CorruptChunkError:
            continue
        assert len(times) == FRAMES
    assert len(together(dali.decode(good))[1]) == FRAMES


def test_threads_decode_at_once_from_a_pool() -> None:
    decoder = DaliDecoder("cpu", pipelines=3, threads=1)
    chunks = [encode(matrix=m, size=s) for m in (6, 1) for s in ((96, 128), (144, 192))]
    expected = [together(decoder.decode(c))[0] for c in chunks]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda c: together(decoder.decode(c))[0], chunks * 3))
    for i, pixels in enumerate(results):
        assert np.array_equal(pixels, expected[i % 4])


def test_dalis_own_matrix_operator_agrees_with_ours() -> None:
    """On a GPU the correction is DALI's `coord_transform`; its CPU version says what it does."""
    from nvidia.dali import Pipeline, fn, types

    matrix = from_bt601(1)
    assert matrix is not None
    pixels = np.random.default_rng(0).integers(0, 256, (2, 16, 24, 3), np.uint8)
    pipeline = Pipeline(batch_size=1, num_threads=1, device_id=None, prefetch_queue_depth=1)
    with pipeline:
        source = fn.external_source(lambda: [pixels], layout="FHWC")
        pipeline.set_outputs(fn.coord_transform(source, M=matrix.ravel().tolist(), dtype=types.UINT8))
    (theirs,) = pipeline.run()
    assert np.abs(np.array(theirs.at(0)).astype(int) - correct(pixels, matrix)).max() <= 1


def test_grey_stays_grey_under_a_correction() -> None:
    for matrix in (1, 7, 9):
        correction = from_bt601(matrix)
        assert correction is not None
        assert np.allclose(correction @ np.ones(3), 1, atol=1e-6)
    assert from_bt601(6) is None
    assert from_bt601(0) is None


def test_a_missing_dali_or_gpu_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="device is 'tpu'"):
        DaliDecoder("tpu")  # type: ignore[arg-type]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install nvidia-dali-cuda130"):
        DaliDecoder("cpu")


@pytest.mark.needs_cuda
@pytest.mark.parametrize("matrix", [6, 1])
@pytest.mark.parametrize("codec", ["vp9", "vp8", "mjpeg", "mpeg4"])
def test_on_a_gpu_frames_stay_there_and_equal_the_hosts(codec: str, matrix: int) -> None:
    decoder = DaliDecoder("gpu", pipelines=2)
    chunk = encode(codec, matrix=matrix)
    batches = list(decoder.decode(chunk))
    assert all(batch.pixels.is_cuda for batch in batches)
    ours, times = together(iter(batches))
    theirs, same_times = together(PyAVDecoder(accurate=True).decode(chunk))
    assert times == same_times
    assert np.abs(ours.astype(int) - theirs).mean() < 2.0  # to be tightened by what the first run measures


def test_without_a_gpu_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(self: DaliDecoder, matrix: Any) -> Any:
        raise RuntimeError("Critical error in pipeline:\nError: CUDA is not available\n")

    monkeypatch.setattr(DaliDecoder, "_build", build)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    with pytest.raises(
        UserError, match="DALI cannot decode on the gpu: Error: CUDA is not available; decode with pyav"
    ):
        DaliDecoder("gpu")
