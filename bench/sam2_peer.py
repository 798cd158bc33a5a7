"""The peer: SAM 2's own video predictor, fed with tensors instead of files."""

from __future__ import annotations

from typing import Any
from unittest import mock

import torch

from engines.sam2.build import network


def predictor(variant: str, *, image_size: int, device: str = "cpu", seed: int = 0, compiled: bool = False) -> Any:
    """SAM2VideoPredictor (compiled: its VOS class) with the weights that engines.sam2.build draws from the seed."""
    name = "SAM2VideoPredictorVOS" if compiled else "SAM2VideoPredictor"
    peer = network(variant, image_size=image_size, seed=seed, target=f"sam2.sam2_video_predictor.{name}")
    assert peer.fill_hole_area == 0
    return peer.to(device)


def state(peer: Any, frames: torch.Tensor) -> Any:
    """Its inference state over normalised frames [T, 3, s, s], kept where its model is."""
    side = frames.shape[-1]
    with mock.patch("sam2.sam2_video_predictor.load_video_frames", return_value=(frames.to(peer.device), side, side)):
        return peer.init_state("")


def logits(state: Any, since: int = 0) -> torch.Tensor:
    """[T - since, objects, s/4, s/4] float32 on the CPU: masks from a frame on, before they are upsampled."""
    outputs = state["output_dict_per_obj"]
    frames: list[list[torch.Tensor]] = []
    for t in range(since, state["num_frames"]):
        by_object = []
        for held in outputs.values():
            found = held["cond_frame_outputs"].get(t) or held["non_cond_frame_outputs"].get(t)
            if found is None:
                raise ValueError(f"the predictor has no mask of every object on frame {t}")
            by_object.append(found["pred_masks"][0, 0].float().cpu())
        frames.append(by_object)
    return torch.stack([torch.stack(row) for row in frames])
