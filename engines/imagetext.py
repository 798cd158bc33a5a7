"""An image-text network (SigLIP or CLIP): how well a picture of an entity fits a text, as two towers in ONNX.

Taken as exporters write it (optimum and transformers.js; see `FILES`): the vision tower takes `pixel_values`
[B, 3, S, S] float32, the text tower `input_ids` [B, L] int64 (CLIP's also `attention_mask`); the embeddings are
`image_embeds` and `text_embeds` of CLIP, `pooler_output` of SigLIP, which has no projections. The only file that
imports tokenizers. Sources: Radford et al., arXiv 2103.00020; Zhai et al., arXiv 2303.15343.
"""

from __future__ import annotations

import string
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from engines.backends.ort import OrtSession
from engines.crops import F32, U8, shrink
from engines.errors import UserError, first_line
from engines.work import Tap, as_it_is

if TYPE_CHECKING:
    from tokenizers import Tokenizer

FILES = {
    "vision": ("vision.onnx", "vision_model.onnx", "onnx/vision_model.onnx"),
    "text": ("text.onnx", "text_model.onnx", "onnx/text_model.onnx"),
    "tokenizer": ("tokenizer.json",),
}
"""Where each file lies in the network's folder: plainly, or as a copy of an exporter's repository has it."""
_T = TypeVar("_T", bound=msgspec.Struct)
PAD = 1.1
"""Side of the square that is looked at, in longer sides of the mask's box."""
TEXTS = 256
"""Embeddings of texts kept at once."""
_TEXT_LENGTH = 512
"""Longer limits are no limits: tokenizers without one say 1e30."""


@dataclass(frozen=True, slots=True)
class Config:
    """What the exporters' JSON files tell, or the family's own values where they do not.

    size: pixels a side. mean, std: [3] float32 over RGB in 0..1. length: tokens a text is padded to. scale: what a
    cosine is multiplied by to be a logit. pad: the token that fills up.
    """

    family: str
    size: int
    mean: F32
    std: F32
    length: int
    scale: float
    pad: str | None


class ImageTextNet:
    """Both towers. `key` tells embeddings of one network from those of another."""

    def __init__(self, vision: OrtSession, text: OrtSession, tokenizer: Tokenizer, config: Config, key: str) -> None:
        self._vision, self._text, self._config, self.key = vision, text, config, key
        self._image_out = _one_of(vision, ("image_embeds", "pooler_output"))
        self._text_out = _one_of(text, ("text_embeds", "pooler_output"))
        self._tokenizer = tokenizer
        self._cache: OrderedDict[str, F32] = OrderedDict()

    @property
    def scale(self) -> float:
        """Logits of a cosine of 1."""
        return self._config.scale

    def image(self, rgb: U8, mask: NDArray[np.bool_], x0: int, y0: int) -> F32 | None:
        """[D] float32 of length 1 for what `mask` [h, w] shows, its top left at (x0, y0) of a frame [H, W, 3]; None
        where it is empty."""
        cut = square(rgb, mask, x0, y0, self._config.mean)
        if cut is None:
            return None
        pixels = prepare(cut, self._config)
        return _unit(self._vision.run_named({"pixel_values": pixels}, self._image_out))

    def text(self, text: str) -> F32:
        """[D] float32 of length 1; the last `TEXTS` are kept."""
        if text in self._cache:
            self._cache.move_to_end(text)
            return self._cache[text]
        # As SigLIP was trained: lower case, no punctuation, always of full length. CLIP's tokenizer does the first
        # itself, and its tower is causal, so that what follows the end of the text is not seen.
        plain = " ".join(text.lower().translate(str.maketrans("", "", string.punctuation)).split())
        encoded = self._tokenizer.encode(plain)
        feeds: dict[str, NDArray[np.int64]] = {"input_ids": np.array([encoded.ids], np.int64)}
        if "attention_mask" in self._text.inputs:
            feeds["attention_mask"] = np.array([encoded.attention_mask], np.int64)
        found = self._cache[text] = _unit(self._text.run_named(feeds, self._text_out))
        if len(self._cache) > TEXTS:
            self._cache.popitem(last=False)
        return found


def square(rgb: U8, mask: NDArray[np.bool_], x0: int, y0: int, mean: F32) -> U8 | None:
    """[S, S, 3] uint8 round the mask, all outside it painted in the network's mean colour (SigLIP's: mid-grey), which
    is 0 to the network: what is behind and beside the entity says nothing."""
    ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(xs):
        return None
    own = mask[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1]
    h, w = own.shape
    top, left = y0 + int(ys[0]), x0 + int(xs[0])
    side = int(np.ceil(PAD * max(h, w)))
    out = np.empty((side, side, 3), np.uint8)
    out[:] = np.rint(mean * 255).astype(np.uint8)
    dy, dx = (side - h) // 2, (side - w) // 2
    out[dy : dy + h, dx : dx + w][own] = rgb[top : top + h, left : left + w][own]
    return out


