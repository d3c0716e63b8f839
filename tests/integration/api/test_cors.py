"""Pages of other origins: kept out, unless the operator has named theirs."""

from __future__ import annotations

import pytest

from tests.integration.api.serving import Server
from tests.integration.workspace import Workspace

APP = "https://app.example"
ADMIN = "admin-key-of-the-tests"
KEY = {"Authorization": f"Bearer {ADMIN}"}
ASK = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}


def told(headers: object) -> list[str]:
    """Give the names of what an answer says about other origins."""
    return [name for name in headers if name.startswith("access-control-")]  # type: ignore[attr-defined]


def test_nothing_is_said_to_other_origins_unless_they_are_named(workspace: Workspace) -> None:
    server = Server(workspace, PRAVAH_ADMIN_KEY=ADMIN)
    try:
        for method in ("GET", "OPTIONS"):
            answer = server.client.request(
                method, "/jobs", headers={"Origin": APP, **(ASK if method == "OPTIONS" else {})}
            )
            assert answer.status_code == 401
            assert told(answer.headers) == []
        assert told(server.client.get("/jobs", headers={"Origin": APP, **KEY}).headers) == []
    finally:
        server.kill()


def test_named_origin_may_call_with_a_key_and_others_may_not(workspace: Workspace) -> None:
    origins = f"{APP}, http://localhost:3000"
    server = Server(workspace, PRAVAH_ADMIN_KEY=ADMIN, PRAVAH_CORS_ORIGINS=origins)
    client = server.client
    try:
        # Alike for what there is and what there is not, with and without a key.
        preflights = [
            client.options(path, headers={"Origin": APP, **ASK, **key})
            for path in ("/jobs", "/jobs/job_01KB0Z6N5T3V8X2Y4W6Q8R0S1T", "/nothing")
            for key in ({}, KEY)
        ]
        assert {each.status_code for each in preflights} == {204}
        assert len({str(sorted(told(each.headers))) for each in preflights}) == 1
        first = preflights[0].headers
        assert first["access-control-allow-origin"] == APP
        assert "Idempotency-Key" in first["access-control-allow-headers"]
        assert "access-control-allow-credentials" not in first
        answer = client.get("/jobs", headers={"Origin": APP, **KEY})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, APP)
        assert "Origin" in answer.headers["vary"]
        # A page is told why it was refused, and gets in by nothing but the key.
        refused = client.get("/jobs", headers={"Origin": APP})
        assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, APP)
        plain = client.options("/jobs", headers={"Origin": APP})
        assert plain.status_code == 401
        strangers = ("https://app.example.evil", "https://evil", "http://app.example", "null", "*")
        for origin in strangers:
            headers = {"Origin": origin, **ASK}
            assert client.options("/jobs", headers=headers).status_code == 401
            assert told(client.get("/jobs", headers={"Origin": origin, **KEY}).headers) == []
    finally:
        server.kill()


def test_named_origin_is_no_stranger_to_a_server_without_keys(workspace: Workspace) -> None:
    server = Server(workspace, PRAVAH_CORS_ORIGINS=APP)
    try:
        assert server.client.get("/jobs", headers={"Origin": APP}).status_code == 200
        stranger = server.client.get("/jobs", headers={"Origin": "https://evil.example"})
        assert (stranger.status_code, stranger.json()["kind"]) == (403, "origin_not_allowed")
    finally:
        server.kill()


@pytest.mark.parametrize(
    "text", ["*", "https://*.example", "app.example", "https://a.example/", "https://A.example"]
)
def test_origin_that_is_none_is_refused_at_the_start(text: str) -> None:
    from pravah.errors import SettingError
    from pravah.settings import Settings

    with pytest.raises(SettingError):
        Settings({"PRAVAH_CORS_ORIGINS": text, "PRAVAH_ENV_FILE": ""})
