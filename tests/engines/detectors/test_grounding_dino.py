"""Grounding DINO of drawn weights and a vocabulary made by hand: held against transformers' whole network and its own
post-processing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import GROUNDED

from engines.cache import Cache
from engines.compare import differences, random_inputs
from engines.detectors import hub, networks
from engines.detectors.detector import prepare
from engines.detectors.networks import GroundingFiles
from engines.detectors.opening import Grounding, open_grounding
from engines.detectors.prompts import encode
from engines.errors import UserError
from engines.opening import How, open_engine
from engines.store import Store

NAMES = ("Dog", "red car", "person")
SIZES = ((90, 160), (128, 128), (200, 50))


def frames() -> list[Any]:
    rng = np.random.default_rng(3)
    return [rng.integers(0, 255, (h, w, 3), np.uint8) for h, w in SIZES]


def test_tokens_of_names(files: GroundingFiles) -> None:
    prompts = encode(NAMES, hub.tokenizer(files.words), GROUNDED)
    assert prompts.names == NAMES
    ids = [101, 103, 1012, 105, 106, 1012, 107, 108, 1012, 102]  # dog . red car . per ##son .
    assert prompts.ids[0].tolist() == ids + [0] * 14
    assert prompts.used[0].tolist() == [True] * 10 + [False] * 14
    assert [np.flatnonzero(row).tolist() for row in prompts.spans] == [[1], [3, 4], [6, 7], []]


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ((), "nothing to look for"),
        (("dog", " "), "cannot look for ' '"),
        (("a dog. a cat",), "without full stops and question marks"),
        (("dog",) * 5, "5 things to look for: 4 fit"),
        (("a red car " * 8,), "what to look for has 27 tokens: 24 fit"),
    ],
)
def test_names_that_cannot_be_looked_for(files: GroundingFiles, names: tuple[str, ...], says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        encode(names, hub.tokenizer(files.words), GROUNDED)
    assert "\n" not in str(caught.value)


def test_frames_are_placed_as_the_network_was_trained(grounding: Grounding) -> None:
    """Like transformers' processor: in their own shape, in the top left, the rest 0."""
    made = prepare(frames(), GROUNDED.side, corner=True)
    assert made["extent"].tolist() == [[72, 128], [128, 128], [128, 32]]
    for picture, (h, w), frame in zip(made["frames"], [(72, 128), (128, 128), (128, 32)], frames(), strict=True):
        assert (picture[:, h:] == 0).all()
        assert (picture[:, :, w:] == 0).all()
        alone = torch.nn.functional.interpolate(
            torch.from_numpy(frame).permute(2, 0, 1)[None].float(), (h, w), mode="bilinear", antialias=True
        )[0]
        back = picture[:, :h, :w] * torch.tensor([58.395, 57.12, 57.375])[:, None, None]
        back += torch.tensor([123.675, 116.28, 103.53])[:, None, None]
        assert (back - alone).abs().max() < 1e-2


def test_boxes_and_phrases_are_transformers_own(grounding: Grounding, theirs: Any, files: GroundingFiles) -> None:
    """Their network whole, its text beside every frame; their post-processing at a threshold that keeps all."""
    from transformers.models.grounding_dino.processing_grounding_dino import GroundingDinoProcessor

    tokenizer = hub.tokenizer(files.words)
    detector = grounding.looking_for(NAMES)
    detector._least = 0.0
    ids = torch.tensor([tokenizer("dog. red car. person.")["input_ids"]])
    for frame, found in zip(frames(), detector.detect_many(frames()), strict=True):
        made = prepare([frame], GROUNDED.side, corner=True)
        h, w = (int(v) for v in made["extent"][0])
        with torch.no_grad():
            mask = torch.zeros(1, GROUNDED.side, GROUNDED.side, dtype=torch.long)
            mask[:, :h, :w] = 1
            outputs = theirs(made["frames"], ids, pixel_mask=mask)
        tokens = outputs.logits[0].sigmoid()
        best = torch.stack([tokens[:, [1]].amax(1), tokens[:, [3, 4]].amax(1), tokens[:, [6, 7]].amax(1)], 1)
        read = GroundingDinoProcessor.post_process_grounded_object_detection
        (wanted,) = read(
            Decodes(tokenizer), outputs, ids, threshold=0.0, text_threshold=0.0, target_sizes=[frame.shape[:2]]
        )
        scores, order = best.amax(1).sort(descending=True)
        kept = [i for i in order[: GROUNDED.keep].tolist() if visible(wanted["boxes"][i].numpy(), frame.shape)]
        assert len(found) == len(kept) > 0
        np.testing.assert_allclose(found.scores, best.amax(1)[kept].numpy(), atol=1e-5)
        assert scores[0] == pytest.approx(float(found.scores[0]), abs=1e-5)
        limits = np.array([frame.shape[1], frame.shape[0]] * 2)
        for box, category, i in zip(found.boxes, found.categories, kept, strict=True):
            assert category == NAMES[int(best[i].argmax())]
            assert category.lower().split()[0] in wanted["text_labels"][i]
            np.testing.assert_allclose(box, np.clip(wanted["boxes"][i].numpy(), 0, limits), atol=2e-2)