def prepare(image: U8, config: Config) -> F32:
    """[1, 3, S, S] float32: `image` [H, W, 3] RGB at the network's size, in 0..1, less the mean, over the deviation.

    Bicubic like both families' processors; a large image is halved by area first, as their antialiasing does."""
    side = config.size
    while min(image.shape[:2]) >= 2 * side:
        image = shrink(image, (image.shape[1] // 2, image.shape[0] // 2))
    small = cv2.resize(image, (side, side), interpolation=cv2.INTER_CUBIC)
    scaled = (small.astype(np.float32) / np.float32(255) - config.mean) / config.std
    return np.ascontiguousarray(scaled.transpose(2, 0, 1)[None], np.float32)


def locate(folder: Path) -> dict[str, Path] | None:
    """The network's files by part; None where none of them is there. Raises UserError where some are missing."""
    found = {part: next((folder / n for n in names if (folder / n).is_file()), None) for part, names in FILES.items()}
    if not any(found.values()):
        return None
    for part, path in found.items():
        if path is None:
            raise UserError(
                f"the image-text network in {folder} has no {FILES[part][0]}: add it, or move the rest away"
            )
    return {part: path for part, path in found.items() if path is not None}


def load(
    folder: Path, files: dict[str, Path], key: str, *, threads: int = 2, tap: Tap = as_it_is
) -> tuple[ImageTextNet, str]:
    """The network of these files and what runs it. tap: is shown both towers. Raises UserError in one line where a file
    is not what it should be, or tokenizers is not installed."""
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise UserError("tokenizers is not installed: pip install '.[imagetext]'") from None
    vision, text = (tap(f"imagetext-{part}", OrtSession(files[part], threads=threads)) for part in ("vision", "text"))
    for session, path, wanted in ((vision, files["vision"], "pixel_values"), (text, files["text"], "input_ids")):
        if wanted not in session.inputs:
            raise UserError(f"{path} takes {', '.join(session.inputs)} and not {wanted}: export the two towers apart")
    config = configure(folder, "clip" if "image_embeds" in vision.outputs else "siglip")
    try:
        tokenizer = Tokenizer.from_file(str(files["tokenizer"]))
    except Exception as e:  # tokenizers raises Exception itself
        raise UserError(f"{files['tokenizer']} is no tokenizer: {first_line(e)}") from None
    filler, number = _filler(tokenizer, config)
    tokenizer.enable_truncation(config.length)
    tokenizer.enable_padding(length=config.length, pad_id=number, pad_token=filler)
    net = ImageTextNet(vision, text, tokenizer, config, key)
    _try(net, folder)
    return net, vision.backend


class _Processor(msgspec.Struct):
    size: dict[str, int] | int | None = None
    crop_size: dict[str, int] | int | None = None
    image_mean: tuple[float, float, float] | None = None
    image_std: tuple[float, float, float] | None = None


class _TokenizerConfig(msgspec.Struct):
    model_max_length: float | None = None
    pad_token: str | dict[str, object] | None = None


class _Model(msgspec.Struct):
    """`logit_scale` is ours: the exporters leave the trained one in the weights."""

    model_type: str | None = None
    logit_scale: float | None = None


def configure(folder: Path, family: str) -> Config:
    """The configuration in `folder`. family: siglip or clip, by which what is not told is filled in.

    Raises UserError where a file is no JSON of its kind."""
    processor = _read(folder / "preprocessor_config.json", _Processor)
    words = _read(folder / "tokenizer_config.json", _TokenizerConfig)
    model = _read(folder / "config.json", _Model)
    clip = (model.model_type or family).startswith("clip")
    mean = (0.48145466, 0.4578275, 0.40821073) if clip else (0.5, 0.5, 0.5)
    std = (0.26862954, 0.26130258, 0.27577711) if clip else (0.5, 0.5, 0.5)
    length = int(words.model_max_length or 0) if (words.model_max_length or 0) <= _TEXT_LENGTH else 0
    pad = words.pad_token
    return Config(
        "clip" if clip else "siglip",
        _side(processor.crop_size) or _side(processor.size) or 224,
        np.array(processor.image_mean or mean, np.float32),
        np.array(processor.image_std or std, np.float32),
        length or (77 if clip else 64),
        # CLIP's is clipped at 100 and ends there; SigLIP's trained ones are a little above it.
        model.logit_scale or (100.0 if clip else 110.0),
        str(pad["content"]) if isinstance(pad, dict) and "content" in pad else pad if isinstance(pad, str) else None,
    )


def _side(size: dict[str, int] | int | None) -> int:
    return next(iter(size.values()), 0) if isinstance(size, dict) else size or 0


def _read(path: Path, kind: type[_T]) -> _T:
    if not path.is_file():
        return kind()
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except msgspec.MsgspecError as e:
        raise UserError(f"{path} does not read: {e}") from None


def _filler(tokenizer: Tokenizer, config: Config) -> tuple[str, int]:
    """What a short text is filled up with: as the files say, else the family's own (of SigLIP the end of the text)."""
    told = (tokenizer.padding or {}).get("pad_token")
    own = ("<|endoftext|>",) if config.family == "clip" else ("</s>", "<pad>")
    for token in (config.pad, told, *own):
        number = tokenizer.token_to_id(token) if token else None
        if token and number is not None:
            return token, number
    raise UserError("the image-text network's tokenizer.json has no padding token: put tokenizer_config.json beside it")


def _one_of(session: OrtSession, names: tuple[str, ...]) -> str:
    for name in names:
        if name in session.outputs:
            return name
    raise UserError(f"{session.path} gives {', '.join(session.outputs)} and none of {', '.join(names)}")


def _unit(v: F32) -> F32:
    flat = v.reshape(-1).astype(np.float32)
    return flat / np.float32(max(1e-6, float(np.linalg.norm(flat))))


def _try(net: ImageTextNet, folder: Path) -> None:
    """One picture and one text, so that towers that do not go together are told at the start and not in the night."""
    image = net.image(np.zeros((8, 8, 3), np.uint8), np.ones((8, 8), np.bool_), 0, 0)
    text = net.text("a thing")
    if image is None or image.shape != text.shape:
        raise UserError(f"the two towers in {folder} do not go together: {image.shape if image is not None else 0} "
                        f"numbers for a picture, {text.shape} for a text")  # fmt: skip
