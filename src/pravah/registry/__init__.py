"""Every processor there is: what it is called, what it takes, what can follow it.

- `descriptor`: what a processor says about itself
- `catalogue`: the registry; finds and checks steps
- `step`: the syntax of a typed step
- `schema`: checks values against the JSON Schema of parameters
- `jobspec`: the job spec's JSON Schema with every step in it
- `native.json`: generated from the core by `python -m pravah.registry`

Nothing here runs a processor, and only the generator loads the core.
"""

from pravah.registry.catalogue import NamedStep, Registry, registry
from pravah.registry.descriptor import Descriptor, Example
from pravah.registry.jobspec import job_spec_schema

__all__ = ["Descriptor", "Example", "NamedStep", "Registry", "job_spec_schema", "registry"]
