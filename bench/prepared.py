"""Our scenes as MeViS folders, one a seed, drawn once and kept by what they are made of."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

from bench import composite as composites
from bench import cutouts
from bench.cases import Case, record
from bench.layouts import mevis
from engines.errors import UserError
from engines.lite import Lite
from producers.scenes.referring import plot_of
from producers.synthetic import Scene, make_scene

KINDS = ("synthetic", "composite")
SECONDS, SIZE, FPS = 6.0, (640, 360), Fraction(30)
_ROOT = Path(__file__).parents[1]
_MADE_OF = {
    "synthetic": ("producers/synthetic.py", "producers/scenes/*.py", "bench/cases.py", "bench/prepared.py"),
    "composite": ("producers/synthetic.py", "producers/scenes/*.py", "bench/cases.py", "bench/prepared.py",
                  "bench/composite.py", "bench/cutouts.py"),
}  # fmt: skip


def cases(
    kind: str,
    seeds: Sequence[int],
    work: Path,
    *,
    networks: Callable[[], Lite],
    samples: Path | None,
    tell: Callable[[str], None] = lambda _: None,
) -> list[Case]:
    """The cases of some seeds, drawn where they are not in `work` yet. networks: called where cut-outs are made."""
    folder = work / f"{kind}-{_key(kind)}"
    drawn = []
    for seed in seeds:
        place = folder / f"{seed:03d}"
        if not mevis.is_one(place):
            tell(f"drawing {kind} {seed}")
            _draw(kind, seed, place, work, networks, samples)
        drawn += mevis.read(place, FPS)
    return drawn


def _draw(kind: str, seed: int, place: Path, work: Path, networks: Callable[[], Lite], samples: Path | None) -> None:
    part = place.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    if kind == "synthetic":
        width, height = SIZE
        spec = f"synthetic:referring?seed={seed}&seconds={SECONDS:g}&size={width}x{height}&fps={FPS}"
        scene, plot = make_scene(spec), plot_of(seed)
    else:
        if samples is None:
            raise UserError("composite scenes are made of the sample clips: set STREFER_SAMPLES to their folder")
        scene, plot = _composite(seed, samples, work, networks), composites.PLOTS[seed % len(composites.PLOTS)]
    case = record(scene, f"{kind}-{seed:03d}", plot, part / "JPEGImages")
    mevis.write([case], part)
    shutil.rmtree(place, ignore_errors=True)
    part.rename(place)


def _composite(seed: int, samples: Path, work: Path, networks: Callable[[], Lite]) -> Scene:
    sprites = cutouts.sprites(networks(), samples, work)
    return composites.composite(sprites, samples, seed, seconds=SECONDS, size=SIZE, fps=FPS)


def _key(kind: str) -> str:
    """Changes with the code that draws."""
    files = [path for pattern in _MADE_OF[kind] for path in sorted(_ROOT.glob(pattern))]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]
