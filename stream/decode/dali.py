"""Chunks to frames by NVIDIA DALI: NVDEC on a GPU, where frames stay on the device, or VP8, VP9 and MJPEG on the CPU.

DALI knows no presentation times (they come from the container), converts every stream by BT.601 (put right here) and
loses a pipeline at the first error (built anew). One pipeline drives one NVDEC engine: as many chunks are decoded at
once as threads call `decode`, up to `pipelines`. docs/decode.md has what was measured.
"""

from __future__ import annotations

import importlib.util
import queue
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.errors import UserError
from stream.chunk import Chunk
from stream.decode import CorruptChunkError
from stream.decode.colour import from_bt601
from stream.decode.container import Contents, contents
from stream.frames import U8, Frames

Device = Literal["gpu", "cpu"]
CODECS: dict[Device, frozenset[str]] = {
    "cpu": frozenset({"vp8", "vp9", "mjpeg"}),
    "gpu": frozenset({"h264", "hevc", "vp8", "vp9", "av1", "mpeg4", "mjpeg"}),
}
GPU_PIXEL_FORMATS = frozenset({"yuv420p", "yuvj420p", "nv12"})
_DECODER_NAMES = {"libvpx-vp9": "vp9", "libvpx": "vp8", "libdav1d": "av1", "libaom-av1": "av1"}
_NOT_THE_CHUNK = ("out of memory", "CUDA driver", "CUDA runtime", "Can't allocate")
"""Errors of the machine: the chunk may well be good, so it must not be put away as a bad one."""
_Matrix = NDArray[np.float32] | None


