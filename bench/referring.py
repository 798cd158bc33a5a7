"""Referring masklets judged by the field's measures: J, F, J&F, HOTA, IDF1, switches, re-entries and bindings, beside
the Strefer way on the same engines.

  python -m bench.referring --scenes synthetic --seeds 20
  python -m bench.referring --scenes composite --seeds 20 --jobs 2 --out composite.json
  python -m bench.referring --scenes synthetic --seeds 3,13 --expressions --identities --no-strefer
  python -m bench.referring ~/data/mevis/valid_u            (the layout is seen from what lies there)
  python -m bench.referring ~/data/sav_val --layout sav --limit 10

J&F is the mean over expressions and annotated frames, with what each expression is bound to in the end; an expression
left ambiguous or unbound has no mask. Identities are of all that is followed where the truth is complete (our
scenes), else of what expressions name.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bench import layouts, ours, prepared, strefer_way
from bench.cases import Case
from bench.judge import happenings, judge
from bench.referring_table import Row, by_case, by_entity, by_expression, summary
from engines import lite
from engines.errors import UserError
from engines.store import environment_cache, environment_store
from stream.ask import Models
from stream.cli_models import models_of
from stream.profiling.machine import facts
from stream.runtime import settle


@cache
def networks() -> lite.Lite:
    """Profile lite, loaded once a process. Raises UserError where there is no detector to compare with."""
    loaded = lite.load(environment_store())
    if loaded.detector is None:
        raise UserError("there is no detector here, and both arms need one: strefer models pull")
    return loaded


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Models that our arm may ask, each as (address, name); every process has its own budget."""

    vlm: tuple[str | None, str | None]
    llm: tuple[str | None, str | None]
    questions: int
    deadline_s: float


@cache
def models(of: Endpoints) -> Models:
    return models_of(of.vlm, of.llm, questions=of.questions, deadline_s=of.deadline_s)


def run(case: Case, endpoints: Endpoints, *, strefer: bool = True) -> Row:
    """Both arms on one case."""
    settle()
    nets = networks()
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        mine = ours.answer(case, nets, Path(folder), models(endpoints))
    ours_s = time.perf_counter() - begun
    begun = time.perf_counter()
    theirs = strefer_way.answer(case, nets) if strefer else None
    strefer_s = time.perf_counter() - begun
    return Row(
        case.name,
        case.kind,
        happenings(case),
        judge(case, mine),
        judge(case, theirs) if theirs else None,
        round(ours_s, 1),
        round(strefer_s, 1),
    )


def run_all(cases: Sequence[Case], endpoints: Endpoints, jobs: int, *, strefer: bool) -> Iterator[Row]:
    """Rows as they are done, in processes where there are several jobs."""
    if jobs == 1:
        yield from (run(case, endpoints, strefer=strefer) for case in cases)
        return
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        for done in as_completed([pool.submit(run, case, endpoints, strefer=strefer) for case in cases]):
            yield done.result()


def brief(row: Row) -> str:
    """One line of a case that is done, for logs."""
    theirs = "" if row.strefer is None else f", the Strefer way {row.strefer.jf:.3f} in {row.strefer_s:.0f} s"
    return f"{row.case} {row.kind}: J&F {row.ours.jf:.3f} in {row.ours_s:.0f} s{theirs}"


def seeds_of(text: str) -> list[int]:
    """`20` is 0 to 19, `3,7` those two, `7,` that one. Raises UserError for anything else."""
    try:
        seeds = [int(s) for s in text.split(",") if s] if "," in text else list(range(int(text)))
    except ValueError:
        seeds = []
    if not seeds or min(seeds) < 0:
        raise UserError(f"--seeds {text!r} is neither a number (20) nor a list of seeds (3,7)")
    return seeds


def cases_of(options: argparse.Namespace, console: Console) -> list[Case]:
    if options.folder is not None:
        cases = layouts.read(options.folder, options.layout)
        return cases[: options.limit] if options.limit else cases
    if options.scenes is None:
        raise UserError("name a dataset folder, or --scenes synthetic or composite")
    store = environment_store()
    work = options.work or environment_cache() / "referring"
    with console.status("looking for scenes") as status:
        return prepared.cases(
            options.scenes, seeds_of(options.seeds), work, networks=networks, samples=store.samples, tell=status.update
        )


def parser() -> argparse.ArgumentParser:
    first, _, rest = (__doc__ or "").partition("\n\n")
    p = argparse.ArgumentParser(
        prog="python -m bench.referring", description=first, epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    p.add_argument("folder", nargs="?", type=Path, help="a dataset folder")
    p.add_argument("--layout", choices=sorted(layouts.LAYOUTS), help="its layout, where it cannot be seen")
    p.add_argument("--limit", type=int, help="only so many videos of it")
    p.add_argument("--scenes", choices=prepared.KINDS, help="scenes of ours instead of a folder")
    p.add_argument("--seeds", default="20", help="how many scenes, or which: 20, or 3,7 (default 20)")
    p.add_argument("--profile", choices=["lite"], default="lite", help="what is measured (lite is all there is today)")
    p.add_argument("--vlm", metavar="URL", help="a vision language model that our arm asks, as `strefer annotate` does")
    p.add_argument("--vlm-model", metavar="NAME", help="its name there")
    p.add_argument("--llm", metavar="URL", help="a language model that reads expressions")
    p.add_argument("--llm-model", metavar="NAME", help="its name there")
    p.add_argument("--vlm-budget", type=int, default=10_000, metavar="N", help="questions of a process (default 10000)")
    p.add_argument("--vlm-deadline", type=float, default=30.0, metavar="S", help="longest for one (default 30 s)")
    p.add_argument("--jobs", type=int, default=1, help="processes (default 1)")
    p.add_argument("--no-strefer", action="store_true", help="leave the Strefer way out")
    p.add_argument("--expressions", action="store_true", help="a line an expression, too")
    p.add_argument("--identities", action="store_true", help="which identity had each entity when, too")
    p.add_argument("--out", type=Path, help="write all figures as JSON to this file")
    p.add_argument("--work", type=Path, help="where scenes are kept (default: the user's cache, referring/)")
    return p


def main(arguments: Sequence[str] | None = None) -> None:
    asked = parser()
    options = asked.parse_args(arguments)
    console = Console(width=None if Console().is_terminal else 190)
    try:
        endpoints = Endpoints(
            (options.vlm, options.vlm_model), (options.llm, options.llm_model), options.vlm_budget, options.vlm_deadline
        )
        models(endpoints)  # what is wrong with them is told before the work begins
        cases = cases_of(options, console)
        rows: dict[str, Row] = {}
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task("following", total=len(cases))
            for row in run_all(cases, endpoints, options.jobs, strefer=not options.no_strefer):
                rows[row.case] = row
                progress.update(task, advance=1, description=row.case)
                if not console.is_terminal:
                    console.print(brief(row), highlight=False)
    except UserError as e:
        asked.exit(2, f"{e}\n")
    done = [rows[c.name] for c in cases]
    for name, value in facts().items():
        console.print(f"{name}: {value}", style="dim")
    if options.expressions:
        console.print(by_expression(done))
    if options.identities:
        console.print(by_entity(done))
    console.print(by_case(done))
    console.print(summary(done))
    if options.out is not None:
        options.out.write_bytes(msgspec.json.format(msgspec.json.encode(done)))


if __name__ == "__main__":
    main()
