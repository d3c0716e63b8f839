"""What a processor says about itself; the same form for native and Python ones.

A descriptor is data: nothing here runs a processor or loads the core.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Example:
    """A step, an input and what comes of it; the conformance kit runs each."""

    step: str
    params: Mapping[str, Any]
    explains: str
    name: str
    input: Mapping[str, Any]
    expected: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A processor before it has parameters."""

    name: str
    version: int
    summary: str
    shape: str
    input: str
    output: str
    pure: bool
    primary: str | None
    parameters: Schema
    examples: tuple[Example, ...]

    @classmethod
    def from_dict(cls, form: Mapping[str, Any]) -> Descriptor:
        """Make a descriptor of the form that the core writes."""
        examples = tuple(Example(**example) for example in form["examples"])
        return cls(**{**form, "examples": examples})

    def to_dict(self) -> dict[str, Any]:
        """Give the wire form, as `processors show --json` prints it."""
        return asdict(self)

    @property
    def properties(self) -> Mapping[str, Schema]:
        """The schema of each parameter, by name."""
        properties: Mapping[str, Schema] = self.parameters.get("properties", {})
        return properties
