"""The fields of a pair in the words of Hugging Face's dataset cards: `datasets` then need not guess them from the first
lines, in which a list may be empty."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import inspect

from instruct.pair import Pair


def features() -> str:
    """The card's `dataset_info`, as YAML."""
    return "\n".join(["dataset_info:", "  features:", *_fields(inspect.type_info(Pair), "  ")])


def _fields(struct: inspect.Type, indent: str) -> Iterator[str]:
    assert isinstance(struct, inspect.StructType)
    for field in struct.fields:
        yield f"{indent}- name: {field.name}"
        yield from _type(field.type, indent + "  ", "dtype")


def _type(kind: inspect.Type, indent: str, key: str) -> Iterator[str]:
    match kind:
        case inspect.StructType():
            yield f"{indent}{'struct' if key == 'dtype' else key}:"
            yield from _fields(kind, indent)
        case inspect.ListType():
            yield from _list(kind.item_type, indent, key)
        case inspect.TupleType():  # of one kind
            yield from _list(kind.item_types[0], indent, key)
        case _:
            yield f"{indent}{key}: {_NAMES.get(type(kind), 'string')}"


def _list(item: inspect.Type, indent: str, key: str) -> Iterator[str]:
    if key == "list":
        yield f"{indent}list:"
        indent += "  "
    yield from _type(item, indent, "list")


_NAMES: dict[type[inspect.Type], str] = {
    inspect.IntType: "int64", inspect.FloatType: "float64", inspect.BoolType: "bool",
}  # fmt: skip
