"""SAM 2.1 put together: the four parts, with random or real weights (the only file that imports the sam2 package)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from engines.digest import sha256
from engines.errors import UserError
from engines.sam2 import onednn
from engines.sam2.attend import way
from engines.sam2.attention import MemoryAttention
from engines.sam2.decoder import MaskDecoder
from engines.sam2.encoder import ImageEncoder
from engines.sam2.layers import cast
from engines.sam2.memory import MemoryEncoder
from engines.sam2.variants import STRIDE, variant
from engines.sam2.weights import draw, load

POSTPROCESSING = (
    "++model.sam_mask_decoder_extra_args.dynamic_multimask_via_stability=true",
    "++model.sam_mask_decoder_extra_args.dynamic_multimask_stability_delta=0.05",
    "++model.sam_mask_decoder_extra_args.dynamic_multimask_stability_thresh=0.98",
    "++model.binarize_mask_from_pts_for_mem_enc=true",
)
"""What build_sam2_video_predictor sets too, but for filling holes of up to 8 pixels, which needs a CUDA extension."""


@dataclass(slots=True)
class Sam2:
    """The four parts on one device. side: of the input in pixels. grid: of the coarsest features, side / 16.

    memories, pointers: how many of each an object attends to. no_memory: [1, 1, 256], added to the tokens of a frame
    that is seen without memory.
    """

    encoder: Any
    decoder: Any
    memory: Any
    attention: Any
    no_memory: torch.Tensor
    side: int
    memories: int
    pointers: int
    device: str
    dtype: torch.dtype
    key: str = ""
    """Tells this model's weights and size from another's."""
    fixed: bool = False
    """Whether steps are to have room for all memories from the first frame on, so that shapes never change."""

    @property
    def grid(self) -> int:
        return self.side // STRIDE

    @property
    def together(self) -> int:
        """Objects in work at once, 0 for all: a CPU gains nothing from a batch, and its cache is too small for one."""
        return 1 if self.device == "cpu" and not self.fixed else 0

    def compile(self, **options: Any) -> Sam2:
        """The same with torch.compile on each part, and so of fixed shapes; options are its own (dynamic, mode, …).

        On a CPU attention to memory stays as it is, and shapes with it: it is oneDNN's products (`attend.blocked`), of
        which the compiler takes those of constant weights only."""
        self.fixed = self.device != "cpu"
        for name in ("encoder", "decoder", "memory", *(["attention"] if self.fixed else [])):
            part = getattr(self, name)
            part.forward = torch.compile(part.forward, **options)
        return self


def build(
    name: str,
    *,
    image_size: int = 1024,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    weights: Path | None = None,
    seed: int = 0,
    attention: str = "auto",
) -> Sam2:
    """SAM 2.1 `name` (see variants.VARIANTS) for square inputs of image_size pixels.

    attention: one of attend.WAYS; "auto" is the quickest for the device, and on a CPU packs linear layers for oneDNN.
    weights: one of Meta's checkpoints; without, weights are drawn from `seed`.
    Raises UserError where the sam2 package is missing or the weights do not fit, ValueError for another size or name.
    """
    base = network(name, image_size=image_size, weights=weights, seed=seed)
    weighed = f"drawn {seed}" if weights is None else sha256(weights)
    with torch.no_grad():
        parts: tuple[Any, ...] = (
            ImageEncoder(base),
            MaskDecoder(base),
            MemoryEncoder(base),
            MemoryAttention(base, way(attention, device, dtype)),
        )
        parts = tuple(cast(part, device, dtype) for part in parts)
        if device == "cpu" and dtype == torch.float32 and attention == "auto" and onednn.available():
            # Not the decoder: it is quick as it is, and what oneDNN rounds more coarsely would show in its masks.
            parts = tuple(part if isinstance(part, MaskDecoder) else onednn.pack(part) for part in parts)
    encoder, decoder, memory, attend = parts
    return Sam2(
        encoder, decoder, memory, attend, base.no_mem_embed.detach().to(device, dtype), image_size,
        base.num_maskmem, base.max_obj_ptrs_in_encoder, device, dtype, f"{name}@{image_size} {weighed}",
    )  # fmt: skip


def network(name: str, *, image_size: int = 1024, weights: Path | None = None, seed: int = 0, target: str = "") -> Any:
    """The sam2 package's own model on the CPU in float32, in evaluation mode: SAM2Base, or the class `target` names."""
    chosen = variant(name)
    if image_size < 2 * STRIDE or image_size % (2 * STRIDE):
        raise ValueError(f"image_size is {image_size}, wanted a multiple of {2 * STRIDE}")
    try:
        from sam2.build_sam import build_sam2
    except ImportError as e:
        missing = f"{e.name or e} is not installed"
        raise UserError(
            f"{missing}: SAM2_BUILD_CUDA=0 pip install --no-deps --no-build-isolation sam2==1.1.0 (docs/sam2.md)"
        ) from None
    overrides = [*chosen.overrides, *POSTPROCESSING, f"++model.image_size={image_size}"]
    if target:
        overrides += [f"++model._target_={target}"]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        base = build_sam2(
            chosen.config, None, device="cpu", hydra_overrides_extra=overrides, apply_postprocessing=False
        )
    if weights is None:
        draw(base, seed)
    else:
        load(base, weights, chosen)
    base.requires_grad_(False)
    return base.eval()
