"""The model store: where files are looked for, in which order, and what happens when a source fails."""

from __future__ import annotations

import hashlib
import http.server
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from engines import catalogue
from engines.catalogue import Address, Item, WheelMember
from engines.errors import UserError
from engines.sam2.variants import VARIANTS
from engines.store import Store
from stream.cli import main

DATA = b"weights" * 1000
ITEM = Item("net", "detect", "net/net.onnx", hashlib.sha256(DATA).hexdigest(), len(DATA), "MIT", (), "a test's network")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The address of a local server, and the folder it serves."""
    folder = tmp_path / "served"
    folder.mkdir()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))  # a shutdown waits for its next look
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", folder
        server.shutdown()
        thread.join()


def put(folder: Path, data: bytes = DATA) -> Path:
    path = folder / ITEM.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_order_is_folder_then_cache(tmp_path: Path) -> None:
    store = Store(tmp_path / "cache", tmp_path / "models")
    assert store.locate(ITEM) is None
    cached = put(tmp_path / "cache")
    assert store.locate(ITEM) == cached
    own = put(tmp_path / "models")
    assert store.locate(ITEM) == own
    assert store.pull(ITEM) == own, "nothing is fetched that is here"


def test_another_file_of_that_name_does_not_count(tmp_path: Path) -> None:
    store = Store(tmp_path / "cache", tmp_path / "models")
    put(tmp_path / "models", b"something else")
    assert store.locate(ITEM) is None
    cached = put(tmp_path / "cache")
    assert store.locate(ITEM) == cached


def test_what_lacks_is_told_with_its_mend(tmp_path: Path) -> None:
    store = Store(tmp_path / "cache", tmp_path / "models")
    assert store.lack(ITEM) == "net is not on this machine (a test's network): strefer models pull net"
    own = put(tmp_path / "models", DATA[:-1])
    assert store.lack(ITEM) == f"net is damaged ({own} has another sha256): strefer models pull net fetches it anew"
    put(tmp_path / "cache")
    assert store.lack(ITEM) == ""


@pytest.mark.parametrize("folder", ["models", "cache"])
def test_a_damaged_file_is_pulled_anew(tmp_path: Path, served: tuple[str, Path], folder: str) -> None:
    address, there = served
    (there / "net.onnx").write_bytes(DATA)
    store = Store(tmp_path / "cache", tmp_path / "models")
    damaged = put(tmp_path / folder, DATA[:-1])
    path = store.pull(replace(ITEM, sources=(Address(f"{address}/net.onnx"),)))
    assert path == store.locate(ITEM) == tmp_path / "cache" / ITEM.path
    assert damaged == path or damaged.read_bytes() == DATA[:-1], "a folder of the user's is not written to"


def test_a_folder_where_a_file_belongs(tmp_path: Path) -> None:
    (tmp_path / "cache" / ITEM.path).mkdir(parents=True)
    with pytest.raises(UserError, match="is a folder where a file belongs: remove it"):
        Store(tmp_path / "cache", None).pull(ITEM)


def test_samples_have_a_folder_of_their_own(tmp_path: Path) -> None:
    sample = catalogue.find("bikes")
    (tmp_path / "models").mkdir()
    (tmp_path / "models/bikes.mp4").write_bytes(DATA)
    assert Store(tmp_path / "cache", tmp_path / "models", tmp_path / "samples").locate(sample) is None


@pytest.mark.parametrize("variable", ["STREFER_MODELS", "STREFER_SAMPLES"])
def test_environment(tmp_path: Path, variable: str) -> None:
    store = Store.of({"STREFER_CACHE": "/c", variable: str(tmp_path)})
    assert store.cache == Path("/c/models")
    assert {"STREFER_MODELS": store.models, "STREFER_SAMPLES": store.samples}[variable] == tmp_path
    assert Store.of({"XDG_CACHE_HOME": "/x", variable: ""}) == Store(Path("/x/strefer/models"))
    with pytest.raises(UserError, match=f"{variable} is '/nowhere/there', which is no folder: name one, or unset it"):
        Store.of({variable: "/nowhere/there"})


def test_download(tmp_path: Path, served: tuple[str, Path]) -> None:
    address, folder = served
    (folder / "net.onnx").write_bytes(DATA)
    store = Store(tmp_path / "cache")
    item = replace(ITEM, sources=(Address(f"{address}/net.onnx"),))
    path = store.pull(item)
    assert path == tmp_path / "cache" / ITEM.path
    assert path.read_bytes() == DATA
    (folder / "net.onnx").unlink()
    assert store.pull(item) == path, "once is enough"


def test_second_source_when_the_first_fails(tmp_path: Path, served: tuple[str, Path]) -> None:
    address, folder = served
    (folder / "good").write_bytes(DATA)
    sources = (Address("http://127.0.0.1:1/none"), Address(f"{address}/missing"), Address(f"{address}/good"))
    assert Store(tmp_path / "cache").pull(replace(ITEM, sources=sources)).read_bytes() == DATA


def test_wrong_file(tmp_path: Path, served: tuple[str, Path]) -> None:
    address, folder = served
    (folder / "net.onnx").write_bytes(b"an error page")
    store = Store(tmp_path / "cache")
    item = replace(ITEM, sources=(Address(f"{address}/net.onnx"),))
    with pytest.raises(UserError, match=r"net cannot be had \(http://.*; put it into STREFER_MODELS as net/net.onnx"):
        store.pull(item)
    assert store.locate(item) is None
    assert not (tmp_path / "cache" / ITEM.path).exists()


def test_out_of_reach_is_one_line(tmp_path: Path) -> None:
    item = replace(ITEM, sources=(Address("http://127.0.0.1:1/net.onnx"),))
    with pytest.raises(UserError, match="out of reach") as caught:
        Store(tmp_path / "cache").pull(item)
    assert "\n" not in str(caught.value)


@pytest.fixture
def index(served: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a package index that pip is told to use."""
    address, folder = served
    for variable in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", address)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return folder


