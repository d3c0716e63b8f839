"""Reads a job spec from a YAML file and sets single keys of it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pravah.errors import NotFoundError, SpecError

# A spec is written by a person; whatever is larger is another kind of file.
LARGEST_SPEC_BYTES = 1 << 20


def load(path: str) -> dict[str, Any]:
    """Read a YAML file with the safe loader; `-` is stdin."""
    import yaml

    class Loader(yaml.SafeLoader):
        """The safe loader, for which a key that stands twice is an error."""

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
            seen = set()
            for key, _ in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    problem = "a key is a list or a map, and a word is expected"
                    raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
                if key.value in seen:
                    problem = f"`{key.value}` is given twice"
                    raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
                seen.add(key.value)
            return super().construct_mapping(node, deep)

    text = _read(path)
    try:
        loaded = yaml.load(text, Loader)  # noqa: S506 - a kind of SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise SpecError(f"{path}{where}: {getattr(error, 'problem', None) or error}") from error
    if not isinstance(loaded, Mapping):
        raise SpecError(
            f"{path}: a job spec is a map of keys, this is {_kind(loaded)}",
            hint="it begins with keys such as `source:` and `steps:`",
        )
    return dict(loaded)


def assign(mapping: dict[str, Any], assignment: str) -> None:
    """Carry out `--set a.b=value`: numbers in the path are places of a list, values are YAML.

    >>> spec = {"steps": [{"compress": {"level": 3}}]}
    >>> assign(spec, "steps.0.compress.level=9")
    >>> spec
    {'steps': [{'compress': {'level': 9}}]}
    """
    path, equals, text = assignment.partition("=")
    keys = path.split(".")
    if not equals or not all(keys):
        raise SpecError(
            f"can't read `--set {assignment}`",
            hint="it is `key.key=value`, as in `--set sink.uri=out/`",
        )
    holder: Any = mapping
    for position, key in enumerate(keys[:-1]):
        holder = _descend(holder, key, keys[position + 1], assignment)
    last: str | int = _place(holder, keys[-1], assignment) if isinstance(holder, list) else keys[-1]
    holder[last] = _value(text, assignment)


def _descend(holder: Any, key: str, below: str, assignment: str) -> Any:  # noqa: ANN401 - YAML's values
    if isinstance(holder, list):
        found = holder[_place(holder, key, assignment)]
    else:
        found = holder.setdefault(key, {})
        # A bare string stands for a section that has only its URI.
        if isinstance(found, str) and below != "uri":
            found = holder[key] = {"uri": found}
        elif found is None or isinstance(found, str):
            found = holder[key] = {}
    if not isinstance(found, dict | list):
        raise SpecError(f"can't set `{assignment}`: `{key}` is {_kind(found)}, not a map")
    return found


def _place(holder: list[Any], key: str, assignment: str) -> int:
    if not key.isdecimal() or int(key) >= len(holder):
        raise SpecError(
            f"can't set `{assignment}`: the list has places 0 to {len(holder) - 1}, not `{key}`"
        )
    return int(key)


def _value(text: str, assignment: str) -> object:
    import yaml

    try:
        return yaml.safe_load(text) if text else ""
    except yaml.YAMLError as error:
        raise SpecError(f"can't read the value of `--set {assignment}`: {error}") from error


def _read(path: str) -> str:
    try:
        if path == "-":
            if sys.stdin is None:
                raise SpecError(
                    "the spec is to come from stdin, which is closed", kind="stdin_closed"
                )
            return sys.stdin.read(LARGEST_SPEC_BYTES + 1)
        with Path(path).open("rb") as file:
            text = file.read(LARGEST_SPEC_BYTES + 1)
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no spec `{path}`", kind="spec_missing") from error
    except OSError as error:
        raise SpecError(
            f"can't read the spec `{path}`: {(error.strerror or str(error)).lower()}"
        ) from error
    if len(text) > LARGEST_SPEC_BYTES:
        raise SpecError(f"{path} is larger than {LARGEST_SPEC_BYTES:,} bytes; that is no job spec")
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SpecError(f"{path} is not UTF-8, at byte {error.start:,}") from error


def _kind(value: object) -> str:
    if value is None:
        return "empty"
    if isinstance(value, list):
        return "a list"
    return "a string" if isinstance(value, str) else f"`{value}`"
