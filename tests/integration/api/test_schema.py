"""The whole OpenAPI document, by schemathesis: what is served is what is described.

All checks, on requests that fit the schemas and on such that do not. `PRAVAH_API_EXAMPLES` sets how
many of each are tried for an operation.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import positive_data_acceptance

from tests.integration.api.serving import Server
from tests.integration.workspace import Workspace

EXAMPLES = int(os.environ.get("PRAVAH_API_EXAMPLES", "8"))
ADMIN = "admin-key-of-the-tests"
# Of what fits a schema some means nothing: a source without a URI, steps that can't follow each
# other, a cursor that no page came with. No schema tells; everything else is checked.
MEANING_DECIDES = [positive_data_acceptance]
# Specs and parts of specs; a path in one of two forms.
OPAQUE = {"create_job", "change_job", "get_why", "get_which"}
TRIED = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("key", ["", ADMIN], ids=["open", "with a key"])
def test_document_holds_for_whatever_is_sent(workspace: Workspace, key: str) -> None:
    workspace.fill(3)
    server = Server(workspace, PRAVAH_ADMIN_KEY=key)
    try:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        server.create("count", sink=None, headers=headers)
        sent, broken = _try(server, headers)
        assert not broken, "\n".join(f"{name}: {told}" for name, told in broken.items())
        assert sent > 20 * EXAMPLES
        assert "Traceback" not in server.log.read_text()
    finally:
        server.kill()


def test_every_operation_is_described_whole(server: Server) -> None:
    document = server.client.get("/openapi.json").json()
    operations = [
        (path, operation)
        for path, methods in document["paths"].items()
        for operation in methods.values()
    ]
    names = [operation["operationId"] for _, operation in operations]
    assert len(names) == len(set(names)) > 15
    for path, operation in operations:
        assert operation["summary"], path
        (success, *_) = [code for code in operation["responses"] if code.startswith("2")]
        refused = [code for code in operation["responses"] if code.startswith("4")]
        assert len(refused) >= 2, path
        for code in refused:
            content = operation["responses"][code]["content"]["application/problem+json"]
            assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
            assert content["example"]["status"] == int(code)
        content = operation["responses"][success].get("content", {})
        assert success == "204" or any("example" in each for each in content.values()), path
    assert "security" not in operations[0][1]


def _try(server: Server, headers: dict[str, str]) -> tuple[int, dict[str, str]]:
    """Try every operation; give how many requests were sent, and what was wrong by operation."""
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json", headers=headers)
    sent, broken = 0, {}
    for found in schema.get_all_operations():
        operation = found.ok()
        name = operation.definition.raw["operationId"]
        if name == "follow_job":
            continue  # a stream of a job that nobody works on has no end; test_events follows some

        def sent_and_checked(case: Any) -> None:
            nonlocal sent
            sent += 1
            named = case.operation.definition.raw["operationId"]
            opaque = named in OPAQUE or "cursor" in case.query
            excluded = MEANING_DECIDES if opaque else []
            case.call_and_validate(headers=headers, excluded_checks=excluded)

        for mode in schemathesis.GenerationMode:
            cases = operation.as_strategy(generation_mode=mode)
            try:
                TRIED(given(case=cases)(sent_and_checked))()
            except Unsatisfiable:
                continue  # it takes nothing that could be wrong
            except (Exception, BaseExceptionGroup) as error:  # noqa: BLE001 - told of together
                broken[f"{name} {mode.value}"] = str(error)
    return sent, broken
