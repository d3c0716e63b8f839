"""Who may do what: keys, scopes, teams, rates, and how far jobs may reach."""

from __future__ import annotations

import json
import re
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from pravah.api.guard import PUBLIC
from pravah.model.keys import KeyLimits, Scope
from tests.integration.api.serving import Server, run
from tests.integration.workspace import Workspace

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
ADMIN = "admin-key-of-the-tests"
AS_ADMIN = {"Authorization": f"Bearer {ADMIN}"}


@pytest.fixture
def locked(workspace: Workspace) -> Any:
    """Give a server that wants keys."""
    made = Server(workspace, PRAVAH_ADMIN_KEY=ADMIN)
    yield made
    made.kill()


def test_every_route_and_method_wants_a_key_but_the_public_ones(locked: Server) -> None:
    document = locked.client.get("/openapi.json").json()
    paths = [
        re.sub(r"\{.*?\}", "job_01KB0Z6N5T3V8X2Y4W6Q8R0S1T", path) for path in document["paths"]
    ]
    assert len(paths) > 15
    private = [path for path in paths if path not in PUBLIC]
    # Neither a beginning nor an end makes a path public (Prefect's advisory), nor another spelling.
    traps = ["/", "/nothing", "/jobs/livez", "/livez/", "/x/livez", "/docs/", "/docs/x", "//livez"]
    traps += ["/jobs;/livez", "/jobs%2f..%2flivez", "/openapi.json/", "/LIVEZ", "/jobs?x=/livez"]
    for path in [*private, *traps]:
        for method in METHODS:
            answer = locked.client.request(method, path)
            assert answer.status_code == 401, (method, path)
            assert answer.headers["www-authenticate"].startswith("Bearer")
    for path in PUBLIC:
        assert locked.client.get(path).status_code == 200, path


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Basic dXNlcjp3b3Jk",
        "Bearer prv_x",
        f"Bearer {ADMIN}x",
        f"x {ADMIN}",
    ],
)
def test_key_that_opens_nothing_is_refused_alike(locked: Server, header: str) -> None:
    answer = locked.client.get("/jobs", headers={"Authorization": header})
    assert (answer.status_code, answer.json()["kind"]) == (401, "key_invalid")


def test_scopes_open_what_they_are_for(locked: Server) -> None:
    locked.workspace.fill(1)
    reader, submitter = locked.key(Scope.READ), locked.key(Scope.SUBMIT)
    spec = locked.spec("copy")
    refused = locked.client.post("/jobs", json=spec, headers=reader)
    assert (refused.status_code, refused.json()["kind"]) == (403, "scope_missing")
    job_id = locked.create("copy", headers=submitter)
    assert locked.client.get(f"/jobs/{job_id}", headers=reader).status_code == 200
    for verb in ("cancel", "pause", "resume", "retry", "undo"):
        assert locked.client.post(f"/jobs/{job_id}/{verb}", headers=reader).status_code == 403
    assert locked.client.delete(f"/jobs/{job_id}", headers=reader).status_code == 403
    change = locked.client.patch(f"/jobs/{job_id}", json={"priority": 1}, headers=reader)
    assert change.status_code == 403
    assert locked.client.get("/metrics", headers=reader).status_code == 200
    assert locked.client.get("/metrics", headers=AS_ADMIN).status_code == 200


def test_jobs_of_another_team_are_not_there(locked: Server) -> None:
    locked.workspace.fill(1)
    red, blue, none = (locked.key(team=team) for team in ("red", "blue", ""))
    job_id = locked.create("count", sink=None, headers=red)
    locked.workspace.jobs.work(locked.create("copy", headers=red))
    assert locked.client.get(f"/jobs/{job_id}", headers=red).json()["labels"] == {"team": "red"}
    for other in (blue, none):
        paths = ["", "/files", "/failures", "/results", "/report", "/tasks", "/events"]
        answers = [locked.client.get(f"/jobs/{job_id}{path}", headers=other) for path in paths]
        answers += [
            locked.client.post(f"/jobs/{job_id}/{verb}", headers=other)
            for verb in ("cancel", "pause", "resume", "retry", "undo")
        ]
        answers.append(locked.client.delete(f"/jobs/{job_id}", headers=other))
        change = {"priority": 1}
        answers.append(locked.client.patch(f"/jobs/{job_id}", json=change, headers=other))
        assert {(a.status_code, a.json()["kind"]) for a in answers} == {(404, "job_not_found")}
        assert locked.client.get("/jobs", headers=other).json()["items"] == []
        source = {"path": str(locked.workspace.source / "d0" / "f00000.txt")}
        assert locked.client.get("/why", params=source, headers=red).json()["items"] != []
        assert locked.client.get("/why", params=source, headers=other).json()["items"] == []
        listed = locked.spec("copy", source={"uri": [], "files_from": f"job:{job_id}"})
        refused = locked.client.post("/jobs", json=listed, headers=other)
        assert (refused.status_code, refused.json()["kind"]) == (404, "job_not_found")
    # The same spec of another team is another job, also where one would go on with it.
    same = locked.spec("count", sink=None)
    params = {"reuse": "unfinished"}
    made = locked.client.post("/jobs", json=same, params=params, headers=blue)
    assert (made.status_code, made.json()["id"] == job_id) == (201, False)
    stolen = locked.client.post("/jobs", json={**same, "labels": {"team": "red"}}, headers=blue)
    assert (stolen.status_code, stolen.json()["kind"]) == (403, "team_not_allowed")
    everyone = locked.client.get("/jobs", headers=AS_ADMIN).json()["items"]
    assert {job["labels"].get("team") for job in everyone} == {"red", "blue"}


