"""docs/events.md and its JSON Schema are what the types say, and real events are what the schema says."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from stream.events import NAMES, TYPES, encode_body, encode_line
from tests.running import follow
from tools import events_doc


@pytest.mark.parametrize("path", list(events_doc.files()), ids=lambda path: path.name)
def test_the_generated_file_is_up_to_date(path: Path) -> None:
    assert path.read_text("utf-8") == events_doc.files()[path], "run `make docs`"


def test_every_type_has_its_table_and_a_sentence() -> None:
    page = events_doc.page()
    for name, body in TYPES.items():
        assert f"### `{name}`" in page
        assert body.__doc__, f"{body.__name__} has no docstring"


def test_the_schema_is_one_and_refuses_what_is_no_event() -> None:
    schema = events_doc.schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    line = {"specversion": "1.0", "id": "f/0/0", "type": "feed.ended", "source": "/feeds/f"}
    jsonschema.validate({**line, "data": {"at_us": 1, "reason": "end"}}, schema)
    for wrong in ({"at_us": "1", "reason": "end"}, {"reason": "end"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**line, "data": wrong}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**line, "type": "feed.exploded", "data": {"at_us": 1, "reason": "end"}}, schema)


@pytest.mark.slow
def test_real_events_fit_the_schema(tmp_path: Path) -> None:
    events = follow("synthetic:exit-reentry?seconds=6&size=320x180&fps=10", tmp_path, ["the person on the left"])
    validator = jsonschema.Draft202012Validator(events_doc.schema())
    for event in events:
        validator.validate(json.loads(encode_line(event.headers(), encode_body(event.body))))
    seen = {NAMES[type(event.body)] for event in events}
    assert {"feed.started", "segment.opened", "entity.appeared", "masklet", "chunk.done", "feed.ended"} <= seen
