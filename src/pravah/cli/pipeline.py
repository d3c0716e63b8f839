"""Writes a job's spec as the one line that people recognise it by."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pravah.cli.names import from_uri, printable
from pravah.errors import SpecError
from pravah.registry import registry


def steps(spec: Mapping[str, Any]) -> str:
    """Write the steps: `decompress → compress:gzip`."""
    return " → ".join(step(written) for written in spec["steps"])


def step(written: str | Mapping[str, Any]) -> str:
    """Write a step as it is typed: NAME, NAME:VALUE or NAME:key=value."""
    if isinstance(written, str):
        return printable(written)
    name, parameters = next(iter(written.items()))
    if list(parameters) == [_primary(name)]:
        (value,) = parameters.values()
        words = ",".join(map(_value, value)) if isinstance(value, list) else _value(value)
        return printable(f"{name}:{words}")
    return printable(
        f"{name}:" + ",".join(f"{key}={_value(value)}" for key, value in parameters.items())
    )


def sources(spec: Mapping[str, Any]) -> str:
    """Write the source, or the first of them and how many more there are."""
    uris = spec["source"]["uri"]
    first, *others = [uris] if isinstance(uris, str) else uris
    more = f" and {len(others)} more" if others else ""
    listed = spec["source"].get("files_from")
    names = f"names of {'stdin' if listed == '-' else from_uri(listed)} below " if listed else ""
    return f"{names}{from_uri(first)}{more}"


def sink(spec: Mapping[str, Any]) -> str | None:
    """Write the sink, if there is one."""
    return from_uri(spec["sink"]["uri"]) if spec.get("sink") else None


def _primary(name: str) -> str | None:
    try:
        return registry().find(name).primary
    except SpecError:  # a job of another release, with a processor that this one lacks
        return None


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
