"""Jobs over HTTP, from their creation to their end, against a real server and real workers."""

from __future__ import annotations

import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pravah.model.keys import KeyLimits
from tests.integration.api.serving import Server


def test_job_runs_and_everything_of_it_can_be_read(working: Server) -> None:
    client = working.client
    working.workspace.fill(25)
    working.workspace.write("bad.gz", b"\x1f\x8b\x08")
    created = client.post(
        "/jobs", json=working.spec("count", "copy", name="first", labels={"a": "b"})
    )
    assert created.status_code == 201
    job_id = created.json()["id"]
    assert created.headers["location"] == f"/jobs/{job_id}"
    job = working.ended(job_id)
    assert (job["status"], job["counts"]["done"], job["name"]) == ("failed", 25, "first")
    files = client.get(f"/jobs/{job_id}/files", params={"limit": 10}).json()
    assert len(files["items"]) == 10
    assert files["next_cursor"]
    streamed = client.get(f"/jobs/{job_id}/files", headers={"Accept": "application/x-ndjson"})
    assert len(streamed.text.splitlines()) == 26
    parquet = {"Accept": "application/vnd.apache.parquet"}
    table = pq.read_table(io.BytesIO(client.get(f"/jobs/{job_id}/files", headers=parquet).content))
    assert table.column("outcome").to_pylist().count("done") == 25
    refused = client.get(f"/jobs/{job_id}/files?outcome=done", headers=parquet)
    assert (refused.status_code, refused.json()["kind"]) == (422, "invalid_request")
    (failure,) = client.get(f"/jobs/{job_id}/failures").json()["items"]
    assert (failure["id"], failure["count"]) == ("F1", 1)
    assert client.get(f"/jobs/{job_id}/report").json()["failures"][0]["count"] == 1
    kinds = {task["kind"] for task in client.get(f"/jobs/{job_id}/tasks").json()["items"]}
    assert kinds == {"scan", "entries", "closing"}
    assert len(working.workspace.outputs()) == 25
    assert client.delete(f"/jobs/{job_id}").status_code == 204
    assert client.get(f"/jobs/{job_id}").json()["kind"] == "job_not_found"


def test_results_come_in_the_format_that_is_accepted(working: Server) -> None:
    working.workspace.fill(5)
    job_id = working.create("count", sink=None)
    working.ended(job_id)

    def get(accept: str) -> httpx.Response:
        return working.client.get(f"/jobs/{job_id}/results", headers={"Accept": accept})

    records = [json.loads(line) for line in get("application/x-ndjson").text.splitlines()]
    assert [record["path"] for record in records] == sorted(record["path"] for record in records)
    assert len(records) == 5
    assert len(get("text/csv").text.splitlines()) == 6
    parquet = get("application/vnd.apache.parquet")
    assert pq.read_table(io.BytesIO(parquet.content)).num_rows == 5
    arrow = get("text/html;q=0.9, application/vnd.apache.arrow.stream")
    assert arrow.headers["content-type"] == "application/vnd.apache.arrow.stream"
    with pa.ipc.open_stream(arrow.content) as reader:
        assert reader.read_all().num_rows == 5
    assert get("*/*").headers["content-type"] == "application/x-ndjson"
    refused = get("image/png")
    assert (refused.status_code, refused.json()["kind"]) == (406, "not_acceptable")


def test_job_is_paused_resumed_cancelled_and_retried(working: Server) -> None:
    client = working.client
    working.workspace.fill(40, size_bytes=100_000)
    job_id = working.create("copy", limits={"read_rate": "1kB/s"})
    assert client.post(f"/jobs/{job_id}/retry").json()["kind"] == "wrong_status"
    assert client.post(f"/jobs/{job_id}/pause").status_code == 200
    for _ in range(600):
        if client.get(f"/jobs/{job_id}").json()["status"] == "paused":
            break
        threading.Event().wait(0.05)
    assert client.get(f"/jobs/{job_id}").json()["status"] == "paused"
    assert client.post(f"/jobs/{job_id}/resume").json()["status"] == "pending"
    client.post(f"/jobs/{job_id}/cancel")
    assert working.ended(job_id)["status"] == "cancelled"
    retried = client.post(f"/jobs/{job_id}/retry").json()
    assert retried["round"] == 2
    assert client.post(f"/jobs/{job_id}/cancel").status_code == 200
    job = working.ended(job_id)
    assert (job["status"], job["counts"]["done"]) == ("cancelled", 0)


