"""Options that name models: what is wrong is one line, exit 2; one budget for all."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from stream.cli import main
from stream.cli_models import models_of

URL = "http://127.0.0.1:9/v1"


@pytest.mark.parametrize("command", ["annotate", "worker"])
@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--vlm", URL], "--vlm http://127.0.0.1:9/v1 wants --vlm-model"),
        (["--vlm-model", "eye"], "--vlm-model eye wants --vlm"),
        (["--llm", URL], "wants --llm-model"),
        (["--llm-model", "ear"], "--llm-model ear wants --llm"),
        (["--vlm", "localhost", "--vlm-model", "eye"], "is no http or https address"),
        (["--vlm", "http://me:pw@host/v1", "--vlm-model", "eye"], "STREFER_VLM_KEY"),
        (["--vlm", "http://[x/v1", "--vlm-model", "eye"], "is no address"),
        (["--vlm-budget", "0"], "--vlm-budget"),
        (["--vlm-deadline", "0"], "--vlm-deadline"),
    ],
)
def test_misuse_is_one_line(
    command: str, options: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = (
        ["synthetic:two-people", "--out", str(tmp_path / "o")] if command == "annotate" else ["--log", str(tmp_path)]
    )
    assert main([command, *place, *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line
    assert "pw" not in line
    assert not (tmp_path / "o").exists()


def test_without_the_package_it_says_what_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    assert main(["worker", "--log", str(tmp_path), "--vlm", URL, "--vlm-model", "eye"]) == 2
    assert "pip install '.[vlm]'" in capsys.readouterr().err


def test_both_spend_one_budget_and_keys_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREFER_VLM_KEY", "k")
    models = models_of((URL, "eye"), (URL, "ear"), questions=3, deadline_s=1)
    assert models.vlm is not None
    assert models.llm is not None
    assert models.vlm.budget is models.llm.budget
    assert (models.vlm.endpoint.key, models.llm.endpoint.key) == ("k", "")
    nobody = models_of((None, None), (None, None), questions=3, deadline_s=1)
    assert (nobody.vlm, nobody.llm) == (None, None)
