"""Reads a step as it is typed: `NAME`, `NAME:VALUE`, `NAME:k=v,k=v` or a YAML flow map.

Parameters get the types of their descriptor's schema here, so `level=3` is a number and
`name=no` stays a word; whether the values are allowed is for `Registry.check`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn

from pravah.errors import SpecError
from pravah.registry.descriptor import Descriptor
from pravah.registry.schema import type_names

Parameters = dict[str, Any]
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\Z")
_CLOSING = {"[": "]", "{": "}", '"': '"', "'": "'"}


def split(text: str) -> tuple[str, str | Mapping[str, Any]]:
    """Divide a typed step into its name and what follows the colon.

    `compress:zstd` gives `("compress", "zstd")`, `{compress: {level: 3}}` gives
    `("compress", {"level": 3})`.
    """
    text = text.strip()
    if text.startswith("{"):
        return _of_map(_flow(text, text), text)
    name, _, rest = text.partition(":")
    if not _NAME.match(name):
        raise _unreadable(text, "a step begins with the name of a processor")
    return name, rest


def parameters(rest: str | Mapping[str, Any], descriptor: Descriptor, text: str) -> Parameters:
    """Read what follows the name, with the types that the descriptor gives its parameters."""
    if isinstance(rest, Mapping):
        return dict(rest)
    rest = rest.strip()
    if not rest:
        return {}
    if rest.startswith("{"):
        return dict(_flow(rest, text))
    if _is_expression(rest, descriptor):
        return {str(descriptor.primary): rest}
    parts = _parts(rest, text)
    if all("=" in part for part in parts):
        pairs = [part.split("=", 1) for part in parts]
        return {
            key.strip(): _typed(value.strip(), descriptor, key.strip(), text)
            for key, value in pairs
        }
    if _takes_list(descriptor) and not any("=" in part for part in parts):
        return {str(descriptor.primary): [part.strip() for part in parts]}
    if len(parts) > 1:
        return _refuse_mixed(parts, descriptor, text)
    if descriptor.primary is None:
        raise SpecError(
            f"{descriptor.name}: `{rest}` is no `parameter=value`, "
            f"and {descriptor.name} has no primary parameter",
            kind="invalid_parameter",
            hint=f"`pravah processors show {descriptor.name}` shows its parameters",
        )
    return {descriptor.primary: _typed(rest, descriptor, descriptor.primary, text)}


def _is_expression(rest: str, descriptor: Descriptor) -> bool:
    """Tell whether all of it is one expression, whose commas and `=` are its own."""
    primary = descriptor.properties.get(descriptor.primary or "", {})
    name = rest.partition("=")[0].strip()
    return primary.get("format") == "expression" and name not in descriptor.properties


def _takes_list(descriptor: Descriptor) -> bool:
    """Tell whether the primary parameter is a list."""
    primary = descriptor.properties.get(descriptor.primary or "", {})
    return type_names(primary, descriptor.parameters) == ["array"]


def _refuse_mixed(parts: list[str], descriptor: Descriptor, text: str) -> NoReturn:
    """Refuse a value beside `parameter=value`; what it is probably meant for is the hint."""
    bare = [part for part in parts if "=" not in part]
    error = _unreadable(text, f"`{bare[0]}` is no `parameter=value`")
    if descriptor.primary and bare == parts[:1]:
        error.hint = f"did you mean `{descriptor.name}:{descriptor.primary}={','.join(parts)}`?"
    raise error


def _of_map(step: Mapping[str, Any], text: str) -> tuple[str, Mapping[str, Any]]:
    if len(step) != 1:
        raise _unreadable(
            text, f"a step is one processor and its parameters, this has {len(step)} keys"
        )
    name, given = next(iter(step.items()))
    if given is None:
        return str(name), {}
    if not isinstance(given, Mapping):
        raise _unreadable(text, f"the parameters of `{name}` are no map")
    return str(name), given


def _flow(text: str, step: str) -> Mapping[str, Any]:
    # Only flow maps need YAML; it costs 15 ms that other steps don't pay.
    import yaml

    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise _unreadable(
            step, f"it is no YAML: {getattr(error, 'problem', None) or error}"
        ) from error
    if not isinstance(value, Mapping):
        raise _unreadable(step, "it is no YAML map")
    return value


def _parts(text: str, step: str) -> list[str]:
    """Split at commas, but not inside quotes and brackets."""
    parts, start, open_until = [], 0, ""
    for position, letter in enumerate(text):
        if open_until:
            if letter == open_until[-1]:
                open_until = open_until[:-1]
            elif open_until[-1] not in "\"'" and letter in _CLOSING:
                open_until += _CLOSING[letter]
        elif letter in _CLOSING:
            open_until += _CLOSING[letter]
        elif letter == ",":
            parts.append(text[start:position])
            start = position + 1
    if open_until:
        raise _unreadable(step, f"`{open_until[-1]}` is missing")
    return [*parts, text[start:]]


def _typed(value: str, descriptor: Descriptor, parameter: str, step: str) -> object:
    """Give a typed word the first type of its parameter's schema that it can have."""
    types = type_names(descriptor.properties.get(parameter, {}), descriptor.parameters)
    is_template = value[:1] == "{" and "string" in types and "object" not in types
    if value[:1] in _CLOSING and not is_template:
        return _flow_value(value, step)
    readings: dict[str, Any] = {"integer": int, "number": float, "boolean": _boolean, "null": _null}
    for name in ("integer", "number", "boolean", "null"):
        if name in types:
            try:
                return readings[name](value)
            except ValueError:
                continue
    # One column of a parameter that takes several is typed as it is.
    return [value] if "array" in types and set(types) <= {"array", "null"} else value


def _flow_value(value: str, step: str) -> object:
    import yaml

    try:
        return yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise _unreadable(
            step, f"`{value}` is no YAML: {getattr(error, 'problem', None) or error}"
        ) from error


def _boolean(value: str) -> bool:
    word = json.loads(value.lower()) if value.lower() in ("true", "false") else None
    if word is None:
        raise ValueError(value)
    return bool(word)


def _null(value: str) -> None:
    if value != "null":
        raise ValueError(value)


def _unreadable(step: str, why: str) -> SpecError:
    return SpecError(
        f"can't read the step `{step}`: {why}",
        kind="invalid_step",
        hint="a step is `NAME`, `NAME:VALUE`, `NAME:key=value,key=value` or a YAML flow map",
    )
