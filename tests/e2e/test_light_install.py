"""What `make run` installs (`.[cpu]`) is enough for the first day's commands, whatever else is here for the tests."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LIGHT = """
import sys
from importlib.metadata import packages_distributions

allowed = set(sys.argv.pop(1).split(","))
owners = packages_distributions()


class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        of = {d.lower().replace("_", "-").replace(".", "-") for d in owners.get(top, ())}
        if of and not of & allowed:
            raise ModuleNotFoundError(f"No module named {top!r}", name=name)
        return None


sys.meta_path.insert(0, NotInstalled())
from stream.cli import main

sys.exit(main(sys.argv[1:]))
"""


def light() -> set[str]:
    """Names of the distributions that `.[cpu]` brings, with all that they ask for."""
    found: set[str] = set()
    todo = [("strefer-stream", "cpu")]
    while todo:
        name, extra = todo.pop()
        for line in requires(name) or ():
            asked = Requirement(line)
            if asked.marker is not None and not asked.marker.evaluate({"extra": extra}):
                continue
            other = canonicalize_name(asked.name)
            if other not in found:
                found.add(other)
                todo += [(other, e) for e in asked.extras or {""}]
    return found | {"strefer-stream"}


@pytest.mark.slow
def test_the_first_days_commands_want_nothing_more(tmp_path: Path) -> None:
    allowed = ",".join(light())

    def strefer(*arguments: str) -> None:
        done = subprocess.run(
            [sys.executable, "-c", LIGHT, allowed, *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr[-2000:]

    assert not {"torch", "transformers", "kafka-python"} & light()
    strefer("annotate", "synthetic:two-people?seconds=2", "--out", "clip", "--quiet", "--instruct")
    strefer("instruct", "clip/annotations.jsonl", "--out", "pairs")
    strefer("export", "clip", "--format", "ytvis", "--out", "masks.json")
    strefer("profile", "clip", "--help")
    strefer("doctor")
