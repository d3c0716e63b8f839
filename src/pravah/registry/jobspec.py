"""The JSON Schema of a job spec, with every processor and its parameters in it.

The model knows a step's structure only; here the registry fills in names and parameters,
so that editors complete them and a wrong one is underlined.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pravah.registry.catalogue import Registry
    from pravah.registry.descriptor import Descriptor, Schema


def job_spec_schema(registry: Registry) -> Schema:
    """Compose the schema of `pravah run -f SPEC` for editors and other programs."""
    from pravah.model.spec import JobSpec

    schema: Schema = JobSpec.model_json_schema()
    definitions: dict[str, Any] = schema.setdefault("$defs", {})
    for descriptor in registry:
        definitions.update(_definitions(descriptor))
    names = {"enum": [d.name for d in registry], "description": "A processor with its defaults."}
    configured = [_configured(descriptor) for descriptor in registry]
    schema["properties"]["steps"]["items"] = {"anyOf": [names, *configured]}
    return schema


def _configured(descriptor: Descriptor) -> Schema:
    return {
        "type": "object",
        "description": descriptor.summary,
        "properties": {descriptor.name: {"$ref": f"#/$defs/{_prefix(descriptor)}"}},
        "required": [descriptor.name],
        "additionalProperties": False,
    }


def _definitions(descriptor: Descriptor) -> dict[str, Schema]:
    """Give the parameters' schemas under names that no other processor has."""
    prefix = _prefix(descriptor)
    text = json.dumps(descriptor.parameters).replace("#/$defs/", f"#/$defs/{prefix}.")
    parameters: Schema = json.loads(text)
    inner: dict[str, Schema] = parameters.pop("$defs", {})
    parameters.pop("$schema", None)
    return {prefix: parameters} | {f"{prefix}.{name}": schema for name, schema in inner.items()}


def _prefix(descriptor: Descriptor) -> str:
    return f"step.{descriptor.name}"
