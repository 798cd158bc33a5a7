"""CVAT for images 1.1 (docs.cvat.ai, XML annotation format), for images and videos alike: a mask a frame and entity.

Not CVAT for video: of a track of masks CVAT's importer keeps the first mask only (cvat/apps/dataset_manager/formats/
cvat.py). Who is who stands in `group_id`, and in the attribute `track_id`, which CVAT itself writes for tracks.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

import numpy as np
from numpy.typing import NDArray

from instruct.export.masks import Masks, crop
from stream.events import MaskletFrame

_HEAD = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
<version>1.1</version>
<meta><task><name>{name}</name><size>{size}</size><mode>annotation</mode>
<labels>{labels}</labels>
<original_size><width>{width}</width><height>{height}</height></original_size></task></meta>"""
_LABEL = """
<label><name>{}</name><type>mask</type><attributes><attribute><name>track_id</name><mutable>False</mutable>\
<input_type>text</input_type><default_value></default_value><values></values></attribute></attributes></label>"""


def cvat(masks: Masks) -> Iterator[bytes]:
    """The lines of a feed's file: frames that have masks."""
    labels = sorted({masks.categories[entity] for entity in masks.masks})
    yield _HEAD.format(
        name=escape(masks.feed), size=len(masks.times_us), labels="".join(_LABEL.format(escape(n)) for n in labels),
        width=masks.size[1], height=masks.size[0],
    ).encode()  # fmt: skip
    for i, seen in masks.by_frame():
        h, w = next(iter(seen.values())).rle.size
        yield f'<image id="{i}" name="frame_{i:06d}.png" width="{w}" height="{h}">'.encode()
        for entity, frame in seen.items():
            yield _mask(entity, masks.categories[entity], frame).encode()
        yield b"</image>"
    yield b"</annotations>"


def _mask(entity: int, label: str, frame: MaskletFrame) -> str:
    left, top, pixels = crop(frame.rle)
    h, w = pixels.shape
    return (
        f'<mask label={quoteattr(label)} source="auto" occluded="0" rle="{", ".join(map(str, runs(pixels)))}" '
        f'left="{left}" top="{top}" width="{w}" height="{h}" z_order="0" group_id="{entity}">'
        f'<attribute name="track_id">{entity}</attribute></mask>'
    )


def runs(pixels: NDArray[np.bool_]) -> list[int]:
    """Lengths of a mask's runs row by row, the first one of zeros."""
    flat = pixels.ravel()
    borders = np.flatnonzero(np.diff(flat)) + 1
    first = [0] if flat[0] else []
    return first + [int(n) for n in np.diff([0, *borders, flat.size])]
