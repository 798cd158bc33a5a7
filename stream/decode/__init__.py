"""Chunks to frames: one interface, two decoders (`pyav` on the CPU, `dali` on the GPU)."""


class CorruptChunkError(ValueError):
    """The chunk is no video this decoder can read; the message says why."""
