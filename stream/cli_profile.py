"""The options by which a command says which engines follow: `--profile lite`, or `--profile sam2` and which SAM 2.1."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from engines.errors import UserError
from engines.sam2.variants import ADDRESS, VARIANTS
from engines.store import environment_cache, environment_store

if TYPE_CHECKING:
    from engines.lite import Lite
    from engines.together import BatchCounts
    from stream.sam import Segments

F = TypeVar("F", bound=Callable[..., object])
SIZES = (256, 512, 1024)


@dataclass(frozen=True, slots=True)
class Profile:
    """Which engines. name: lite or sam2. variant, size: of SAM 2.1; size None is the device's usual one. weights: a
    file of the user's. drawn: weights drawn at random, whose masks mean nothing."""

    name: str = "lite"
    variant: str = "tiny"
    size: int | None = None
    weights: Path | None = None
    drawn: bool = False

    @property
    def told(self) -> str:
        """What a folder of results remembers of it."""
        if self.name == "lite":
            return "lite"
        return f"sam2 {self.variant}@{self.size or 'usual'}" + (" drawn" if self.drawn else "")

    def check(self) -> None:
        """Raises UserError where what it needs is not here."""
        if self.name == "sam2":
            if find_spec("torch") is None:
                raise UserError("torch is not installed: pip install 'strefer-stream[sam2]' (docs/sam2.md)")
            self._weights()
            if self.drawn:
                click.echo("note: SAM 2.1's weights are drawn at random: the masks mean nothing", err=True)

    def segmenter(self, *, max_batch_wait_s: float = 0.0, counts: BatchCounts | None = None) -> Segments | None:
        """SAM 2.1, loaded; None for lite. Raises UserError where the packages or the weights are not here."""
        if self.name == "lite":
            return None
        weights = self._weights()
        from engines.sam2.segmenter import load

        return load(self.variant, size=self.size, weights=weights, max_batch_wait_s=max_batch_wait_s, counts=counts)

    def networks(self, segmenter: Segments | None, counts: BatchCounts | None = None) -> Lite:
        """Lite's networks: on the GPU and shared by all feeds where the segmenter runs on one."""
        from engines import lite

        store = environment_store()
        if segmenter is None or not segmenter.quick:
            return lite.load(store)
        from engines import networks, opening
        from engines.cache import Cache

        cache = Cache(environment_cache() / "engines", say=lambda line: click.echo(line, err=True))
        how = opening.How("onnxruntime-cuda", device="cuda")
        return lite.load(store, shared=opening.shared(networks.lite(store), how, cache, counts))

    def _weights(self) -> Path | None:
        if self.drawn:
            return None
        if self.weights is not None:
            if not self.weights.is_file():
                raise UserError(f"--sam2-weights {self.weights}: no such file")
            return self.weights
        file = VARIANTS[self.variant].file
        folder = environment_store().folder("sam2")
        if not file:
            raise UserError(f"SAM 2.1 {self.variant} has no published weights: add --sam2-drawn, to try or to measure")
        if folder is None or not (folder / file).is_file():
            raise UserError(
                f"{file} is not here: fetch {ADDRESS}/{file} and name it with --sam2-weights, or put it into a folder "
                "sam2 in the one that STREFER_MODELS names"
            )
        return folder / file


def profile_options(command: F) -> F:
    """Adds the options to a command, which gets them as one keyword argument `profile: Profile`."""

    @click.option("--profile", "name", type=click.Choice(["lite", "sam2"]), default="lite", show_default=True,
                  help="Which engines follow: small networks and optical flow, or SAM 2.1's memory.")  # fmt: skip
    @click.option("--sam2", "which", metavar="NAME[@SIZE]", default="tiny", show_default=True,
                  help="Of profile sam2: tiny, small, base+ or large, at 256, 512 or 1024 pixels.  "
                  "[size: 1024 on a GPU, 512 on a CPU]")  # fmt: skip
    @click.option("--sam2-weights", "weights", type=click.Path(path_type=Path), metavar="FILE",
                  help="Meta's checkpoint.  [default: from STREFER_MODELS/sam2]")  # fmt: skip
    @click.option("--sam2-drawn", "drawn", is_flag=True,
                  help="Weights drawn at random: to try a machine and to measure; the masks mean nothing.")  # fmt: skip
    @functools.wraps(command)
    def with_profile(
        *args: object, name: str, which: str, weights: Path | None, drawn: bool, **kwargs: object
    ) -> object:
        return command(*args, profile=_profile(name, which, weights, drawn=drawn), **kwargs)

    return with_profile  # type: ignore[return-value]


def _profile(name: str, which: str, weights: Path | None, *, drawn: bool) -> Profile:
    variant, _, size = which.partition("@")
    if variant not in VARIANTS:
        published = [name for name, v in VARIANTS.items() if v.file]
        raise UserError(f"--sam2 {which}: no SAM 2.1 {variant!r}; there are {', '.join(published)}")
    if size and size not in map(str, SIZES):
        raise UserError(f"--sam2 {which}: size {size!r}; there are {', '.join(map(str, SIZES))}")
    if name == "lite" and (weights is not None or drawn or which != "tiny"):
        raise UserError("--sam2, --sam2-weights and --sam2-drawn go with --profile sam2")
    if weights is not None and drawn:
        raise UserError("--sam2-weights and --sam2-drawn: one of the two")
    profile = Profile(name, variant, int(size) if size else None, weights, drawn)
    profile.check()
    return profile
