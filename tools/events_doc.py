"""Write docs/events.md and docs/events.schema.json from the types in stream/events.py and stream/chunk.py.

Run as `python -m tools.events_doc`. tests/docs/test_events_doc.py holds both files to the types.
"""

from __future__ import annotations

import ast
import inspect
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from stream import chunk, events

DOCS = Path(__file__).parents[1] / "docs"
_DEFS = "#/$defs/{name}"

_INTRO = """\
# Annotation events, version {version}

Generated from `stream/events.py` by `make docs`. Do not edit.

An event is a CloudEvent 1.0. On the log (`video.annotations`, key = feed) it is in binary mode: the attributes are
message headers (`ce_id`, `ce_type`, `ce_source`, `ce_specversion`, and `strefer_schema` with the version above), the
value is the body as JSON. In `annotations.jsonl` it is in structured mode, one event a line:

```json
{example}
```

`docs/events.schema.json` is the JSON Schema (2020-12) of such a line; the body of a type is the definition its `data`
refers to. A reader should ignore fields and types it does not know: new ones may come within a version.

## What holds for all of them
- **id** is `feed/seq/n`: `seq` is that of the message in `video.chunks` which caused the event, `n` its place among
  that message's events. A message that is processed again after a crash makes the same ids with the same bodies.
- **Times** end in `_us`: integer microseconds of the feed's own presentation time. `masklet` frames carry the time of
  their frame exactly.
- **Boxes** (`bbox`) are `[x0, y0, x1, y1]` in pixels of the feed's upright frame.
- **Masks** are COCO run-length encodings of the full frame:
  `pycocotools.mask.decode({{"size": size, "counts": counts}})` gives the pixels.
- **Entities, segments** are numbers from 1, unique in the feed and never used again. A query's name is the last part of
  its key in `video.queries`; `strefer annotate` calls them `q1`, `q2`, … in the order given.
- **score, similarity, margin** and the evidence of queries lie in 0 to 1.
- **Order**: events of a message come in the order of its frames; its masklets come after them, and `chunk.done` last.
- Wall-clock figures stand in `chunk.done` only. All other events are byte for byte the same in every run of the same
  input with the same engines (models behind endpoints may answer otherwise).

## Types
"""

_CHUNKS = """\
# Messages of `video.chunks`

What the worker reads, from `stream/chunk.py`. Key = feed. A chunk's value is the encoded video (fragmented MP4 that can
be decoded alone); a gap and an end have no value. All three kinds share one `seq` without holes, so that a reader can
tell what is missing. The fields below are JSON in the header `strefer_header`.
"""


def schema() -> dict[str, Any]:
    """The JSON Schema of one line of annotations.jsonl."""
    _, definitions = msgspec.json.schema_components(list(events.TYPES.values()), ref_template=_DEFS)
    attributes = {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "pattern": r"^[^/]+/\d+/\d+$"},
        "type": {"enum": list(events.TYPES)},
        "source": {"type": "string"},
        "data": {"type": "object"},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Strefer annotation event, version {events.VERSION}",
        "type": "object",
        "properties": attributes,
        "required": list(attributes),
        "oneOf": [
            {"properties": {"type": {"const": name}, "data": {"$ref": _DEFS.format(name=body.__name__)}}}
            for name, body in events.TYPES.items()
        ],
        "$defs": definitions,
    }


def page() -> str:
    """docs/events.md."""
    definitions = schema()["$defs"]
    documented = _field_docs(events)
    parts = [_INTRO.format(version=events.VERSION, example=_example())]
    for name, body in events.TYPES.items():
        parts.append(_table(f"### `{name}`", definitions[body.__name__], documented.get(body.__name__, {})))
    parts.append("## Parts of bodies\n")
    bodies = {body.__name__ for body in events.TYPES.values()}
    for name in sorted(set(definitions) - bodies):
        parts.append(_table(f"### {name}", definitions[name], documented.get(name, {})))
    kinds = {
        "strefer.chunk": chunk.ChunkHeader,
        "strefer.feed.gap": chunk.GapHeader,
        "strefer.feed.ended": chunk.EndHeader,
    }
    _, headers = msgspec.json.schema_components(list(kinds.values()), ref_template=_DEFS)
    documented = _field_docs(chunk)
    parts.append(_CHUNKS)
    for name, kind in kinds.items():
        parts.append(_table(f"## `{name}`", headers[kind.__name__], documented.get(kind.__name__, {})))
    return "\n".join(parts)


def _example() -> str:
    body = events.EntityAppeared(entity=1, at_us=400_000, category="dog", score=0.81, bbox=(12.0, 40.5, 208.0, 311.0))
    headers = events.Event("door", 3, 0, body).headers()
    return events.encode_line(headers, events.encode_body(body)).decode()


def _table(heading: str, definition: dict[str, Any], documented: dict[str, str]) -> str:
    lines = [heading]
    if "description" in definition:
        lines.append(_flow(definition["description"]))
    lines += ["", "| field | type | |", "|---|---|---|"]
    for field, node in definition["properties"].items():
        note = _flow(documented.get(field, ""))
        if field not in definition.get("required", []):
            note = f"{note} Default {json.dumps(node.get('default'))}.".strip()
        lines.append(f"| `{field}` | {_words(node)} | {note} |")
    return "\n".join(lines) + "\n"


def _words(node: dict[str, Any]) -> str:
    """A schema node's type, for a reader."""
    if "$ref" in node:
        name = node["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "enum" in node:
        return " or ".join(f"`{value}`" for value in node["enum"])
    if "anyOf" in node:
        return " or ".join(_words(option) for option in node["anyOf"])
    if node.get("type") == "array":
        if "prefixItems" in node:
            return f"{len(node['prefixItems'])} {_words(node['prefixItems'][0])}s"
        return f"list of {_words(node['items'])}"
    if "additionalProperties" in node:
        return f"object of {_words(node['additionalProperties'])}s by name"
    return str(node["type"])


def _field_docs(module: ModuleType) -> dict[str, dict[str, str]]:
    """Class -> field -> the string that stands under it in the source."""
    found: dict[str, dict[str, str]] = {}
    for node in ast.parse(inspect.getsource(module)).body:
        if not isinstance(node, ast.ClassDef):
            continue
        fields = found.setdefault(node.name, {})
        for before, after in zip(node.body, node.body[1:], strict=False):
            text = after.value if isinstance(after, ast.Expr) else None
            if (
                isinstance(before, ast.AnnAssign)
                and isinstance(before.target, ast.Name)
                and isinstance(text, ast.Constant)
            ):
                fields[before.target.id] = str(text.value)
    return found


def _flow(text: str) -> str:
    """A docstring as Markdown running text."""
    return " ".join(text.split())


def files() -> dict[Path, str]:
    """Every generated file and what it must hold."""
    return {
        DOCS / "events.md": page(),
        DOCS / "events.schema.json": json.dumps(schema(), indent=1) + "\n",
    }


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text, "utf-8")
        print(path, file=sys.stderr)
