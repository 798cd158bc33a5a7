"""The page's drawing code as one script, for a report that opens from disk: a browser loads no modules from there."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib import resources
from importlib.resources.abc import Traversable

_SHARED = ("draw.js", "timeline.js")


def script() -> str:
    """The shared modules and the report's own, joined: their imports are of one another only, so they can go."""
    shared = resources.files("stream.viewer").joinpath("static")
    files: list[Traversable] = [shared.joinpath(name) for name in _SHARED]
    files.append(resources.files("stream").joinpath("report.js"))
    joined = "\n".join(f.read_text("utf-8") for f in files)
    return re.sub(r"^export ", "", re.sub(r"^import [^;]*;\n", "", joined, flags=re.MULTILINE), flags=re.MULTILINE)


def fingerprint(text: str) -> str:
    """What a content security policy calls a script by."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
