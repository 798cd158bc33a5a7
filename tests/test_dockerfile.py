"""The Dockerfile without an engine: hadolint (its binary comes in a PyPI wheel) and what hadolint cannot know."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def stages() -> dict[str, list[tuple[str, str]]]:
    """Each build stage's instructions, continuation lines joined."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    found: dict[str, list[tuple[str, str]]] = {}
    name = ""
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        if not line.strip():
            continue
        word, _, rest = line.partition(" ")
        if word == "FROM":
            name = rest.rpartition(" AS ")[2]
        found.setdefault(name, []).append((word, rest))
    return found


def copied() -> set[str]:
    return {source for word, rest in stages()["wheel"] if word == "COPY" for source in rest.split()[:-1]}


def test_hadolint_has_nothing_to_say() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    result = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_hadolint_would_have_something_to_say(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM debian\nRUN cd /tmp && sudo apt-get install python\n")
    hadolint = Path(sys.executable).with_name("hadolint")
    result = subprocess.run([hadolint, tmp_path / "Dockerfile"], capture_output=True, text=True)
    assert result.returncode == 1
    assert "DL3004" in result.stdout


@pytest.mark.parametrize("target", ["cpu", "gpu"])
def test_the_image_runs_strefer_and_not_as_root(target: str) -> None:
    instructions = stages()[target]
    last = dict(instructions)
    assert last["USER"] == "10001"  # a number, so that Kubernetes can tell it is not root
    assert last["ENTRYPOINT"] == '["strefer"]'
    words = [word for word, _ in instructions]
    assert "RUN" not in words[words.index("USER") :]


@pytest.mark.parametrize("target", ["cpu", "gpu"])
def test_the_image_speaks_kafka_and_asks_for_its_health(target: str) -> None:
    instructions = stages()[target]
    (installed,) = [rest for word, rest in instructions if word == "RUN"]
    (extras,) = re.findall(r"strefer-stream\[([\w,]+)\]", installed)
    assert "kafka" in extras.split(",")
    check = dict(instructions)["HEALTHCHECK"]
    module = json.loads(check.partition("CMD ")[2])[-1]
    assert (ROOT / f"{module.replace('.', '/')}.py").exists()
    start = re.search(r"--start-period=(\d+)m", check)
    assert start is not None
    assert int(start[1]) >= {"cpu": 5, "gpu": 30}[target]  # the time an overlay's startup probe gives


def test_torch_is_never_installed_over_ngcs() -> None:
    commands = " ".join(rest for word, rest in stages()["gpu"] if word == "RUN")
    installed = re.findall(r"pip install .*?&&", commands)
    assert len(installed) == 1
    assert not re.search(r"torch|triton|dali|tensorrt|\[[^]]*\b(gpu|sam2)\b", installed[0])
    assert "--system-site-packages" in commands


def test_every_package_and_licence_is_in_the_image_and_nothing_else_is_sent() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = {*project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"], *project["project"]["license-files"]}
    assert wanted | {"pyproject.toml", "constraints.txt", "README.md"} == copied()
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == copied()
    assert all((ROOT / name).exists() for name in copied())


def test_the_extras_the_image_asks_for_exist() -> None:
    extras = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])
    asked = re.findall(r"strefer-stream\[([\w,]+)\]", (ROOT / "Dockerfile").read_text())
    assert len(asked) == 2
    assert {extra for group in asked for extra in group.split(",")} <= extras
