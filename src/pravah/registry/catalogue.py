"""The registry: every processor's descriptor, and the checks that need no more than those.

Names, types and payload kinds are checked here without loading the core; values that only a
codec can judge (levels) are left to the core, which has the last word.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Any

from pravah.errors import SpecError
from pravah.registry import schema as schemas
from pravah.registry import step as steps
from pravah.registry.descriptor import Descriptor

NamedStep = tuple[str, Mapping[str, Any]]


class Registry:
    """Every processor that a step can name.

    >>> registry().find("copy").shape
    'map'
    """

    def __init__(self, descriptors: Iterable[Descriptor]) -> None:
        ordered = sorted(descriptors, key=lambda descriptor: descriptor.name)
        self._by_name = {descriptor.name: descriptor for descriptor in ordered}

    def __iter__(self) -> Iterator[Descriptor]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    def find(self, name: str) -> Descriptor:
        """Give the descriptor of that name, or say which name was perhaps meant."""
        found = self._by_name.get(name)
        if found is not None:
            return found
        meant = get_close_matches(name, self._by_name, n=1)
        guess = f"did you mean `{meant[0]}`? " if meant else ""
        raise SpecError(
            f"unknown processor `{name}`",
            kind="unknown_processor",
            hint=f"{guess}`pravah processors list` shows all {len(self)}",
        )

    def reduces(self, pipeline: Iterable[Mapping[str, Any]]) -> bool:
        """Tell whether one of a plan's steps makes few outputs of many files."""
        return any(self.find(step["name"]).shape == "reduce" for step in pipeline)

    def expands(self, pipeline: Iterable[Mapping[str, Any]]) -> bool:
        """Tell whether a plan's step makes several outputs of what else is one."""
        return any(_expands(self.find(step["name"]), step["params"]) for step in pipeline)

    def finds(self, pipeline: Iterable[Mapping[str, Any]]) -> bool:
        """Tell whether one of a plan's steps finds records: by its shape, or by a parameter."""
        return any(_finds(self.find(step["name"]), step["params"]) for step in pipeline)

    def read_step(self, text: str) -> NamedStep:
        """Read a step as it is typed after `-s`.

        >>> registry().read_step("compress:gzip")
        ('compress', {'codec': 'gzip'})
        """
        name, rest = steps.split(text)
        return name, steps.parameters(rest, self.find(name), text)

    def spec_form(self, step: object) -> object:
        """Give a step, typed or as plain data, as the spec has it.

        >>> registry().spec_form("compress:gzip"), registry().spec_form({"compress": "gzip"})
        ({'compress': {'codec': 'gzip'}}, {'compress': {'codec': 'gzip'}})
        """
        if isinstance(step, str):
            name, parameters = self.read_step(step)
            return {name: parameters} if parameters else name
        if isinstance(step, Mapping) and len(step) == 1:
            name, value = next(iter(step.items()))
            primary = self.find(str(name)).primary
            if primary and not isinstance(value, dict | None):
                return {name: {primary: value}}
        return step

    def check(self, pipeline: Sequence[NamedStep]) -> None:
        """Check names, parameters and that each step can follow the one before it."""
        for name, parameters in pipeline:
            self.check_step(name, parameters)
        descriptors = [self.find(name) for name, _ in pipeline]
        for first, second in pairwise(descriptors):
            if not _meet(first.output, second.input):
                raise self._cannot_follow(first, second)

    def check_step(self, name: str, parameters: Mapping[str, Any]) -> None:
        """Check the parameters of one step by their types, ranges and enumerations."""
        descriptor = self.find(name)
        for parameter, value in parameters.items():
            known = descriptor.properties.get(parameter)
            if known is None:
                raise _unknown_parameter(descriptor, parameter)
            problem = schemas.problem(value, known, descriptor.parameters)
            if problem is not None:
                raise _bad_value(descriptor, parameter, value, problem)
        for parameter in descriptor.parameters.get("required", ()):
            if parameter not in parameters:
                raise SpecError(
                    f"{name}: the parameter `{parameter}` is missing",
                    kind="invalid_parameter",
                    hint=f"`pravah processors show {name}` shows its parameters",
                )

    def _cannot_follow(self, first: Descriptor, second: Descriptor) -> SpecError:
        followers = [d.name for d in self if _meet(first.output, d.input)]
        return SpecError(
            f"{second.name} can't follow {first.name}: "
            f"it takes {second.input}, {first.name} gives {first.output}",
            kind="incompatible_steps",
            hint=f"{first.name} can be followed by: {', '.join(followers)}"
            if followers
            else f"no step can follow {first.name}",
        )


@cache
def registry() -> Registry:
    """Give the registry of this installation: the native processors."""
    text = files("pravah.registry").joinpath("native.json").read_text("utf-8")
    return Registry(Descriptor.from_dict(fields) for fields in json.loads(text))


def _finds(descriptor: Descriptor, parameters: Mapping[str, Any]) -> bool:
    told = (
        parameters.get(name) in schema.get("finds", ())
        for name, schema in descriptor.properties.items()
    )
    return descriptor.shape == "inspect" or any(told)


def _expands(descriptor: Descriptor, parameters: Mapping[str, Any]) -> bool:
    told = (
        bool(parameters.get(name)) and schema.get("expands", False)
        for name, schema in descriptor.properties.items()
    )
    return descriptor.shape == "expand" or any(told)


def _meet(output: str, given: str) -> bool:
    # Files are read as tables and written again where a step wants the other kind.
    return output == given or {output, given} == {"bytes", "table"}


def _unknown_parameter(descriptor: Descriptor, parameter: str) -> SpecError:
    meant = get_close_matches(parameter, descriptor.properties, n=1)
    guess = f"did you mean `{meant[0]}`? " if meant else ""
    return SpecError(
        f"{descriptor.name}: unknown parameter `{parameter}`",
        kind="unknown_parameter",
        hint=f"{guess}`pravah processors show {descriptor.name}` shows what it takes",
    )


def _bad_value(descriptor: Descriptor, parameter: str, value: object, problem: str) -> SpecError:
    allowed = schemas.choices(descriptor.properties[parameter], descriptor.parameters) or []
    words = [word for word in allowed if isinstance(word, str)]
    meant = get_close_matches(value, words, n=1) if isinstance(value, str) else []
    shown = value if isinstance(value, str) and words else schemas.quoted(value)
    return SpecError(
        f"{descriptor.name}: {parameter} is {shown}, {problem}",
        kind="invalid_parameter",
        hint=f"did you mean `{parameter}={meant[0]}`?" if meant else None,
    )