def test_retry_of_one_group_leaves_the_others(working: Server) -> None:
    working.workspace.write("a.gz", b"no gzip")
    working.workspace.write("b.zst", b"\x28\xb5\x2f\xfd")
    job_id = working.create("decompress")
    working.ended(job_id)
    groups = working.client.get(f"/jobs/{job_id}/failures").json()["items"]
    assert len(groups) == 2
    working.client.post(f"/jobs/{job_id}/retry", params={"group": groups[0]["id"]})
    working.ended(job_id)
    working.workspace.source.joinpath("a.gz").unlink()
    assert working.client.post(f"/jobs/{job_id}/retry", params={"group": "F9"}).json()["kind"] == (
        "failure_group_not_found"
    )
    other = working.client.post(f"/jobs/{job_id}/retry", params={"group": "x"})
    assert (other.status_code, other.json()["kind"]) == (422, "invalid_request")


def test_limits_change_while_a_job_is_worked_on(working: Server) -> None:
    working.workspace.fill(40, size_bytes=3000)
    job_id = working.create("copy", limits={"read_rate": "1kB/s"})
    path = f"/jobs/{job_id}"
    change = {"priority": 7, "limits": {"read_rate": "100MB/s", "tasks": 3}}
    changed = working.client.patch(path, json=change)
    assert changed.status_code == 200, changed.text
    assert (changed.json()["priority"], changed.json()["spec"]["limits"]["tasks"]) == (7, 3)
    assert working.ended(job_id)["counts"]["done"] == 40
    for body in ({"source": "/etc"}, {"limits": {"memory": "9GiB"}}, {"limits": 5}, [], {}):
        refused = working.client.patch(path, json=body)
        assert 400 <= refused.status_code < 500, body
    assert working.client.patch(path, json={"priority": "x"}).status_code in (409, 422)
    least = working.key(limits=KeyLimits(priority=0))
    over = working.client.patch(path, json={"priority": 1}, headers=least)
    assert (over.status_code, over.json()["kind"]) == (403, "limit_exceeded")


def test_dry_run_tells_what_would_be_done_and_creates_nothing(server: Server) -> None:
    server.workspace.fill(7)
    plan = server.client.post("/jobs", params={"dry_run": "true"}, json=server.spec("copy"))
    assert plan.status_code == 200
    assert (plan.json()["entries"], len(plan.json()["outputs"])) == (7, 3)
    assert server.client.get("/jobs").json()["items"] == []
    assert not server.workspace.sink.exists()
    missing = server.spec("copy", source=str(server.workspace.root / "nothing"))
    refused = server.client.post("/jobs", params={"dry_run": "true"}, json=missing)
    assert (refused.status_code, refused.json()["kind"]) == (422, "source_missing")


def test_same_key_has_the_same_answer_and_another_body_is_refused(working: Server) -> None:
    headers = {"Idempotency-Key": "order-1"}
    working.workspace.fill(2)
    first = working.client.post("/jobs", json=working.spec("copy"), headers=headers)
    working.ended(first.json()["id"])
    again = working.client.post("/jobs", json=working.spec("copy"), headers=headers)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["idempotent-replayed"] == "true"
    other = working.client.post("/jobs", json=working.spec("compress"), headers=headers)
    assert (other.status_code, other.json()["kind"]) == (422, "idempotency_key_reused")
    refused = working.spec("copy", source=str(working.workspace.root / "later"))
    headers = {"Idempotency-Key": "order-2"}
    assert working.client.post("/jobs", json=refused, headers=headers).status_code == 422
    (working.workspace.root / "later").mkdir()
    assert working.client.post("/jobs", json=refused, headers=headers).status_code == 201


def test_fifty_equal_requests_at_once_make_one_job(working: Server) -> None:
    working.workspace.fill(3)
    spec, gate = working.spec("copy"), threading.Barrier(50)

    def post(_number: int) -> httpx.Response:
        with httpx.Client(base_url=working.url, timeout=60) as client:
            gate.wait()
            return client.post("/jobs", json=spec, headers={"Idempotency-Key": "once"})

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(post, range(50)))
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) <= {201, 409}
    assert 201 in statuses
    assert len({a.json()["id"] for a in answers if a.status_code == 201}) == 1
    assert len(working.client.get("/jobs").json()["items"]) == 1


