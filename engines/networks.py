"""Networks as engines: a spec, and the forms it is there in (ONNX file, TFLite file, torch module)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from engines import real
from engines.catalogue import Item, find
from engines.errors import UserError
from engines.spec import Arrays, Axis, EngineSpec, TensorSpec
from engines.store import Store


@dataclass(frozen=True, slots=True)
class Network:
    """One network. The first form there is of module and onnx is the reference of the others, else tflite.

    module: builds the torch.nn.Module, with its weights. real: N inputs of one row each from real videos, or none where
    there are no clips. onnx with a batch axis in the spec: the file's own batch is 1, and is made dynamic when built.
    """

    spec: EngineSpec
    about: str
    onnx: Path | None = None
    tflite: Path | None = None
    module: Callable[[], Any] | None = None
    real: Callable[[int], Sequence[Arrays]] | None = None
    calibration: Callable[[], str] | None = None
    """Tells one set of real inputs from another."""
    align: Callable[[Arrays, Arrays], tuple[Arrays, Arrays]] | None = None
    """Of outputs that are a list in no certain order: ours and the reference's, as they are to be compared."""

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def forms(self) -> tuple[str, ...]:
        """Which of torch, onnx, tflite are here."""
        there = {"torch": self.module, "onnx": self.onnx, "tflite": self.tflite}
        return tuple(name for name, form in there.items() if form is not None)


_ROWS = (Axis("n", 1, 4, 16),)


def _spec(name: str, x: TensorSpec, *outputs: TensorSpec, licence: str, sha256: str) -> EngineSpec:
    batched = x.shape[0] == "n"
    return EngineSpec(name, (x,), outputs, licence, sha256, _ROWS if batched else (), "n" if batched else "")


def lite(store: Store) -> tuple[Network, ...]:
    """The small networks of profile `lite`, with the files that are on this machine."""
    t = TensorSpec
    tensors = {
        "yolox-nano": (t("images", ("n", 3, 416, 416), high=255), t("output", ("n", 3549, 85))),
        "blazepose-full": (
            t("input_1", ("n", 256, 256, 3)), t("Identity", ("n", 195)), t("Identity_1", ("n", 1)),
            t("Identity_2", ("n", 256, 256, 1)), t("Identity_3", ("n", 64, 64, 39)), t("Identity_4", ("n", 117)),
        ),
        "deeplabv3-voc": (t("sub_7", ("n", 257, 257, 3), low=-1), t("ResizeBilinear_3", ("n", 257, 257, 21))),
        "person-reid-0287": (t("inputs:0", ("n", 256, 128, 3), high=255), t("Identity:0", ("n", 256))),
        # Its channels are shuffled by Reshapes that have the batch of 1 built in.
        "fastestdet": (t("input.1", (1, 3, 352, 352)), t("758", (1, 85, 22, 22))),
    }  # fmt: skip
    return tuple(_lite(find(name), tensors[name], store) for name in tensors)


def _lite(item: Item, tensors: tuple[TensorSpec, ...], store: Store) -> Network:
    onnx = find("blazepose-full-onnx") if item.name == "blazepose-full" else item
    return Network(
        _spec(item.name, *tensors, licence=item.licence, sha256=onnx.sha256),
        item.about,
        onnx=store.locate(onnx),
        tflite=store.locate(item) if item.path.endswith(".tflite") else None,
        real=partial(real.inputs, item.name, store),
        calibration=partial(real.fingerprint, store),
    )


def choose(networks: Sequence[Network], names: Sequence[str], store: Store) -> list[Network]:
    """Those of these names, or all that have a form here. Raises UserError for a name that is none, or is not here."""
    known = {n.name: n for n in networks}
    for name in names:
        if name not in known:
            raise UserError(f"no engine {name!r}; there are {', '.join(known)}")
        if not known[name].forms:
            raise UserError(store.lack(find(name)))
    return [known[n] for n in names] if names else [n for n in networks if n.forms]