def wheel(index: Path, members: dict[str, bytes]) -> None:
    name = "toynet-1.0-py3-none-any.whl"
    (index / "toynet").mkdir()
    with zipfile.ZipFile(index / "toynet" / name, "w") as z:
        for member, data in members.items():
            z.writestr(member, data)
        z.writestr("toynet-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: toynet\nVersion: 1.0\n")
        z.writestr("toynet-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        z.writestr("toynet-1.0.dist-info/RECORD", "")
    (index / "toynet/index.html").write_text(f'<a href="{name}">{name}</a>')


FROM_WHEEL = replace(ITEM, sources=(WheelMember("toynet", "1.0", "toynet/net.onnx", platform="any"),))


def test_wheel_member(tmp_path: Path, index: Path) -> None:
    wheel(index, {"toynet/net.onnx": DATA, "toynet/other": b"x"})
    path = Store(tmp_path / "cache").pull(FROM_WHEEL)
    assert path.read_bytes() == DATA
    assert sorted(p.name for p in path.parent.iterdir()) == ["net.onnx"], "nothing else is left there"


@pytest.mark.parametrize(
    ("members", "says"),
    [({"toynet/net.onnx": b"other"}, "sha256"), ({"toynet/other": DATA}, "net.onnx"), (None, "wheel toynet 1.0")],
)
def test_wheel_that_does_not_have_it(tmp_path: Path, index: Path, members: dict[str, bytes] | None, says: str) -> None:
    if members is not None:
        wheel(index, members)
    with pytest.raises(UserError, match=says) as caught:
        Store(tmp_path / "cache").pull(FROM_WHEEL)
    assert "\n" not in str(caught.value)


def test_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(UserError, match=r"cannot write the model cache .*; set STREFER_CACHE"):
        Store(tmp_path / "cache").pull(ITEM)


def test_catalogue_is_whole() -> None:
    everything = catalogue.MODELS + catalogue.LARGE + catalogue.SAMPLES
    assert len({i.name for i in everything}) == len({i.path for i in everything}) == len(everything)
    for item in everything:
        assert catalogue.find(item.name) is item
        assert len(item.sha256) == 64, "nothing is fetched that is not pinned"
        assert all(catalogue.find(n) in everything for n in item.needs)
        assert item.sources
        assert item.licence
    with pytest.raises(ValueError, match="no model 'nonesuch'; there are yolox-nano, "):
        catalogue.find("nonesuch")


def test_sam_2_is_fetched_by_the_name_that_its_profile_knows() -> None:
    for name, v in VARIANTS.items():
        if v.file:
            item = catalogue.find(f"sam2.1-{name}")
            assert (item.path, item.sha256) == (f"sam2/{v.file}", v.sha256)


def test_pull_brings_what_a_file_needs(
    tmp_path: Path, served: tuple[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By command, from a server, of sizes the catalogue does not know; then all are found and listed."""
    address, folder = served
    items = []
    for name, data, needs in (("big", DATA, ("words",)), ("words", b"a list", ())):
        (folder / name).write_bytes(data)
        sha256, source = hashlib.sha256(data).hexdigest(), Address(f"{address}/{name}")
        items.append(Item(name, "detect", f"big/{name}", sha256, None, "MIT", (source,), "a test's", needs))
    monkeypatch.setattr(catalogue, "LARGE", tuple(items))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("STREFER_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("STREFER_MODELS", raising=False)
    assert main(["models", "pull", "big"]) == 0
    where = tmp_path / "cache/models/big"
    assert capsys.readouterr().out == f"big: {where / 'big'}\nwords: {where / 'words'}\n"
    assert (where / "big").read_bytes() == DATA
    assert main(["models", "list"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["big", "a", "test's", "MIT", "?", str(where / "big")] in rows
    assert catalogue.whole([items[1], items[0]]) == [items[1], items[0]], "once is enough"