def test_request_that_a_dead_server_began_is_carried_out_once(server: Server) -> None:
    """Killed between creating the job and keeping the answer: the next one goes on with the id."""
    from pravah.model.replies import Asked, Reserved

    server.workspace.fill(1)
    replies = server.workspace.application.replies
    asked = Asked("local", "lost", "digest")
    first = replies.reserve(asked, "0" * 26)
    assert first == Reserved("0" * 26)
    assert replies.reserve(asked, "1" * 26).other_body is False  # type: ignore[union-attr]
    replies.abandon(asked)
    assert replies.reserve(asked, "1" * 26) == first
    jobs = server.workspace.jobs
    spec = server.workspace.spec("copy")
    twice = [jobs.create(spec, job_id="0" * 25 + "1", reuse="nothing").job.id for _ in range(2)]  # type: ignore[arg-type]
    assert len(set(twice)) == 1


def test_job_of_a_dead_server_is_the_answer_though_it_could_not_be_created_now(
    server: Server,
) -> None:
    headers, spec = {"Idempotency-Key": "died"}, server.spec("copy")
    server.workspace.fill(1)
    first = server.client.post("/jobs", json=spec, headers=headers).json()["id"]
    unanswered = "UPDATE replies SET answer = NULL, reserved_us = reserved_us - 61000000"
    transactions = server.workspace.application.replies._transactions
    transactions.write("unanswer", lambda connection: connection.exec_driver_sql(unanswered))
    source = server.workspace.source
    source.rename(source.with_name("gone"))
    again = server.client.post("/jobs", json=spec, headers=headers)
    assert (again.status_code, again.json().get("id")) == (201, first), again.text
    source.with_name("gone").rename(source)
    assert server.client.post("/jobs", json=spec, headers=headers).json()["id"] == first
    assert len(server.client.get("/jobs").json()["items"]) == 1


def test_reuse_goes_on_with_an_unfinished_job_of_the_same_spec(server: Server) -> None:
    server.workspace.fill(1)
    first = server.create("copy")
    second = server.client.post("/jobs", json=server.spec("copy"), params={"reuse": "unfinished"})
    assert (second.status_code, second.json()["id"]) == (200, first)
    assert server.create("copy") != first


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_pages_of_jobs_survive_what_comes_and_goes_meanwhile(
    database: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from tests.integration.workspace import Workspace

    url = request.getfixturevalue("postgres_url") if database == "postgresql" else ""
    workspace = Workspace(tmp_path_factory.mktemp("pages"), url)
    workspace.fill(1)
    server = Server(workspace)
    try:
        made = [server.create("copy", labels={"n": str(n % 2)}, name=f"j{n}") for n in range(9)]
        seen: list[str] = []
        cursor: str | None = None
        while True:
            params = {"limit": "2", **({"cursor": cursor} if cursor else {})}
            page = server.client.get("/jobs", params=params).json()
            seen += [job["id"] for job in page["items"]]
            server.create("copy")  # newer ones stand before the first page
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert seen == made[::-1]
        labelled = server.client.get("/jobs", params={"label": "n=1"}).json()["items"]
        assert [job["id"] for job in labelled] == made[1::2][::-1]
        named = server.client.get("/jobs", params={"name": "j3", "status": "pending"}).json()
        assert [job["id"] for job in named["items"]] == [made[3]]
        assert server.client.get("/jobs", params={"status": "running"}).json()["items"] == []
    finally:
        server.kill()
        workspace.application.close()


def test_pages_of_files_give_each_once_while_the_job_goes_on(working: Server) -> None:
    working.workspace.fill(60)
    job_id = working.create("copy", limits={"read_rate": "10kB/s"})
    seen: list[str] = []
    cursor: str | None = None
    while True:
        params = {"limit": "7", **({"cursor": cursor} if cursor else {})}
        page = working.client.get(f"/jobs/{job_id}/files", params=params).json()
        seen += [file["path"] for file in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None and len(seen) == 60:
            break
        if cursor is None:
            seen = []
    assert len(set(seen)) == 60
    working.client.post(f"/jobs/{job_id}/cancel")
    done = working.ended(job_id)["counts"]["done"]
    found = working.client.get(f"/jobs/{job_id}/files", params={"outcome": "done", "limit": 1000})
    assert len(found.json()["items"]) == done


def test_cursor_that_is_none_of_ours_is_refused(server: Server) -> None:
    for cursor in ("x", "W10", "WyJqb2JzIiwxXQ", "é", "A" * 3000):
        answer = server.client.get("/jobs", params={"cursor": cursor})
        assert (answer.status_code, answer.json()["kind"]) == (422, "invalid_cursor")
    assert server.client.get("/workers", params={"cursor": "WyJqb2JzIiwiYSJd"}).status_code == 422