class DaliDecoder:
    """A `Decoder`. On "gpu" frames are `torch.Tensor`s on the device (through DLPack), on "cpu" NumPy arrays.

    Args:
        device: "gpu" or "cpu".
        batch: most frames of one `Frames`.
        pipelines: chunks decoded at once; a GPU wants at least one for each NVDEC engine (an H200 has 7).
        threads: CPU threads of each pipeline.
        device_id: which GPU.

    Raises UserError where DALI, torch or the GPU is missing.
    """

    def __init__(
        self, device: Device = "gpu", batch: int = 8, *, pipelines: int = 0, threads: int = 2, device_id: int = 0
    ) -> None:
        if device not in CODECS:
            raise ValueError(f"device is {device!r}, wanted one of {sorted(CODECS)}")
        if batch < 1:
            raise ValueError(f"batch is {batch}, wanted at least 1")
        if importlib.util.find_spec("nvidia") is None or importlib.util.find_spec("nvidia.dali") is None:
            raise UserError("DALI is not installed: pip install nvidia-dali-cuda130, or decode with pyav")
        if device == "gpu" and importlib.util.find_spec("torch") is None:
            raise UserError("decoding on the GPU needs torch: pip install torch, or decode with pyav")
        self.name = f"dali-{device}"
        self.device, self.batch, self.threads, self.device_id = device, batch, threads, device_id
        count = pipelines or (8 if device == "gpu" else 1)
        # Built when first needed: a place holds a pipeline and the matrix it corrects for, or nothing.
        self._places: queue.LifoQueue[tuple[Any, _Matrix] | None] = queue.LifoQueue()
        for _ in range(count - 1):
            self._places.put(None)
        try:
            self._places.put((self._build(None), None))
        except RuntimeError as e:
            raise UserError(f"DALI cannot decode on the {device}: {_cause(e)}; decode with pyav") from e

    def supports(self, chunk: Chunk) -> bool:
        """Whether DALI can decode this chunk here: its codec and, on a GPU, 8 bit 4:2:0. False for no video at all."""
        try:
            return self._refusal(contents(chunk)) is None
        except CorruptChunkError:
            return False

    def _refusal(self, found: Contents) -> str | None:
        codec = _DECODER_NAMES.get(found.codec, found.codec)
        if codec not in CODECS[self.device]:
            return f"codec is {codec}, DALI on the {self.device} reads {sorted(CODECS[self.device])}"
        if self.device == "gpu" and found.pixel_format not in GPU_PIXEL_FORMATS:
            return f"pixel format is {found.pixel_format}, DALI on the gpu reads {sorted(GPU_PIXEL_FORMATS)}"
        return None

    def decode(self, chunk: Chunk) -> Iterator[Frames]:
        """Yield the chunk's frames; raises CorruptChunkError where it is no video DALI can read or the number of
        frames is not the header's. The next batch is decoded while the caller works on the one it was given."""
        found = contents(chunk)
        if refusal := self._refusal(found):
            raise CorruptChunkError(refusal)
        times = found.times_us(chunk.header)
        matrix = from_bt601(found.matrix)
        # FFmpeg leaves out what an edit list discards, NVDEC knows nothing of it.
        shown = np.array(found.shown) if self.device == "gpu" else np.ones(len(times), bool)
        at = 0
        # DALI does not say when it is through with a chunk; what it had left over would lead the next one. A last batch
        # shorter than asked for is the proof. Without it, or where the two may count differently, the pipeline goes.
        through = all(found.shown) and len(shown) % self.batch != 0
        with self._pipeline(matrix, keep=through) as pipeline:
            for tensor, start in _batches(pipeline, chunk.data, len(shown)):
                visible = shown[start : start + tensor.shape()[0]]
                pixels = self._finish(tensor, matrix, visible, chunk.header.rotation)
                if len(pixels):
                    yield Frames(pixels, times[at : at + len(pixels)])
                at += len(pixels)

    def _finish(self, pixels: Any, matrix: _Matrix, visible: NDArray[np.bool_], rotation: int) -> Any:
        """DALI's tensor [T, H, W, 3] as the upright frames to be shown, on the same device."""
        if self.device == "gpu":
            import torch

            tensor = torch.from_dlpack(pixels)
            if not visible.all():
                tensor = tensor[torch.from_numpy(visible).to(tensor.device)]
            return torch.rot90(tensor, -(rotation // 90), (1, 2)) if rotation else tensor
        array: U8 = np.from_dlpack(pixels).astype(np.uint8, copy=False)
        if matrix is not None:
            array = correct(array, matrix)
        return np.rot90(array, -(rotation // 90), (1, 2)) if rotation else array

    @contextmanager
    def _pipeline(self, matrix: _Matrix, *, keep: bool) -> Iterator[Any]:
        """A pipeline of the pool for one chunk. One that failed, or whose chunk was not read to its end, is dropped."""
        place = self._places.get()
        pipeline = None
        try:
            fits = place is not None and (self.device == "cpu" or _same(place[1], matrix))
            pipeline = place[0] if place is not None and fits else self._build(matrix)
            yield pipeline
            place = (pipeline, matrix) if keep else None
        except RuntimeError as e:
            place = None
            if any(word in str(e) for word in _NOT_THE_CHUNK):
                raise
            raise CorruptChunkError(f"chunk cannot be decoded: {_cause(e)}") from e
        except BaseException:
            place = None
            raise
        finally:
            self._places.put(place)

    def _build(self, matrix: _Matrix) -> Any:
        from nvidia.dali import Pipeline, fn, types

        gpu = self.device == "gpu"
        # A queue of one: DALI would else run ahead of what it was fed, which is an error.
        pipeline = Pipeline(
            batch_size=1,
            num_threads=self.threads,
            device_id=self.device_id if gpu else None,
            prefetch_queue_depth=1,
        )
        with pipeline:
            frames = fn.experimental.inputs.video(
                name="chunk",
                device="mixed" if gpu else "cpu",
                sequence_length=self.batch,
                last_sequence_policy="partial",
            )
            if gpu and matrix is not None:
                frames = fn.coord_transform(frames, M=matrix.ravel().tolist(), dtype=types.UINT8)
            pipeline.set_outputs(frames)
        pipeline.build()
        return pipeline


def correct(pixels: NDArray[np.uint8], matrix: NDArray[np.float32]) -> NDArray[np.uint8]:
    """[T, H, W, 3] uint8 times a [3, 3] matrix, rounded and clipped. (DALI's own operator takes 8 times as long.)"""
    rows = pixels.reshape(-1, pixels.shape[2], 3)
    turned: NDArray[np.uint8] = cv2.transform(rows, matrix).reshape(pixels.shape)
    return turned


def _batches(pipeline: Any, data: bytes, count: int) -> Iterator[tuple[Any, int]]:
    """Sequences [T, H, W, 3] of a video of `count` frames, and the index of each one's first frame."""
    pipeline.feed_input("chunk", [np.frombuffer(data, np.uint8)])
    pipeline.schedule_run()
    start = 0
    while start < count:
        (sequences,) = pipeline.outputs()
        pixels = sequences[0]
        length = pixels.shape()[0]
        if length == 0 or start + length > count:
            raise RuntimeError(f"{start + length} frames came, the container has {count}")
        if start + length < count:
            pipeline.schedule_run()
        yield pixels, start
        start += length


def _same(one: _Matrix, other: _Matrix) -> bool:
    return one is other or (one is not None and other is not None and np.array_equal(one, other))


def _cause(e: RuntimeError) -> str:
    """The line of DALI's report that says what happened."""
    lines = [line.strip() for line in str(e).splitlines() if line.strip()]
    marked = [line for line in lines if line.startswith("[/opt/dali") or "rror" in line]
    return (marked or lines or ["no reason given"])[-1]
