"""The options by which a command says which engines follow: `--profile lite`, or `--profile sam2` and which SAM 2.1."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from engines.catalogue import find
from engines.detectors.prompts import EVERYDAY, check_names
from engines.errors import UserError
from engines.sam2.variants import VARIANTS
from engines.store import Store, environment_cache, environment_store
from engines.work import Tap, as_it_is
from stream.doctor.compute import load_torch

if TYPE_CHECKING:
    from engines.backends import Session
    from engines.cache import Cache
    from engines.detections import Detector
    from engines.lite import Lite, Used
    from engines.together import BatchCounts
    from stream.sam import Segments

F = TypeVar("F", bound=Callable[..., object])
SIZES = (256, 512, 1024)
BEST = "rf-detr-medium"
"""Of profile sam2, where its weights are here."""
TAKES_WORDS = "grounding-dino-tiny"
DETECTORS = (BEST, TAKES_WORDS, "yolox-nano", "fastestdet", "blazepose-person")


@dataclass(frozen=True, slots=True)
class Profile:
    """Which engines. name: lite or sam2. variant, size: of SAM 2.1; size None is the device's usual one. weights: a
    file of the user's. drawn: weights drawn at random, whose masks mean nothing. detector: one of DETECTORS, "" for the
    best that is here. look_for: what it is told to find besides everyday things, where it takes words."""

    name: str = "lite"
    variant: str = "tiny"
    size: int | None = None
    weights: Path | None = None
    drawn: bool = False
    detector: str = ""
    look_for: tuple[str, ...] = ()

    @property
    def told(self) -> str:
        """What a folder of results remembers of it."""
        if self.name == "lite":
            return "lite"
        named = "".join(f" {word}" for word in (self.detector, ", ".join(self.look_for)) if word)
        return f"sam2 {self.variant}@{self.size or 'usual'}{' drawn' if self.drawn else ''}{named}"

    def check(self) -> None:
        """Raises UserError where what it needs is not here."""
        if self.name == "sam2":
            if find_spec("torch") is None:
                raise UserError("torch is not installed: pip install '.[sam2]' (docs/sam2.md)")
            self._weights()
            if self.detector and (lack := environment_store().lack(find(self.detector))):
                raise UserError(lack)
            if self.drawn:
                click.echo("note: SAM 2.1's weights are drawn at random: the masks mean nothing", err=True)

    def segmenter(self, *, max_batch_wait_s: float = 0.0, counts: BatchCounts | None = None) -> Segments | None:
        """SAM 2.1, loaded; None for lite. Raises UserError where the packages or the weights are not here."""
        if self.name == "lite":
            return None
        weights = self._weights()
        torch, why = load_torch()
        if torch is None:
            raise UserError(f"torch does not load ({why}): install it anew (docs/sam2.md)")
        from engines.sam2.segmenter import load

        return load(self.variant, size=self.size, weights=weights, max_batch_wait_s=max_batch_wait_s, counts=counts)

    def networks(
        self, segmenter: Segments | None = None, counts: BatchCounts | None = None, tap: Tap = as_it_is
    ) -> Lite:
        """The small networks, and with sam2 the detector that was named, or the best that is here: on the GPU and
        shared by all feeds where the segmenter runs on one. tap: is shown the engines.

        Raises UserError where the detector that was named does not load."""
        from engines import lite

        store = environment_store()
        load = functools.partial(lite.load, store, tap=tap)
        if self.name == "lite":
            return load()
        shared = _shared(store, counts, tap) if segmenter is not None and segmenter.quick else None
        name = self.detector or (BEST if store.placed(find(BEST)) is not None else "")
        if not name or name in lite.DETECTORS:
            return load(detectors=(name,) if name else lite.DETECTORS, shared=shared)
        try:
            detector = _detector(name, self.look_for, store, counts, tap)
        except UserError as e:
            if self.detector:
                raise
            loaded = load(shared=shared)
            return replace(loaded, missing=(*loaded.missing, str(e)))
        return replace(load(detector=detector, shared=shared), asked=self.look_for)

    def _weights(self) -> Path | None:
        if self.drawn:
            return None
        if self.weights is not None:
            if not self.weights.is_file():
                raise UserError(f"--sam2-weights {self.weights}: no such file")
            return self.weights
        if not VARIANTS[self.variant].file:
            raise UserError(f"SAM 2.1 {self.variant} has no published weights: add --sam2-drawn, to try or to measure")
        store, item = environment_store(), find(f"sam2.1-{self.variant}")
        path = store.locate(item)
        if path is None:
            raise UserError(f"{store.lack(item)}, or name a file with --sam2-weights")
        return path


def _cache() -> Cache:
    from engines.cache import Cache

    return Cache(environment_cache() / "engines", say=lambda line: click.echo(line, err=True))


def _shared(store: Store, counts: BatchCounts | None, tap: Tap) -> Callable[[str], Session]:
    from engines import networks, opening

    how = opening.How("onnxruntime-cuda", device="cuda")
    return opening.shared(networks.lite(store), how, _cache(), counts, tap)


def _detector(
    name: str, look_for: tuple[str, ...], store: Store, counts: BatchCounts | None, tap: Tap
) -> tuple[Detector, Used]:
    from engines.backends.shared import SharedDetector
    from engines.detectors.opening import open_detector, usual

    words = tuple(dict.fromkeys((*EVERYDAY, *look_for)))
    opened = open_detector(name, store, usual(), _cache(), words, tap)
    return SharedDetector(opened.detector, counts), opened.used


def profile_options(command: F) -> F:
    """Adds the options to a command, which gets them as one keyword argument `profile: Profile`."""

    @click.option("--profile", "name", type=click.Choice(["lite", "sam2"]), default="lite", show_default=True,
                  help="Which engines follow: small networks and optical flow, or SAM 2.1's memory.")  # fmt: skip
    @click.option("--sam2", "which", metavar="NAME[@SIZE]", default="tiny", show_default=True,
                  help="Of profile sam2: tiny, small, base+ or large, at 256, 512 or 1024 pixels.  "
                  "[size: 1024 on a GPU, 512 on a CPU]")  # fmt: skip
    @click.option("--sam2-weights", "weights", type=click.Path(path_type=Path), metavar="FILE",
                  help="Meta's checkpoint.  [default: strefer models pull sam2.1-NAME]")  # fmt: skip
    @click.option("--sam2-drawn", "drawn", is_flag=True,
                  help="Weights drawn at random: to try a machine and to measure; the masks mean nothing.")  # fmt: skip
    @click.option("--detector", type=click.Choice(DETECTORS), metavar="NAME",
                  help=f"Of profile sam2: {', '.join(DETECTORS)}.  [default: {BEST} where its weights are here, else "
                  "lite's]")  # fmt: skip
    @click.option("--look-for", multiple=True, metavar="WORDS",
                  help=f"What {TAKES_WORDS} looks for besides everyday things, as 'shopping cart'; may be given more "
                  "than once.")  # fmt: skip
    @functools.wraps(command)
    def with_profile(
        *args: object, name: str, which: str, weights: Path | None, drawn: bool, detector: str | None,
        look_for: tuple[str, ...], **kwargs: object,
    ) -> object:  # fmt: skip
        return command(*args, profile=_profile(name, which, weights, drawn, detector or "", look_for), **kwargs)

    return with_profile  # type: ignore[return-value]


def _profile(
    name: str, which: str, weights: Path | None, drawn: bool, detector: str, look_for: tuple[str, ...]
) -> Profile:
    variant, _, size = which.partition("@")
    if variant not in VARIANTS:
        published = [name for name, v in VARIANTS.items() if v.file]
        raise UserError(f"--sam2 {which}: no SAM 2.1 {variant!r}; there are {', '.join(published)}")
    if size and size not in map(str, SIZES):
        raise UserError(f"--sam2 {which}: size {size!r}; there are {', '.join(map(str, SIZES))}")
    if name == "lite" and (weights is not None or drawn or which != "tiny" or detector or look_for):
        raise UserError("--sam2, --sam2-weights, --sam2-drawn, --detector and --look-for go with --profile sam2")
    if weights is not None and drawn:
        raise UserError("--sam2-weights and --sam2-drawn: one of the two")
    if look_for and detector != TAKES_WORDS:
        raise UserError(f"--look-for {look_for[0]!r} goes with --detector {TAKES_WORDS}: others know what they find")
    words = tuple(dict.fromkeys(" ".join(said.lower().split()) for said in look_for))
    check_names((*EVERYDAY, *(word for word in words if word not in EVERYDAY)))
    profile = Profile(name, variant, int(size) if size else None, weights, drawn, detector, words)
    profile.check()
    return profile
