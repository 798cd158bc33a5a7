"""`strefer engines`: a skin over `engines.opening`, `engines.compare` and `engines.timing`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import isfinite
from typing import TYPE_CHECKING, Any, TypeVar

import click

from engines.errors import UserError
from engines.finite import Finite
from engines.store import environment_cache, environment_store

if TYPE_CHECKING:
    from engines.backends import Engine
    from engines.cache import Cache
    from engines.networks import Network
    from engines.opening import How

F = TypeVar("F", bound=Callable[..., object])
_TORCH = "torch torch-compile torch-cuda-graph torch-compile-cuda-graph"
_ORT = "onnxruntime onnxruntime-tensorrt onnxruntime-tensorrt-rtx onnxruntime-cuda onnxruntime-cpu"
_BACKENDS = f"{_TORCH} {_ORT} litert tensorrt".split()
_EPILOG = """\b
Examples:
  strefer engines list
  strefer engines build blazepose-full --precision int8
  strefer engines verify                           every backend that runs here, against the reference
  strefer engines verify yolox-nano --backend tensorrt --device cuda
  strefer engines bench blazepose-full --batch 1 --batch 8
"""


def _names(command: F) -> F:
    return click.argument("names", metavar="[NAME]...", nargs=-1)(command)


def _how(command: F) -> F:
    for option in (
        click.option("--backend", "backends", multiple=True, type=click.Choice(_BACKENDS), metavar="NAME",
                     help="What runs it (strefer engines --help); may be repeated. Without: all that can here."),
        click.option("--precision", type=click.Choice(["fp32", "fp16", "bf16", "int8"]), default="fp32",
                     show_default=True, help="int8 is calibrated on the sample clips; bf16 is torch's alone."),
        click.option("--device", default="cpu", show_default=True, metavar="NAME", help="cpu, cuda, cuda:1."),
        click.option("--threads", type=click.IntRange(1, 256), default=2, show_default=True, metavar="N",
                     help="Threads of the CPU backends."),
    ):  # fmt: skip
        command = option(command)
    return command


@click.group(epilog=_EPILOG)
def engines() -> None:
    """List, build, verify and time the networks as compiled engines.

    \b
    Backends (--backend):
      torch, torch-compile, torch-cuda-graph, torch-compile-cuda-graph
      onnxruntime (the best provider that runs), onnxruntime-tensorrt,
      onnxruntime-tensorrt-rtx, onnxruntime-cuda, onnxruntime-cpu
      litert, tensorrt

    What is built lies in the cache (STREFER_CACHE, or ~/.cache/strefer) and is keyed by weights, shapes, versions,
    precision and GPU.
    """


@engines.command("list")
def list_engines() -> None:
    """All engines: in which forms they are here, and what is built of them."""
    from rich.console import Console

    from engines import tables

    networks, cache = _all()
    table = tables.table("engine", "for", "licence", "forms here", "batch", "built")
    built = [e.path.name for e in cache.entries()]
    for n in networks:
        axis = f"{n.spec.rows.least} to {n.spec.rows.most}" if n.spec.batch else "1"
        mine = [name.removeprefix(f"{n.name}-") for name in built if name.startswith(f"{n.name}-")]
        table.add_row(n.name, n.about, n.spec.licence, ", ".join(n.forms) or "-", axis, "\n".join(mine) or "-")
    tables.show(table)
    Console().print(f"cache: {cache.folder}", soft_wrap=True)


@engines.command()
@_names
@_how
def build(names: tuple[str, ...], backends: tuple[str, ...], precision: str, device: str, threads: int) -> None:
    """Build what backends need (ONNX exports and variants, TensorRT plans) into the cache; what is there is kept."""
    work = _Work(names, backends, precision, device, threads)
    with work.progress():
        for network, _, engine in work.engines():
            work.say(f"{network.name}: {engine.backend}")
    work.tell_failures()
    count = len(work.cache.entries())
    click.echo(f"{count} file{'s' if count != 1 else ''} in {work.cache.folder}")


@engines.command()
@_names
@_how
@click.option("--random", "randoms", type=click.IntRange(min=0), default=6, show_default=True, metavar="N",
              help="Random inputs, of several batch sizes.")  # fmt: skip
@click.option("--real", "reals", type=click.IntRange(min=0), default=12, show_default=True, metavar="N",
              help="Real inputs from the clips in STREFER_SAMPLES.")  # fmt: skip
@click.option("--bound", type=Finite(min=0), metavar="X",
              help="Largest error allowed, in parts of the output's largest. [default: by precision]")  # fmt: skip
def verify(
    names: tuple[str, ...], backends: tuple[str, ...], precision: str, device: str, threads: int,
    randoms: int, reals: int, bound: float | None,
) -> None:  # fmt: skip
    """Compare backends with the reference: the torch module, or the ONNX file as it came on the CPU, at fp32.

    Prints the largest and the mean error of every output. Exit code 1 where one is over the bound.
    """
    from engines import tables
    from engines.compare import BOUNDS
    from engines.verifying import verified

    if not randoms and not reals:
        raise UserError("--random 0 and --real 0: nothing to compare on")
    if bound is not None and not isfinite(bound):
        raise UserError(f"--bound {bound}: wanted a number")
    work = _Work(names, backends, precision, device, threads)
    limit = BOUNDS[precision] if bound is None else bound
    table = tables.table(
        "engine", "backend", "inputs", "output", "max error", "mean error", "largest", "max/largest", ""
    )
    over = False
    with work.progress():
        for network, how, engine in work.engines():
            work.say(f"{network.name}: comparing {engine.backend}")
            for kind, d in verified(network, how, engine, randoms, reals, work.failed):
                within = d.part <= limit
                over |= not within
                table.add_row(network.name, f"{engine.backend} {precision}", kind, d.output,
                              f"{d.max_error:.2e}", f"{d.mean_error:.1e}", f"{d.largest:.3g}", f"{d.part:.1e}",
                              "ok" if within else "OVER")  # fmt: skip
    tables.show(table)
    work.tell_failures()
    if over:
        click.echo(f"some errors are over {limit:g} of the output's largest magnitude", err=True)
        raise SystemExit(1)


@engines.command()
@_names
@_how
@click.option("--batch", "batches", multiple=True, type=click.IntRange(min=1), metavar="N",
              help="Rows of a run; may be repeated. [default: 1 and the axis' usual size]")  # fmt: skip
@click.option("--seconds", type=Finite(min=0), default=1.0, show_default=True, metavar="S",
              help="How long each is run.")  # fmt: skip
def bench(
    names: tuple[str, ...], backends: tuple[str, ...], precision: str, device: str, threads: int,
    batches: tuple[int, ...], seconds: float,
) -> None:  # fmt: skip
    """Time backends on random inputs: milliseconds of a run, and of a row of its batch."""
    from engines import tables
    from engines.timing import timed

    if not seconds <= 3600:
        raise UserError(f"--seconds {seconds}: wanted an hour at most")

    work = _Work(names, backends, precision, device, threads)
    table = tables.table("engine", "backend", "batch", "best ms", "median ms", "p95 ms", "ms a row", "runs")
    with work.progress():
        for network, how, engine in work.engines():
            work.say(f"{network.name}: timing {engine.backend}")
            for size, t in timed(engine, how.device, batches, seconds=seconds):
                figures = (t.best_ms, t.median_ms, t.p95_ms, t.median_ms / size)
                table.add_row(network.name, f"{engine.backend} {precision}", str(size),
                              *(f"{ms:.2f}" for ms in figures), str(t.runs))  # fmt: skip
    tables.show(table)
    work.tell_failures()


class _Work:
    """What the three commands share: the engines that were asked for, opened one after the other, with progress on
    stderr; what cannot be opened is kept as one line, and is an error where it was asked for by name."""

    def __init__(
        self, names: tuple[str, ...], backends: tuple[str, ...], precision: str, device: str, threads: int
    ) -> None:  # fmt: skip
        from engines.networks import choose

        self._networks, self.cache = _all()
        self._chosen = choose(self._networks, names, environment_store())
        self._backends, self._strict = backends, bool(backends and names)
        self._precision, self._device, self._threads = precision, device, threads
        self.failed: list[str] = []
        self._bar: Any = None

    @contextmanager
    def progress(self) -> Iterator[None]:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        console = Console(stderr=True)
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
            self._bar, self._task = bar, bar.add_task("opening", total=None)
            yield

    def say(self, line: str) -> None:
        self._bar.update(self._task, description=line, completed=0, total=None)

    def steps(self, phase: str, step: int, steps: int) -> bool:
        self._bar.update(self._task, description=phase, completed=step, total=steps)
        return True

    def engines(self) -> Iterator[tuple[Network, How, Engine]]:
        from engines.opening import How, candidates, open_engine

        opened = 0
        for network in self._chosen:
            for backend in self._backends or candidates(network, self._precision, self._device):
                how = How(backend, self._precision, self._device, self._threads)
                try:
                    engine = open_engine(network, how, self.cache, say=self.say, progress=self.steps)
                except UserError as e:
                    if self._strict:
                        raise
                    self.failed.append(f"{backend}: {e}")
                    continue
                opened += 1
                yield network, how, engine
        if not opened:
            names = ", ".join(n.name for n in self._chosen)
            nothing = (
                f"nothing here runs {names} at {self._precision}"
                if names
                else "no network is here: strefer models pull"
            )
            lines = list(dict.fromkeys(self.failed)) or [nothing]
            raise UserError(lines[0] + (f" (and {len(lines) - 1} more like it)" if len(lines) > 1 else ""))

    def tell_failures(self) -> None:
        for line in dict.fromkeys(self.failed):
            click.echo(line, err=True)


def _all() -> tuple[tuple[Network, ...], Cache]:
    from engines.cache import Cache
    from engines.detectors import networks as detectors
    from engines.networks import lite
    from engines.sam2 import networks as sam2

    store = environment_store()
    return (*lite(store), *detectors.networks(store), *sam2.networks(store)), Cache(
        environment_cache() / "engines", say=lambda line: click.echo(line, err=True)
    )
