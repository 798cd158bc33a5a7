"""The working frame: the same whether its frame lies in host memory or on a device."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
import torch

from engines.backends.shared import SharedDetector
from engines.detections import Detections
from stream.detect import Detect
from stream.scan import WORK_SIDE, working_frame


@pytest.mark.parametrize("size", [(180, 320), (720, 1280), (1280, 720)])
def test_what_is_small_enough_is_taken_as_it_is(size: tuple[int, int]) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    host, device = working_frame(rgb), working_frame(torch.from_numpy(rgb))
    assert host.rgb is rgb
    assert host.picture is None
    assert np.array_equal(device.rgb, rgb)
    assert device.picture is not None
    assert host.scale == device.scale == 1.0


@pytest.mark.parametrize("size", [(1080, 1920), (2160, 3840), (1500, 900), (1081, 1923)])
def test_what_is_larger_is_made_smaller_where_it_lies(size: tuple[int, int]) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (size[0] // 20, size[1] // 20, 3), np.uint8)
    rgb = cv2.resize(rgb, size[::-1], interpolation=cv2.INTER_CUBIC)
    host, device = working_frame(rgb), working_frame(torch.from_numpy(rgb))
    assert max(host.rgb.shape) == WORK_SIDE
    assert device.rgb.shape == host.rgb.shape
    assert host.scale == device.scale == max(rgb.shape) / WORK_SIDE
    assert np.array_equal(device.picture.numpy(), device.rgb)
    assert np.abs(host.rgb.astype(int) - device.rgb).mean() < 3, "other filters, the same picture"


def test_a_detector_of_engines_is_given_frames_where_they_lie() -> None:
    class Batches:
        name = "batches"

        def detect(self, rgb: np.ndarray) -> Detections:
            given.append(type(rgb))
            return Detections.none()

        def detect_many(self, frames: Sequence[np.ndarray]) -> list[Detections]:
            return [self.detect(rgb) for rgb in frames]

    given: list[type] = []
    rgb = np.zeros((90, 160, 3), np.uint8)
    for detector in (Batches(), SharedDetector(Batches())):
        Detect(detector).look(rgb, torch.from_numpy(rgb))
        Detect(detector).look(rgb)
    assert given == [np.ndarray, np.ndarray, torch.Tensor, np.ndarray]
