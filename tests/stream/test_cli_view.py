"""`strefer view` as a command: what it prints, refuses and leaves."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import pytest

from stream import cli_view
from stream.cli import main
from stream.log.sqlite import SqliteLog
from tests.e2e.programs import start


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    SqliteLog(tmp_path / "run").close()
    return tmp_path / "run"


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["view", *arguments]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


def test_there_must_be_a_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "holds no log: `strefer produce" in refused(capsys, "--log", str(tmp_path / "none"))
    assert not (tmp_path / "none").exists()


def test_a_taken_port_is_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = str(other.getsockname()[1])
        said = refused(capsys, "--log", str(folder), "--port", port)
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use; choose another" in said


def test_a_host_that_is_none(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, "--log", str(folder), "--host", "no.such.host.invalid")
    assert "cannot listen on no.such.host.invalid:8008: " in said


@pytest.mark.parametrize("token", ["", "short", "with a space in it anyway", "ä" * 20])
def test_a_token_that_is_none(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], token: str) -> None:
    file = tmp_path / "token"
    file.write_text(token)
    assert "wants a token of 16 or more letters" in refused(capsys, "--log", str(folder), "--token-file", str(file))
    assert "cannot be read" in refused(capsys, "--log", str(folder), "--token-file", str(tmp_path / "none"))


def test_what_is_not_installed_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli_view, "find_spec", lambda name: None if name == "fastapi" else find_spec(name))
    said = refused(capsys, "--log", str(folder))
    assert said == "strefer: strefer view wants fastapi: pip install '.[view]'\n"


@pytest.mark.slow
def test_it_serves_until_it_is_told_to_stop(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    viewer = start("view", "--log", str(folder), "--port", "0", out=out)
    try:
        address = printed(out)
        with urllib.request.urlopen(address, timeout=10) as page:
            assert page.status == 200
        viewer.send_signal(signal.SIGTERM)
        assert viewer.wait(20) == 0
    finally:
        viewer.kill()
        viewer.wait()
    assert out.read_text().splitlines()[1:] == ["stopped"]


@pytest.mark.slow
def test_to_the_network_there_is_a_token(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    viewer = start("view", "--log", str(folder), "--port", "0", "--host", "0.0.0.0", out=out)
    try:
        address, _, token = printed(out).partition("#token=")
        assert len(token) >= 32
        port = address.rstrip("/").rpartition(":")[2]
        code = [status(f"http://127.0.0.1:{port}/api/x", t) for t in ("", "wrong", token)]
        assert code == [401, 401, 404]
    finally:
        viewer.terminate()
        viewer.wait(20)


def printed(out: Path) -> str:
    """The address that a viewer says it is at."""
    until = time.monotonic() + 60
    while " at " not in out.read_text():
        assert time.monotonic() < until, out.read_text()
        time.sleep(0.05)
    return out.read_text().split(" at ")[1].split()[0]


def status(address: str, token: str) -> int:
    request = urllib.request.Request(address, headers={"authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as e:
        with e:
            return e.code


def test_the_command_loads_no_server_before_it_runs() -> None:
    say = "import sys, stream.cli_view; print([m for m in ('fastapi', 'uvicorn', 'av', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", say], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
