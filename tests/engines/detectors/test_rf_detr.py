"""RF-DETR of drawn weights: boxes against transformers' own post-processing, batches, ONNX, weights that do not fit."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import SHAPE

from engines.cache import Cache
from engines.compare import differences, random_inputs
from engines.detections import Detections
from engines.detectors import hub
from engines.detectors.align import align
from engines.detectors.detector import EngineDetector, prepare
from engines.detectors.opening import open_rf_detr
from engines.errors import UserError
from engines.labels import COCO, COCO_IDS
from engines.networks import Network
from engines.opening import How, open_engine

SIZES = ((90, 160), (64, 64), (200, 50))


def frames() -> list[Any]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 255, (h, w, 3), np.uint8) for h, w in SIZES]


@pytest.fixture(scope="module")
def detector(closed: Network, tmp_path_factory: pytest.TempPathFactory) -> EngineDetector:
    engine = open_engine(closed, How("torch"), Cache(tmp_path_factory.mktemp("cache")))
    return EngineDetector("rf-detr", engine, COCO_IDS, least=0.0)


def test_labels_are_cocos_own_numbers() -> None:
    assert [c for c in COCO_IDS if c] == list(COCO)
    assert (COCO_IDS[1], COCO_IDS[18], COCO_IDS[72], COCO_IDS[90]) == ("person", "dog", "tv", "toothbrush")


def test_boxes_are_transformers_own_in_pixels_of_the_frame(detector: EngineDetector, weights: Path) -> None:
    from transformers.models.deformable_detr import image_processing_pil_deformable_detr as processing

    model = hub.rf_detr(SHAPE, weights)
    for frame, found in zip(frames(), detector.detect_many(frames()), strict=True):
        with torch.no_grad():
            raw = model(prepare([frame], SHAPE.side)["frames"])
        outputs = SimpleNamespace(logits=raw.logits, pred_boxes=raw.pred_boxes)
        (wanted,) = processing.DeformableDetrImageProcessorPil().post_process_object_detection(
            outputs, threshold=0.0, target_sizes=[frame.shape[:2]], top_k=SHAPE.queries
        )
        assert len(found) > 0
        told = dict(zip(wanted["scores"].tolist(), zip(wanted["labels"], wanted["boxes"], strict=True), strict=True))
        h, w = frame.shape[:2]
        for box, score, category in zip(found.boxes, found.scores, found.categories, strict=True):
            label, theirs = told[min(told, key=lambda s: abs(s - score))]
            assert category == COCO_IDS[int(label)]
            np.testing.assert_allclose(box, np.clip(theirs.numpy(), 0, [w, h, w, h]), atol=1e-3)


def same(a: Detections, b: Detections) -> None:
    """The same things; what is a rounding apart may change places."""
    assert len(a) == len(b) > 0
    x, y = align(arrays(a), arrays(b))
    np.testing.assert_allclose(x["boxes"], y["boxes"], atol=1e-3)
    np.testing.assert_allclose(x["scores"], y["scores"], atol=1e-5)
    assert (x["labels"] == y["labels"]).all()


def arrays(found: Detections) -> dict[str, Any]:
    labels = np.array([COCO_IDS.index(c) for c in found.categories])
    return {"boxes": found.boxes[None], "scores": found.scores[None], "labels": labels[None]}


def test_a_frame_alone_and_among_others_of_other_sizes(detector: EngineDetector) -> None:
    for frame, found in zip(frames(), detector.detect_many(frames()), strict=True):
        same(detector.detect(frame), found)
        same(detector.detect(torch.from_numpy(frame)), found)


def test_more_frames_than_a_batch_holds(detector: EngineDetector) -> None:
    many = [frames()[i % 3] for i in range(18)]
    found = detector.detect_many(many)
    assert len(found) == 18
    same(found[17], found[2])
    assert detector.detect_many([]) == []


def test_faint_ones_categories_of_none_and_slivers_are_left_out(detector: EngineDetector) -> None:
    spec = detector._engine.spec

    class Says:
        backend = "says"

        def __init__(self) -> None:
            self.spec = spec

        def run(self, inputs: Any) -> dict[str, torch.Tensor]:
            boxes = torch.tensor([[[-5, 0, 20, 20], [0, 0, 9, 9], [0, 0, 9, 9], [3, 3, 4.5, 30]]], dtype=torch.float32)
            scores = torch.tensor([[0.9, 0.8, 0.2, 0.7]])
            return {"boxes": boxes, "scores": scores, "labels": torch.tensor([[18, 12, 18, 18]])}

    found = EngineDetector("says", Says(), COCO_IDS).detect(np.zeros((10, 16, 3), np.uint8))
    assert found.categories == ("dog",)
    assert found.boxes.tolist() == [[0, 0, 16, 10]]


@pytest.mark.slow
def test_onnx_agrees_with_torch(closed: Network, tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    engine, base = (open_engine(closed, How(b), cache) for b in ("onnxruntime-cpu", "torch"))
    for found in differences(engine, base, random_inputs(closed.spec, 3), align):
        assert found.part <= 1e-4, found
    detector = open_rf_detr(closed, How("onnxruntime-cpu"), cache)
    assert detector.backend == "onnxruntime/CPU"
    assert len(detector.detect_many(frames())) == 3


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.pop("class_embed.bias"), "1 weights are missing, first class_embed.bias"),
        (lambda t: t.update({"class_embed.x": torch.zeros(1)}), "1 weights are unknown, first model.class_embed.x"),
        (lambda t: t.update({"class_embed.bias": torch.zeros(3)}), r"class_embed.bias is of shape \(3,\), wanted \(91"),
    ],
)  # fmt: skip
def test_weights_that_do_not_fit(weights: Path, tmp_path: Path, change: Any, says: str) -> None:
    tensors = load_file(weights)
    change(tensors)
    save_file(tensors, tmp_path / "w.safetensors")
    with pytest.raises(UserError, match=f"w.safetensors does not fit RfDetrForObjectDetection: {says}") as caught:
        hub.rf_detr(SHAPE, tmp_path / "w.safetensors")
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_weights_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no weights at .*: strefer models pull fetches them"):
        hub.rf_detr(SHAPE, tmp_path / "w.safetensors")
    (tmp_path / "w.safetensors").write_bytes(b"an error page")
    with pytest.raises(UserError, match="is no safetensors file"):
        hub.rf_detr(SHAPE, tmp_path / "w.safetensors")