class Decodes:
    """What their post-processing asks of its processor."""

    def __init__(self, tokenizer: Any) -> None:
        self.batch_decode = tokenizer.batch_decode


def visible(box: Any, shape: tuple[int, ...]) -> bool:
    clipped = np.clip(box, 0, np.array([shape[1], shape[0]] * 2))
    return bool(((clipped[2:] - clipped[:2]) >= 2).all())


def test_a_frame_alone_and_among_others(grounding: Grounding) -> None:
    detector = grounding.looking_for(("dog", "cat"))
    detector._least = 0.0
    for frame, found in zip(frames(), detector.detect_many(frames()), strict=True):
        alone = detector.detect(frame)
        assert alone.categories == found.categories
        np.testing.assert_allclose(alone.boxes, found.boxes, atol=2e-2)
        np.testing.assert_allclose(alone.scores, found.scores, atol=1e-5)


def test_what_is_looked_for_is_read_once(grounding: Grounding, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    read = grounding._reads.run
    monkeypatch.setattr(grounding._reads, "run", lambda x: asked.append(x) or read(x))
    detector = grounding.looking_for(("dog",))
    for frame in frames():
        detector.detect(frame)
    assert len(asked) == 1


def test_weights_are_read_once(
    files: GroundingFiles, grounding: Grounding, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    read: list[Path] = []
    load = hub.grounding_dino
    monkeypatch.setattr(hub, "grounding_dino", lambda config, weights: read.append(weights) or load(config, weights))
    opened = open_grounding(GROUNDED, files, Store(tmp_path), How("torch"), Cache(tmp_path)).looking_for(NAMES)
    assert read == [files.weights]
    wanted = grounding.looking_for(NAMES)
    for frame in frames():
        assert (opened.detect(frame).boxes == wanted.detect(frame).boxes).all()


@pytest.mark.slow
def test_onnx_agrees_with_torch(files: GroundingFiles, grounding: Grounding, tmp_path: Path) -> None:
    """Both parts, and then the detector that is made of them."""
    store, cache = Store(tmp_path), Cache(tmp_path)
    for network in networks.grounding_dino(GROUNDED, files, store):
        engine, base = (open_engine(network, How(b), cache) for b in ("onnxruntime-cpu", "torch"))
        for found in differences(engine, base, random_inputs(network.spec, 3), network.align):
            assert found.part <= 1e-4, found
    exported = open_grounding(GROUNDED, files, store, How("onnxruntime-cpu"), cache).looking_for(NAMES)
    plain = grounding.looking_for(NAMES)
    for ours, wanted in zip(exported.detect_many(frames()), plain.detect_many(frames()), strict=True):
        assert len(ours) > 0
        assert ours.categories == wanted.categories
        np.testing.assert_allclose(ours.boxes, wanted.boxes, atol=2e-2)


def test_weights_as_they_are_published(files: GroundingFiles, tmp_path: Path) -> None:
    """By an older transformers: with an index that is computed now, and without a norm that nothing uses."""
    tensors = load_file(files.weights)
    unused = [n for n in tensors if ".swin.layernorm." in n]
    assert len(unused) == 2
    for name in unused:
        del tensors[name]
    for name in [n for n in tensors if n.endswith("relative_position_bias_table")]:
        tensors[name.replace("bias_table", "index")] = torch.zeros(4, 4, dtype=torch.int64)
    save_file(tensors, tmp_path / "old.safetensors")
    hub.grounding_dino(files.config, tmp_path / "old.safetensors")
    del tensors["model.level_embed"]
    save_file(tensors, tmp_path / "old.safetensors")
    with pytest.raises(UserError, match=r"1 weights are missing, first model\.level_embed"):
        hub.grounding_dino(files.config, tmp_path / "old.safetensors")


def test_files_that_are_none(files: GroundingFiles, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"num_queries": "many"}')
    with pytest.raises(UserError, match="is no configuration of Grounding DINO"):
        hub.grounding_dino(tmp_path / "config.json", files.weights)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(UserError, match="is no tokenizer"):
        hub.tokenizer(tmp_path / "tokenizer.json")
