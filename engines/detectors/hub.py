"""Networks and tokenizers of Hugging Face transformers, filled from files; nothing is fetched, nothing pickled.

The only file that imports transformers and safetensors.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engines.detectors.shapes import RfDetrShape
from engines.errors import UserError, first_line
from engines.labels import COCO_IDS

MISSING = "transformers is not installed: pip install '.[detectors]'"


def rf_detr(shape: RfDetrShape, weights: Path) -> Any:
    """RfDetrForObjectDetection in float32, whose class i is COCO's category of that id.

    Raises UserError where transformers is missing, or the weights are missing, are none, or do not fit key by key."""
    transformers = _transformers()
    config = transformers.RfDetrConfig(
        backbone_config=transformers.RfDetrDinov2Config(
            hidden_size=shape.width, num_hidden_layers=shape.depth, num_attention_heads=shape.heads,
            image_size=shape.side, patch_size=shape.patch, num_windows=shape.windows, out_indices=list(shape.taps),
        ),
        d_model=shape.dim, decoder_layers=shape.layers, decoder_ffn_dim=shape.ffn, decoder_n_points=shape.points,
        decoder_self_attention_heads=shape.self_heads, decoder_cross_attention_heads=shape.cross_heads,
        num_queries=shape.queries, group_detr=shape.groups, num_labels=len(COCO_IDS),
    )  # fmt: skip
    return _filled(transformers.RfDetrForObjectDetection, config, weights)


def grounding_dino(config: Path, weights: Path) -> Any:
    """GroundingDinoForObjectDetection in float32. config: its config.json. Raises UserError as `rf_detr` does."""
    transformers = _transformers()
    try:
        read = transformers.GroundingDinoConfig.from_json_file(str(config))
    except Exception as e:  # the configuration's own checks raise classes of several libraries
        raise UserError(f"{config} is no configuration of Grounding DINO: {first_line(e, 120)}") from None
    read.disable_custom_kernels = True  # they are compiled at the first run, and do not export
    return _filled(transformers.GroundingDinoForObjectDetection, read, weights)


def phrases(ids: Any, stops: Any) -> tuple[Any, Any]:
    """Of ids [n, l]: which tokens see each other, those between two of `stops` ([n, l, l] bool), and each one's place
    among them [n, l]."""
    from transformers.models.grounding_dino import modeling_grounding_dino as grounding

    return grounding.generate_masks_with_special_tokens_and_transfer_map(ids, stops)  # type: ignore[no-any-return]


def tokenizer(path: Path) -> Any:
    """The fast tokenizer of a tokenizer.json. Raises UserError where it is none."""
    try:
        return _transformers().PreTrainedTokenizerFast(
            tokenizer_file=str(path), unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]"
        )
    except UserError:
        raise
    except Exception as e:  # tokenizers raises Exception itself
        raise UserError(f"{path} is no tokenizer: {first_line(e, 120)}") from None


def _filled(kind: Any, config: Any, weights: Path) -> Any:
    """A model of this kind with these weights, every key and shape of which has to fit."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not weights.is_file():
        raise UserError(f"no weights at {weights}: strefer models pull fetches them")
    try:
        tensors = load_file(weights)
    except (SafetensorError, OSError) as e:
        raise UserError(f"{weights} is no safetensors file: {first_line(e, 120)}") from None
    with _quiet():
        model, told = kind.from_pretrained(
            None, config=config, state_dict=tensors, dtype="float32", output_loading_info=True,
            ignore_mismatched_sizes=True,
        )  # fmt: skip
    if problem := _problem(told):
        raise UserError(f"{weights} does not fit {kind.__name__}: {problem}; take the weights it was made for")
    return model.eval()


def _problem(told: dict[str, Any]) -> str:
    """What did not fit, in a few words; "" where all did."""
    if missing := sorted(told["missing_keys"]):
        return f"{len(missing)} weights are missing, first {missing[0]}"
    if extra := sorted(told["unexpected_keys"]):
        return f"{len(extra)} weights are unknown, first {extra[0]}"
    if wrong := sorted(told["mismatched_keys"]):
        name, found, wanted = wrong[0]
        return f"{name} is of shape {tuple(found)}, wanted {tuple(wanted)}"
    return ""


def _transformers() -> Any:
    try:
        import transformers
    except ImportError:
        raise UserError(MISSING) from None
    return transformers


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """It tells in a table what did not fit, which we tell in a line, and shows a bar while it fills a network."""
    from transformers.utils import logging as told

    log = logging.getLogger("transformers")
    level, bar = log.level, told.is_progress_bar_enabled()
    log.setLevel(logging.ERROR)
    told.disable_progress_bar()
    try:
        yield
    finally:
        log.setLevel(level)
        if bar:
            told.enable_progress_bar()
