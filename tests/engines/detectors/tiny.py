"""Detectors of a few thousand weights, drawn and written to files, so that tests load them as a user's are loaded.

transformers takes seconds to import: only the tests that need one of the networks pay for it, not every collection."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch

from engines.detectors.networks import GroundingFiles
from engines.detectors.shapes import GroundingShape, RfDetrShape

SHAPE = RfDetrShape(
    side=64, layers=2, windows=2, width=32, depth=3, heads=2, taps=(1, 3), dim=32, ffn=32, queries=10, self_heads=4,
    cross_heads=4, groups=2,
)  # fmt: skip
GROUNDED = GroundingShape(side=128, dim=16, vocabulary=1040, tokens=24, names=4, keep=8)
WORDS = ("dog", "cat", "red", "car", "per", "##son", "a", "ball")
"""The ids from 103 on; those of the stops (`[CLS]`, `[SEP]`, `.`, `?`) are BERT's own, which the network knows."""


def stir(model: torch.nn.Module, seed: int, much: float = 0.15) -> None:
    """Weights as made are zero where a mistake would not show."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(much * torch.randn(p.shape, generator=generator))


def rf_detr(folder: Path) -> Path:
    """The weights' file of a network of SHAPE."""
    from transformers import RfDetrConfig, RfDetrDinov2Config, RfDetrForObjectDetection

    torch.manual_seed(0)
    s = SHAPE
    backbone = RfDetrDinov2Config(
        hidden_size=s.width, num_hidden_layers=s.depth, num_attention_heads=s.heads, image_size=s.side,
        patch_size=s.patch, num_windows=s.windows, out_indices=list(s.taps),
    )  # fmt: skip
    model = RfDetrForObjectDetection(RfDetrConfig(
        backbone_config=backbone, d_model=s.dim, decoder_layers=s.layers, decoder_ffn_dim=s.ffn,
        decoder_n_points=s.points, decoder_self_attention_heads=s.self_heads,
        decoder_cross_attention_heads=s.cross_heads, num_queries=s.queries, group_detr=s.groups, num_labels=91,
    ))  # fmt: skip
    stir(model, 1)
    model.save_pretrained(folder)
    return folder / "model.safetensors"


def grounding_dino(folder: Path) -> GroundingFiles:
    """The files of a network of GROUNDED, and a WordPiece vocabulary made by hand."""
    from transformers import BertConfig, GroundingDinoConfig, GroundingDinoForObjectDetection, SwinConfig

    torch.manual_seed(0)
    vision = SwinConfig(
        image_size=128, embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 1, 1], window_size=2, out_indices=[2, 3, 4]
    )
    text = BertConfig(
        vocab_size=GROUNDED.vocabulary, hidden_size=GROUNDED.dim, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=64,
    )  # fmt: skip
    model = GroundingDinoForObjectDetection(GroundingDinoConfig(
        backbone_config=vision, text_config=text, d_model=32, encoder_layers=1, decoder_layers=2, num_queries=12,
        encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=32, decoder_ffn_dim=32, max_text_len=64,
    ))  # fmt: skip
    stir(model, 2, 0.06)  # with more the scores come so near to 1 that rounding orders them
    model.save_pretrained(folder)
    (folder / "tokenizer.json").write_text(json.dumps(words()))
    weights = folder / "model.safetensors"
    return GroundingFiles(
        weights, folder / "config.json", folder / "tokenizer.json", hashlib.sha256(weights.read_bytes()).hexdigest()
    )


def words() -> dict[str, Any]:
    """A tokenizer.json as bert-base-uncased's is: lower case, split at punctuation, WordPiece, [CLS] ... [SEP]."""
    own = {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 1012: ".", 1029: "?"}
    own |= {103 + i: word for i, word in enumerate(WORDS)}
    vocabulary = {own.get(i, f"[unused{i}]"): i for i in range(GROUNDED.vocabulary)}
    special = [
        {"id": i, "content": own[i], "special": True, "single_word": False, "lstrip": False, "rstrip": False,
         "normalized": False} for i in (0, 100, 101, 102)
    ]  # fmt: skip
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": special,
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                       "strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                       {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
            "pair": [],
            "special_tokens": {t: {"id": t, "ids": [vocabulary[t]], "tokens": [t]} for t in ("[CLS]", "[SEP]")},
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": vocabulary},
    }  # fmt: skip
