"""The committed list of native processors is what the core would write."""

import json
import subprocess
import sys

import pytest

from pravah.registry import job_spec_schema, registry
from pravah.registry.__main__ import NATIVE, rendered


def test_native_list_equals_what_the_core_describes() -> None:
    assert NATIVE.read_text("utf-8") == rendered(), "`python -m pravah.registry` rewrites it"


def test_wire_form_of_descriptors_is_the_form_they_were_read_from() -> None:
    listed = json.loads(json.dumps([descriptor.to_dict() for descriptor in registry()]))
    assert listed == json.loads(NATIVE.read_text("utf-8"))


@pytest.mark.parametrize("command", [["--version"], ["--help"], ["processors", "list"]])
def test_commands_that_only_inform_load_no_core(command: list[str]) -> None:
    program = (
        "import sys; sys.argv[0] = 'pravah'; from pravah.cli import main\n"
        "try: main()\n"
        "finally: sys.stderr.write(' '.join(sorted(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", program, *command], capture_output=True, text=True)
    loaded = set(ran.stderr.split())
    assert ran.returncode == 0
    assert not loaded & {"pravah._core", "pydantic", "sqlalchemy", "alembic", "rich", "yaml"}
    if command[0].startswith("--"):
        assert "typer" not in loaded


def test_job_spec_schema_names_every_processor_and_its_parameters() -> None:
    schema = job_spec_schema(registry())
    branches = schema["properties"]["steps"]["items"]["anyOf"]
    assert branches[0]["enum"] == [descriptor.name for descriptor in registry()]
    references = [next(iter(b["properties"].values()))["$ref"] for b in branches[1:]]
    for reference, descriptor in zip(references, registry(), strict=True):
        definition = schema["$defs"][reference.removeprefix("#/$defs/")]
        assert set(definition.get("properties", {})) == set(descriptor.properties)
