"""The log on stderr of commands that work, and a job's own from the ledger."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.e2e.cli.harness import PATIENCE_S, Cli

JSON = {"PRAVAH_LOG_FORMAT": "json"}


def log_of(cli: Cli, *arguments: str, **environment: str) -> list[dict[str, Any]]:
    """Run a command whose stderr is its log, as JSON."""
    ran = cli(*arguments, env=JSON | environment)
    assert ran.code == 0, ran.err
    return [json.loads(line) for line in ran.err.splitlines()]


def created(cli: Cli, *arguments: str) -> str:
    """Create a job that a worker is to do; give its id."""
    ran = cli.ok("jobs", "create", "data", "--to", "out", "-s", "copy", *arguments, "--json")
    (job,) = ran.objects()
    return str(job["id"])


def test_worker_tells_of_each_task_and_job_in_lines_of_json(cli: Cli, data: Path) -> None:
    assert data.is_dir()
    job_id = created(cli)
    lines = log_of(cli, "worker", "--until-idle")
    assert {"at", "level", "message", "worker"} <= set.intersection(*map(set, lines))
    messages = [line["message"] for line in lines]
    assert (messages[0], messages[-1]) == ("joined the ledger", "left the ledger")
    claimed = [line for line in lines if line["message"] == "task claimed"]
    assert [line["kind"] for line in claimed] == ["scan", "entries"]
    (task,) = [line for line in lines if line.get("done") and line["message"] == "task ended"]
    assert (task["job"], task["how"], task["done"]) == (job_id, "finished", 5)
    assert task["task"] == claimed[1]["task"]
    assert task["bytes_in"] == task["bytes_out"] > 0
    assert task["duration_s"] >= 0
    (job,) = [line for line in lines if line["message"] == "job ended"]
    assert (job["job"], job["status"], job["listed"]) == (job_id, "completed", 5)


def test_runner_speaks_through_its_worker(cli: Cli, data: Path) -> None:
    assert data.is_dir()
    created(cli)
    lines = log_of(cli, "worker", "--until-idle", "-v")
    (started,) = [line for line in lines if line["message"] == "the engine has started"]
    assert started["level"] == "DEBUG"
    assert started["worker"] == lines[0]["worker"]


def test_level_of_the_log_can_be_raised(cli: Cli, data: Path) -> None:
    assert data.is_dir()
    created(cli)
    assert log_of(cli, "worker", "--until-idle", LOG_LEVEL="WARNING") == []
    created(cli, "--new")
    assert log_of(cli, "worker", "--until-idle", "-q") == []


def test_run_is_as_quiet_as_its_account_unless_more_is_asked_for(cli: Cli, data: Path) -> None:
    assert data.is_dir()
    quiet = cli("run", "data", "--to", "out", "-s", "copy", env={"LOG_LEVEL": "DEBUG"})
    assert "task claimed" not in quiet.err
    told = cli("run", "data", "--to", "more", "-s", "copy", "-v")
    assert " INFO    task claimed  job=job_" in told.err


def test_what_the_account_tells_is_not_logged_beside_it(cli: Cli, data: Path) -> None:
    assert data.is_dir()
    failed = cli("run", "data", "--to", "out", "-s", "decompress")
    assert failed.code == 1
    assert "✗ failed" in failed.err
    assert "job ended" not in failed.err
    cancelled = cli.ok("jobs", "cancel", created(cli))
    assert len(cancelled.err.splitlines()) == 1
    assert "is cancelled" in cancelled.err
    told = cli("jobs", "cancel", created(cli), "-v")
    assert " WARNING job ended  job=job_" in told.err


def test_password_of_the_ledger_is_nowhere(cli: Cli, data: Path, postgres_url: str) -> None:
    assert data.is_dir()
    secret = postgres_url.replace(":secret@", ":s3cr3t@")
    assert ":s3cr3t@" in secret
    cli.environment["DATABASE_URL"] = secret
    created(cli)
    for form in ("text", "json"):
        ran = cli("worker", "--until-idle", "-v", env={"PRAVAH_LOG_FORMAT": form})
        assert (ran.code, "s3cr3t" in ran.err + ran.out) == (0, False)
        assert "pravah:********@" in ran.err
    wrong = cli("worker", "--ledger", f"{secret}_missing", env=JSON)
    assert wrong.code == 7
    assert "s3cr3t" not in wrong.err


def test_error_that_ends_a_worker_is_a_line_of_json_too(cli: Cli) -> None:
    cli.home.mkdir()
    (cli.home / "pravah.db").write_text("no database, but a text that is long enough" * 40)
    ran = cli("worker", "--until-idle", env=JSON)
    assert ran.code == 7
    (line,) = [json.loads(line) for line in ran.err.splitlines()]
    assert (line["level"], line["kind"]) == ("ERROR", "ledger_damaged")


def test_logs_of_a_job_tell_its_events_in_order(cli: Cli, data: Path) -> None:
    assert data.is_dir()
    job = cli.job("data", "--to", "out", "-s", "decompress")
    lines = cli.ok("jobs", "logs", job["id"]).out.splitlines()
    told = [line.split("  ", 1)[1] for line in lines]
    assert told[0] == "job created"
    assert told[-1].startswith("job failed: 5 listed, 5 failed")
    assert told[-1].endswith(f"(`pravah jobs failures {job['id']}` tells why)")
    assert any(line.startswith("task 2 claimed (entries) by worker ") for line in told)
    events = cli.ok("jobs", "logs", job["id"], "--json").objects()
    assert len(events) == len(lines)
    assert [event["id"] for event in events] == sorted(event["id"] for event in events)
    assert set(events[0]) == {"id", "job", "at", "kind", "detail"}


def test_logs_that_follow_a_job_end_with_it(cli: Cli, data: Path) -> None:
    assert data.is_dir()
    job_id = created(cli)
    following = subprocess.Popen(
        cli.command("jobs", "logs", job_id, "--follow"),
        cwd=cli.directory,
        env=cli.env(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert following.stdout is not None
    first = following.stdout.readline()
    cli.ok("worker", "--until-idle")
    rest, _ = following.communicate(timeout=PATIENCE_S)
    assert following.returncode == 0
    assert first.endswith("job created\n")
    assert rest.endswith("job completed: 5 listed, 5 done\n")
