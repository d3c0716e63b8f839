"""What ships Pravah agrees with what it ships: Compose file, workflow, verbs, pins."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from pravah.settings import SETTINGS, read_env_file

PROJECT = Path(__file__).parent.parent.parent
COMPOSE = PROJECT / "docker-compose.yml"
WORKFLOW = PROJECT / ".github" / "workflows" / "ci.yml"


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text("utf-8"))


def verbs(path: str, pattern: str) -> list[str]:
    return re.findall(pattern, (PROJECT / path).read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize(
    ("path", "schema"), [(COMPOSE, "compose-spec"), (WORKFLOW, "github-workflows")]
)
def test_file_is_valid_by_its_published_schema(path: Path, schema: str) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}"]
    ran = subprocess.run([*command, path], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_compose_has_the_names_and_ports_of_the_env_example() -> None:
    services = read(COMPOSE)["services"]
    settings = read_env_file(PROJECT / ".env.example")
    for service, name in (("postgres", "DATABASE_URL"), ("minio", "S3_ENDPOINT_URL")):
        meant = urlsplit(settings[name])
        assert services[service]["container_name"] == meant.hostname
        assert f"127.0.0.1:{meant.port}:{meant.port}" in services[service]["ports"]
    database, made = urlsplit(settings["DATABASE_URL"]), services["postgres"]["environment"]
    assert (made["POSTGRES_USER"], made["POSTGRES_PASSWORD"]) == (
        database.username,
        database.password,
    )
    assert made["POSTGRES_DB"] == database.path.lstrip("/")


def test_compose_defaults_are_those_of_the_env_example() -> None:
    settings = read_env_file(PROJECT / ".env.example")
    for service in read(COMPOSE)["services"].values():
        for value in service["environment"].values():
            for name, default in re.findall(r"\$\{(\w+):-(.*?)\}", value):
                assert default == settings.get(name, ""), name


def test_compose_passes_only_settings_that_are_read() -> None:
    services = read(COMPOSE)["services"]
    passed = {name for service in ("api", "worker") for name in services[service]["environment"]}
    assert passed <= {setting.name for setting in SETTINGS}


def test_every_container_of_pravah_waits_for_the_migration() -> None:
    services = read(COMPOSE)["services"]
    for service in ("api", "worker"):
        waited = services[service]["depends_on"]["migrate"]
        assert waited == {"condition": "service_completed_successfully"}
    assert services["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}


def test_actions_are_pinned_by_commit() -> None:
    used = verbs(".github/workflows/ci.yml", r"uses: *(\S+)")
    assert used
    assert [each for each in used if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", each)] == []


def test_workflow_runs_the_verbs_of_ci() -> None:
    steps = read(WORKFLOW)["jobs"]["test"]["steps"]
    run = [step["run"] for step in steps if step.get("run", "").startswith("make ")]
    assert run == verbs(".ci/run", r"^make \w+$")


def test_justfile_has_every_verb_of_the_makefile() -> None:
    makefile = set(verbs("Makefile", r"^([a-z-]+):.*## ")) - {"help"}
    assert set(verbs("justfile", r"^([a-z-]+)(?: \*args)?:$")) - {"default"} == makefile


def test_minio_is_the_same_in_image_and_tests() -> None:
    (image,) = verbs("deploy/minio/Dockerfile", r"^ARG MINIO_VERSION=(\S+)$")
    (tested,) = verbs("scripts/object_servers.sh", r"^minio=github.com/minio/minio@(\S+)$")
    assert image == tested


def test_image_is_built_with_the_pdm_of_the_setup() -> None:
    (image,) = verbs("Dockerfile", r"'pdm\[locked\]==([\d.]+)'")
    (setup,) = verbs("scripts/setup.sh", r"^pdm_version=([\d.]+)")
    assert image == setup