def test_key_that_is_revoked_or_has_expired_opens_nothing(locked: Server) -> None:
    expired = locked.key(expires_us=time.time_ns() // 1000 - 1)
    assert locked.client.get("/jobs", headers=expired).status_code == 401
    headers = locked.key()
    assert locked.client.get("/jobs", headers=headers).status_code == 200
    key_id = headers["Authorization"].split("_")[1]
    locked.workspace.application.keys.revoke(key_id)
    deadline_s = time.monotonic() + 30
    while locked.client.get("/jobs", headers=headers).status_code == 200:
        assert time.monotonic() < deadline_s
        time.sleep(0.1)
    assert locked.client.get("/jobs", headers=headers).json()["kind"] == "key_invalid"
    assert locked.workspace.application.keys.find(key_id).used_us is not None  # type: ignore[union-attr]


def test_limits_of_a_key_hold(locked: Server) -> None:
    locked.workspace.fill(1)
    limits = KeyLimits(unfinished_jobs=1, priority=0, memory_bytes=1 << 30)
    headers = locked.key(team="small", limits=limits)
    high = locked.client.post("/jobs", json=locked.spec("copy", priority=1), headers=headers)
    assert (high.status_code, high.json()["kind"]) == (403, "limit_exceeded")
    much = locked.spec("copy", limits={"memory": "2GiB"})
    assert locked.client.post("/jobs", json=much, headers=headers).status_code == 403
    locked.create("copy", headers=headers)
    full = locked.client.post("/jobs", json=locked.spec("copy"), headers=headers)
    assert (full.status_code, full.json()["kind"]) == (429, "too_many_jobs")
    slow = locked.key(limits=KeyLimits(requests_per_s=1))
    answers = [locked.client.get("/jobs", headers=slow) for _ in range(12)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert refused[0].json()["kind"] == "too_many_requests"
    assert int(refused[0].headers["retry-after"]) >= 1
    assert locked.client.get("/jobs", headers=locked.key()).status_code == 200


def reaching_out(root: Path, outside: Path) -> dict[str, dict[str, Any]]:
    """Give the parts of specs that lead out of the root, each in a way of its own."""
    (root / "link").symlink_to(outside)
    (root / "a").mkdir()
    inside = str(root / "source")
    copy: dict[str, Any] = {"source": inside, "sink": str(root / "out"), "steps": ["copy"]}
    return {
        "source": {**copy, "source": str(outside)},
        "source as a URI": {**copy, "source": f"file://{outside}"},
        "source with escapes": {**copy, "source": f"file://{root}/%2e%2e/outside"},
        "one of several": {**copy, "source": [inside, str(outside)]},
        "source above": {**copy, "source": str(root.parent)},
        "source by dots": {**copy, "source": f"{root}/a/../../outside"},
        "source by its beginning": {**copy, "source": f"{root}side"},
        "source through a link": {**copy, "source": f"{root}/link"},
        "file through a link": {**copy, "source": f"{root}/link/secret.txt"},
        "glob": {**copy, "source": f"{outside}/*.txt"},
        "glob by dots": {**copy, "source": f"{root}/*/../../outside/*"},
        "glob through a link": {**copy, "source": f"{root}/link/*.txt"},
        "links followed": {**copy, "source": {"uri": inside, "follow_symlinks": True}},
        "list": {**copy, "source": {"uri": inside, "files_from": f"{outside}/secret.txt"}},
        "list of nobody": {**copy, "source": {"uri": inside, "files_from": "-"}},
        "sink": {**copy, "sink": str(outside)},
        "sink through a link": {**copy, "sink": f"{root}/link/new/deep"},
        "sink by dots": {**copy, "sink": f"{root}/new/../../outside"},
        "links made": {**copy, "sink": {"uri": f"{root}/out", "preserve": ["links"]}},
        "results": {**copy, "steps": ["count", "copy"], "results": {"uri": f"{outside}/r.csv"}},
        "move": {**copy, "source": {"uri": inside, "after": {"move": str(outside)}}},
        "in place": {"source": str(outside), "in_place": True, "steps": ["compress"]},
        "parameter": {**copy, "steps": [{"verify": {"manifest": f"{outside}/secret.txt"}}]},
        "parameter by its value": {**copy, "steps": [{"verify": f"{root}/link/secret.txt"}]},
    }


def test_job_that_reaches_out_of_the_roots_is_refused(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    for directory in (root, outside):
        directory.mkdir()
    (outside / "secret.txt").write_text("secret")
    (tmp_path / "rootside").mkdir()
    workspace = Workspace(root)
    workspace.fill(1)
    server = Server(workspace)
    try:
        for what, spec in reaching_out(root, outside).items():
            for params in ({}, {"dry_run": "true"}):
                answer = server.client.post("/jobs", json=spec, params=params)
                assert answer.status_code == 403, (what, answer.text)
                assert answer.json()["kind"] in ("root_not_allowed", "links_not_allowed"), what
                assert answer.json()["hint"]
        template = {**server.spec("copy"), "sink": {"uri": f"{root}/out", "path": "../../x/{name}"}}
        refused = server.client.post("/jobs", json=template)
        assert (refused.status_code, refused.json()["kind"]) == (422, "invalid_template")
        assert server.client.get("/jobs").json()["items"] == []
        assert server.client.post("/jobs", json=server.spec("copy")).status_code == 201
    finally:
        server.kill()
        workspace.application.close()


def test_roots_of_a_key_are_narrower_than_the_servers(locked: Server) -> None:
    locked.workspace.fill(1)
    own = locked.key(roots=(str(locked.workspace.source),))
    refused = locked.client.post("/jobs", json=locked.spec("copy"), headers=own)
    assert (refused.status_code, refused.json()["kind"]) == (403, "root_not_allowed")
    made = locked.client.post("/jobs", json=locked.spec("count", sink=None), headers=own)
    assert made.status_code == 201
    wider = locked.key(roots=("/",))
    outside = locked.spec("count", sink=None, source="/etc")
    assert locked.client.post("/jobs", json=outside, headers=wider).status_code == 403
    assert locked.client.post("/jobs", json=locked.spec("copy"), headers=wider).status_code == 201


def test_story_and_undo_reach_no_further_than_the_roots(locked: Server) -> None:
    locked.workspace.fill(1)
    source = locked.workspace.source / "d0" / "f00000.txt"
    everything, own = locked.key(), locked.key(roots=(str(locked.workspace.source),))
    job_id = locked.create("copy", headers=everything)
    locked.workspace.jobs.work(job_id)
    (output,) = (path for path in locked.workspace.sink.rglob("*.txt"))
    link = locked.workspace.source / "link"
    link.symlink_to("/etc")

    def ask(route: str, path: object, headers: dict[str, str]) -> tuple[int, Any]:
        answer = locked.client.get(route, params={"path": str(path)}, headers=headers)
        return answer.status_code, answer.json().get("kind")

    assert ask("/why", source, own) == (200, None)
    assert ask("/which", output, everything) == (200, None)
    for path in (output, "/etc/passwd", f"{link}/passwd", f"{source}/../../../x"):
        assert ask("/which", path, own) == (403, "root_not_allowed")
        assert ask("/why", path, own) == (403, "root_not_allowed")
    assert ask("/why", "relative", own) == (422, "invalid_request")
    undo = f"/jobs/{job_id}/undo"
    for params in ({}, {"dry_run": "true"}):
        refused = locked.client.post(undo, params=params, headers=own)
        assert (refused.status_code, refused.json()["kind"]) == (403, "root_not_allowed")
    assert output.exists()
    assert locked.client.post(undo, headers=everything).json()["removed"] == 1
    assert not output.exists()


def test_connection_that_the_key_does_not_name_is_refused(locked: Server) -> None:
    locked.workspace.fill(1)
    none = locked.key(connections=())
    spec = locked.spec("copy", sink="s3+other://bucket/out")
    refused = locked.client.post("/jobs", json=spec, headers=none)
    assert (refused.status_code, refused.json()["kind"]) == (403, "connection_not_allowed")


def test_server_of_other_machines_makes_a_key_that_only_its_user_can_read(
    workspace: Workspace,
) -> None:
    server = Server(workspace, APP_HOST="0.0.0.0")  # noqa: S104
    try:
        path = workspace.home / "admin.key"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        key = path.read_text().strip()
        assert key.startswith("prv_")
        assert server.client.get("/jobs").status_code == 401
        headers = {"Authorization": f"Bearer {key}"}
        assert server.client.get("/jobs", headers=headers).status_code == 200
        assert key not in server.log.read_text()
        assert str(path) in server.log.read_text()
    finally:
        server.kill()
    again = Server(workspace, APP_HOST="0.0.0.0")  # noqa: S104
    assert again.client.get("/jobs", headers=headers).status_code == 200
    again.kill()


def test_admin_key_comes_from_a_file(workspace: Workspace) -> None:
    path = workspace.root / "key"
    path.write_text("a-key-from-a-file\n")
    server = Server(workspace, PRAVAH_ADMIN_KEY_FILE=str(path))
    try:
        assert server.client.get("/jobs").status_code == 401
        headers = {"Authorization": "Bearer a-key-from-a-file"}
        assert server.client.get("/jobs", headers=headers).status_code == 200
    finally:
        server.kill()


def test_open_server_is_for_this_machine_and_its_own_pages_only(server: Server) -> None:
    assert server.client.get("/jobs").status_code == 200
    rebound = server.client.get("/jobs", headers={"Host": "attacker.example"})
    assert (rebound.status_code, rebound.json()["kind"]) == (403, "host_not_allowed")
    for origin in ("https://attacker.example", "http://localhost:1", "null"):
        foreign = server.client.post("/jobs/job_0/cancel", headers={"Origin": origin})
        assert (foreign.status_code, foreign.json()["kind"]) == (403, "origin_not_allowed")
    own = server.client.get("/jobs", headers={"Origin": server.url})
    assert own.status_code == 200
    assert "access-control-allow-origin" not in own.headers
    server.key()
    deadline_s = time.monotonic() + 30
    while server.client.get("/jobs").status_code == 200:  # the first key closes it
        assert time.monotonic() < deadline_s
        time.sleep(0.1)


def test_keys_are_made_listed_and_revoked_on_the_command_line(workspace: Workspace) -> None:
    env = {"PRAVAH_HOME": str(workspace.home), "PRAVAH_ENV_FILE": ""}
    made = run(
        "keys",
        "create",
        "night job",
        "--team",
        "red",
        "--rate",
        "5",
        "--json",
        env=env,
        cwd=workspace.root,
    )
    key = json.loads(made.stdout)
    assert (key["team"], key["limits"]) == ("red", {"requests_per_s": 5.0})
    listed = run("keys", "list", "--json", env=env, cwd=workspace.root)
    assert key["key"] not in listed.stdout
    assert json.loads(listed.stdout)["id"] == key["id"]
    database = b"".join(path.read_bytes() for path in workspace.home.glob("pravah.db*"))
    assert key["key"].rpartition("_")[2].encode() not in database
    assert run("keys", "revoke", key["id"], env=env, cwd=workspace.root).returncode == 0
    assert "revoked" in run("keys", "list", env=env, cwd=workspace.root).stdout
    assert run("keys", "revoke", "nobody", env=env, cwd=workspace.root).returncode == 3


def test_what_is_changed_is_told_in_the_log_and_in_the_jobs_history(locked: Server) -> None:
    locked.workspace.fill(1)
    headers = {**locked.key(), "X-Request-ID": "my-request"}
    job_id = locked.create("copy", headers=headers)
    locked.client.post(f"/jobs/{job_id}/pause", headers={**headers, "X-Request-ID": "my-pause"})
    events = {event.kind: event.detail for event in locked.workspace.jobs.events(job_id)}
    assert events["job_created"]["request"] == "my-request"
    assert events["pause_called"]["request"] == "my-pause"
    log = locked.log.read_text()
    assert re.search(r"job created .*request=my-request", log)
    assert headers["Authorization"].split()[1] not in log
    answer = locked.client.get("/jobs", headers={"X-Request-ID": "bad\tid", **AS_ADMIN})
    assert answer.headers["x-request-id"].startswith("req_")
