"""The detectors as they run and export: boxes are decoded where the network is. A DETR needs no suppression.

All end in the same three outputs, best first: boxes [n, k, 4] float32 xyxy pixels of the frame, scores [n, k] in
[0, 1], labels [n, k] int64.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from engines.detectors import hub

Out = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def corners(boxes: torch.Tensor, size: torch.Tensor) -> torch.Tensor:
    """[n, q, 4] xyxy pixels of centre, width and height in parts of the frame. size: [n, 2], its height and width."""
    centre, half = boxes[..., :2], boxes[..., 2:] / 2
    scale = size.flip(1).repeat(1, 2)[:, None]
    return torch.cat([centre - half, centre + half], dim=-1) * scale


class RfDetr(nn.Module):
    """RfDetrForObjectDetection and its decoding: the best of queries x classes, each of which may win."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model, self.keep = model, int(model.config.num_queries)

    def forward(self, frames: torch.Tensor, size: torch.Tensor) -> Out:
        """frames: [n, 3, s, s], normalised. size: [n, 2] float32, height and width of each frame in pixels."""
        out = self.model(frames)
        classes = out.logits.shape[-1]
        scores, places = out.logits.sigmoid().flatten(1).topk(self.keep, dim=1)
        query = torch.div(places, classes, rounding_mode="floor")
        boxes = corners(out.pred_boxes, size)
        return boxes.gather(1, query[..., None].expand(-1, -1, 4)), scores, places % classes


class GroundedText(nn.Module):
    """Grounding DINO's language model: what a set of prompts is to it. Once for all frames that are searched for it."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.language, self.stops = model.model.text_backbone, model.model.special_tokens

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """[1, l, d] of ids [1, l] int64: "[CLS] dog . red car . [SEP] [PAD] ..."; no phrase sees another."""
        seen, places = hub.phrases(ids, self.stops)
        found: torch.Tensor = self.language(ids, seen[:, None], torch.zeros_like(ids), places).last_hidden_state
        return found


class _Known(nn.Module):
    """Stands where the language model stood, and says what it said: so the rest is transformers' own forward."""

    def __init__(self) -> None:
        super().__init__()
        self.said = _Said()

    def forward(self, *_: Any, **__: Any) -> _Said:
        return self.said


class _Said:
    last_hidden_state: torch.Tensor | None = None


class GroundedFrames(nn.Module):
    """The rest of Grounding DINO and its decoding: each query's best prompt, and the best of the queries.

    The model is left without its language model: make `GroundedText` first. keep: detections a frame.
    """

    def __init__(self, model: Any, keep: int) -> None:
        super().__init__()
        self.known = model.model.text_backbone = _Known()
        self.model, self.keep = model, min(keep, int(model.config.num_queries))

    def forward(
        self, frames: torch.Tensor, size: torch.Tensor, extent: torch.Tensor, text: torch.Tensor, ids: torch.Tensor,
        used: torch.Tensor, spans: torch.Tensor,
    ) -> Out:  # fmt: skip
        """frames: [n, 3, s, s], normalised, each in the top left. size: as above. extent: [n, 2] float32, how many rows
        and columns of it are the frame. text: [1, l, d] of `GroundedText`. ids: [1, l] int64. used: [1, l] bool, the
        tokens that are no padding. spans: [p, l] bool, the tokens of each prompt; labels are rows of it."""
        n, side = frames.shape[0], frames.shape[-1]
        line = torch.arange(side, device=frames.device, dtype=extent.dtype)
        inside = (line[:, None] < extent[:, :1, None]) & (line[None] < extent[:, 1:, None])
        self.known.said.last_hidden_state = text.expand(n, -1, -1)
        try:
            out = self.model(
                frames, ids.expand(n, -1), attention_mask=used.expand(n, -1).long(), pixel_mask=inside.long()
            )
        finally:
            self.known.said.last_hidden_state = None
        tokens = out.logits[..., : ids.shape[1]].sigmoid()
        prompts = torch.where(spans, tokens[:, :, None], torch.zeros((), device=tokens.device)).amax(-1)
        best, label = prompts.max(-1)
        scores, query = best.topk(self.keep, dim=1)
        boxes = corners(out.pred_boxes, size).gather(1, query[..., None].expand(-1, -1, 4))
        return boxes, scores, label.gather(1, query)
