"""Image-text networks that are real ONNX files but know colours only: a picture is the mean of its pixels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

SIDE = 32
WORDS = {
    "<pad>": (0, 0, 0), "<unk>": (0, 0, 0), "girl": (4, -4, -4), "boy": (-4, -4, 4), "zebu": (-4, 4, -4),
    "person": (1, 1, 1), "cow": (1, 1, 1),
}  # fmt: skip
"""What each word means, as a colour about grey: a girl is red, a boy blue, a zebu green."""


def build(folder: Path, *, siglip: bool = True, depth: int = 3) -> Path:
    """The three files in `folder`, and the JSON files that an exporter writes beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    pixels = helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["b", 3, SIDE, SIDE])
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["b", "l"])
    image, text = ("pooler_output",) * 2 if siglip else ("image_embeds", "text_embeds")
    _save(
        folder / "vision_model.onnx", [pixels], image, 3,
        [helper.make_node("ReduceMean", ["pixel_values"], [image], axes=[2, 3], keepdims=0)], [],
    )  # fmt: skip
    table = numpy_helper.from_array(np.array(list(WORDS.values()), np.float32)[:, :depth], "table")
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["each"]),
        helper.make_node("ReduceMean", ["each"], [text], axes=[1], keepdims=0),
    ]
    inputs = [ids]
    if not siglip:
        inputs.append(helper.make_tensor_value_info("attention_mask", TensorProto.INT64, ["b", "l"]))
    _save(folder / "text_model.onnx", inputs, text, depth, nodes, [table])
    tokenizer = Tokenizer(WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    tell(folder, "tokenizer_config.json", {"model_max_length": 16, "pad_token": "<pad>"})
    tell(folder, "preprocessor_config.json", {"size": {"height": SIDE, "width": SIDE}, "resample": 3})
    tell(folder, "config.json", {"model_type": "siglip" if siglip else "clip", "logit_scale": 10.0})
    return folder


def tell(folder: Path, name: str, body: dict[str, object]) -> None:
    (folder / name).write_text(json.dumps(body))


def _save(
    path: Path,
    inputs: list[onnx.ValueInfoProto],
    output: str,
    depth: int,
    nodes: list[onnx.NodeProto],
    weights: list[onnx.TensorProto],
) -> None:
    out = helper.make_tensor_value_info(output, TensorProto.FLOAT, ["b", depth])
    graph = helper.make_graph(nodes, path.stem, inputs, [out], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
