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

from tests.integration.api.serving import Server
from tests.integration.workspace import Workspace

EXAMPLES = int(os.environ.get("PRAVAH_API_EXAMPLES", "8"))
ADMIN = "admin-key-of-the-tests"


def _operations(server: Server, headers: dict[str, str]) -> list[Any]:
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json", headers=headers)
    return [found.ok() for found in schema.get_all_operations()]


def _try(server: Server, headers: dict[str, str]) -> int:
    """Try every operation; give how many requests were sent."""
    sent = 0
    for operation in _operations(server, headers):
        if operation.path == "/jobs/{job_id}/events":
            continue  # a stream of a job that nobody works on has no end; test_events follows some
        for mode in schemathesis.GenerationMode:
            strategy = operation.as_strategy(generation_mode=mode)

            @settings(
                max_examples=EXAMPLES,
                deadline=None,
                database=None,
                phases=[Phase.explicit, Phase.generate],
                suppress_health_check=list(HealthCheck),
                derandomize=True,
            )
            @given(case=strategy)
            def check(case: Any) -> None:
                nonlocal sent
                sent += 1
                case.call_and_validate(headers=headers)

            check()
    return sent


@pytest.mark.parametrize("key", ["", ADMIN], ids=["open", "with a key"])
def test_document_holds_for_whatever_is_sent(workspace: Workspace, key: str) -> None:
    workspace.fill(3)
    server = Server(workspace, PRAVAH_ADMIN_KEY=key)
    try:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        server.create("count", sink=None, headers=headers)
        assert _try(server, headers) > 20 * EXAMPLES
        assert "Traceback" not in server.log.read_text()
    finally:
        server.kill()
