"""README.md of a dataset: what is in it, what was left out and why, an example of each group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from instruct.formats.features import features
from instruct.make import Options, Tally
from instruct.pair import GROUPS, Pair

_GLOBS = {"parquet": "parquet/train-*.parquet", "jsonl": "jsonl/train-*.jsonl"}


def page(tally: Tally, options: Options, examples: Mapping[str, Pair], formats: Sequence[str],
         rewriting: str = "") -> str:  # fmt: skip
    """The card. formats: those that were written; rewriting: its section, empty where there was none."""
    glob = next((_GLOBS[f] for f in ("parquet", "jsonl") if f in formats), None)
    head = f"---\nconfigs:\n- config_name: default\n  data_files: {glob}\n{features()}\n---\n" if glob else ""
    minutes = max(1, tally.video_us) / 60e6
    groups = Counter[str]()
    for (group, _, _), n in tally.kept.items():
        groups[group] += n
    rows = [(g, str(groups[g]), f"{100 * groups[g] / max(1, tally.pairs):.1f} %", f"{groups[g] / minutes:.1f}")
            for g in GROUPS]  # fmt: skip
    families = sorted({(f, form) for _, f, form in tally.kept})
    by_family = [
        (f, form, *(str(tally.kept[g, f, form] or "") for g in GROUPS)) for f, form in families
    ]  # fmt: skip
    yes, no = tally.said["Yes"], tally.said["No"]
    return "\n".join([
        f"{head}# Space-time-referring instruction pairs\n",
        f"{tally.pairs} pairs about {minutes:.1f} minutes of video ({len(tally.feeds)} "
        f"{'feed' if len(tally.feeds) == 1 else 'feeds'}, {tally.clips} {'clip' if tally.clips == 1 else 'clips'}), "
        f"made by `strefer instruct` with seed {options.seed} from annotation events. Every answer was recomputed "
        "from the events by an independent checker; it is as true as they are. Fields: docs/instruct.md of Strefer.\n",
        f"Formats: {', '.join(formats)}. Yes/no questions: {yes} yes, {no} no.\n",
        "## Pairs by group\n",
        _table(("group", "pairs", "share", "a minute of video"), rows),
        "## Pairs by family and form\n",
        _table(("family", "form", *GROUPS), by_family),
        "## Left out\n",
        f"Of {tally.drawn} drawn pairs and of the masks and expressions they would have used:\n",
        _table(("why", "how many"), _rejections(tally)),
        *([rewriting] if rewriting else []),
        "## Examples\n",
        *(f"**{group}**, {p.family}, {p.form}\n\n> {_quoted(p.question)}\n>\n> {_quoted(p.answer)}\n"
          for group, p in sorted(examples.items())),
    ])  # fmt: skip


def _rejections(tally: Tally) -> list[tuple[str, str]]:
    """By reason; that the checker refused none is told too."""
    refused = sum(n for why, n in tally.rejected.items() if why.startswith("not confirmed"))
    rows = [(why, str(n)) for why, n in sorted(tally.rejected.items())]
    return rows if refused else [("refused by the checker", "0"), *rows]


def _quoted(text: str) -> str:
    return text.replace("<", "\\<").replace("\n", "  \n> ")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
