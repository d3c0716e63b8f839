"""Checks values against the subset of JSON Schema that parameter structs make.

It exists beside the libraries for it because its messages are for people: one line that
names the parameter, the value and what is taken instead. It never loads the core.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]

# JSON Schema's names of types, with the article that the messages need.
TYPE_WORDS = {
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a map",
    "null": "null",
}


def problem(value: object, schema: Schema, root: Schema) -> str | None:
    """Say in what way a value does not fit, or None where it does.

    `root` is the document that `$ref`s point into. The answer goes on after "level is 99, ".
    """
    schema = resolve(schema, root)
    branches = schema.get("anyOf") or schema.get("oneOf")
    if branches and choices(schema, root) is None:
        return _branch_problem(value, branches, root)
    allowed = choices(schema, root)
    if allowed is not None:
        known = any(value == choice and type(value) is type(choice) for choice in allowed)
        return None if known else f"one of {_listed(allowed)} is expected"
    types = type_names(schema, root)
    if types and not any(_has_type(value, name) for name in types):
        return f"{_either([TYPE_WORDS[name] for name in types if name != 'null'])} is expected"
    return _range_problem(value, schema) or _items_problem(value, schema, root)


def resolve(schema: Schema, root: Schema) -> Schema:
    """Follow a `$ref` into the document's `$defs`; other schemas are given back as they are."""
    reference = schema.get("$ref")
    if reference is None:
        return schema
    found: Schema = root["$defs"][str(reference).rsplit("/", 1)[-1]]
    return {**resolve(found, root), **{k: v for k, v in schema.items() if k != "$ref"}}


def choices(schema: Schema, root: Schema) -> list[object] | None:
    """List the values of an enumeration; None for schemas that are no enumeration."""
    schema = resolve(schema, root)
    if "enum" in schema:
        return list(schema["enum"])
    if "const" in schema:
        return [schema["const"]]
    if schema.get("type") == "null":
        return [None]
    branches = schema.get("oneOf") or schema.get("anyOf")
    if not branches:
        return None
    found: list[object] = []
    for branch in branches:
        values = choices(branch, root)
        if values is None:
            return None
        found.extend(values)
    return found


def type_names(schema: Schema, root: Schema) -> list[str]:
    """List the JSON types that a schema takes; empty where it takes all."""
    schema = resolve(schema, root)
    branches = schema.get("anyOf") or schema.get("oneOf")
    if branches:
        return list(dict.fromkeys(name for b in branches for name in type_names(b, root)))
    if "enum" in schema or "const" in schema:
        return list(dict.fromkeys(_type_of(v) for v in choices(schema, root) or ()))
    names = schema.get("type", [])
    return [names] if isinstance(names, str) else list(names)


def quoted(value: object) -> str:
    """Write a value as JSON does: `"fast"`, `99`, `true`."""
    return json.dumps(value, ensure_ascii=False, default=str)


def _branch_problem(value: object, branches: Sequence[Schema], root: Schema) -> str | None:
    problems = [problem(value, branch, root) for branch in branches]
    if None in problems:
        return None
    # The branch whose type fits knows best what is wrong; "null is expected" helps nobody.
    fitting = [
        p for p, branch in zip(problems, branches, strict=True) if _fits(value, branch, root)
    ]
    telling = [
        p for p, b in zip(problems, branches, strict=True) if type_names(b, root) != ["null"]
    ]
    return (fitting or telling)[0]


def _fits(value: object, schema: Schema, root: Schema) -> bool:
    return any(_has_type(value, name) for name in type_names(schema, root))


def _range_problem(value: object, schema: Schema) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    lowest, highest = schema.get("minimum"), schema.get("maximum")
    below = lowest is not None and value < lowest
    above = highest is not None and value > highest
    if not below and not above:
        return None
    if lowest is not None and highest is not None:
        return f"{lowest:,} to {highest:,} is expected"
    return f"at least {lowest:,} is expected" if below else f"at most {highest:,} is expected"


def _items_problem(value: object, schema: Schema, root: Schema) -> str | None:
    if not isinstance(value, list) or "items" not in schema:
        return None
    found = (problem(item, schema["items"], root) for item in value)
    return next((f"in the list: {p}" for p in found if p is not None), None)


def _has_type(value: object, name: str) -> bool:
    actual = _type_of(value)
    return actual == name or (name == "number" and actual == "integer")


def _type_of(value: object) -> str:
    if value is None:
        return "null"
    # bool before int: in Python True is an int.
    kinds: Iterator[tuple[type | tuple[type, ...], str]] = iter(
        [
            (bool, "boolean"),
            (int, "integer"),
            (float, "number"),
            (str, "string"),
            (Mapping, "object"),
            (Sequence, "array"),
        ]
    )
    return next((name for kind, name in kinds if isinstance(value, kind)), "unknown")


def _listed(values: Sequence[object]) -> str:
    words = [value if isinstance(value, str) else quoted(value) for value in values]
    return ", ".join(word for word in words if word != "null")


def _either(words: Sequence[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
