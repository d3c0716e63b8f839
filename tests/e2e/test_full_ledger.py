"""The disk of the ledger is full: nothing is claimed, everybody is told, and the job goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.cli.harness import Cli
from tests.e2e.disks import fill, mounted
from tests.e2e.trees import digests, litter
from tests.postgres import PostgresServer, reachable

FILES = 3_000
# An empty PostgreSQL takes 45 MB; what is left takes what a job writes, many times.
SERVER_LIMIT = "size=120m,mode=700"
PATIENCE_S = 60.0


@pytest.fixture
def source(tmp_path: Path) -> Path:
    made = tmp_path / "source"
    made.mkdir()
    for number in range(FILES):
        (made / f"{number:05}").write_bytes(os.urandom(100))
    return made


@pytest.mark.parametrize("held", ["before", "while"])
def test_full_disk_of_an_embedded_ledger_is_told_and_the_job_goes_on_when_there_is_room(
    source: Path, tmp_path: Path, held: str
) -> None:
    disk, sink = tmp_path / "disk", tmp_path / "sink"
    cli = Cli(disk / "home", tmp_path)
    command = ("run", source, "--to", f"{sink}/", "-s", "copy")
    with mounted(disk, "size=20m"):
        cli.ok("jobs", "list")
        if held == "before":
            fill(disk / "filler")
            told = cli(*command)
            assert told.code == 7
        else:
            running = _started(cli, tmp_path / "log", *map(str, command), "--write-rate", "50kB/s")
            _wait_until(lambda: len(digests(sink)) > 0)
            fill(disk / "filler")
            assert running.wait(PATIENCE_S) == 7
            told = cli("jobs", "list")
            told.err += (tmp_path / "log").read_text()
        assert "has no space left on its disk" in told.err
        assert "hint: free some space" in told.err
        assert "Traceback" not in told.err
        assert "report" not in told.err
        (disk / "filler").unlink()
        cli.ok(*command, "-q")
        (job,) = cli.ok("jobs", "list", "--json").objects()
    assert job["status"] == "completed"
    assert job["counts"]["done"] == FILES
    assert digests(sink) == digests(source)
    assert litter(sink) == []


def test_full_disk_of_postgresql_stops_claims_and_the_job_goes_on_when_there_is_room(
    source: Path, tmp_path: Path
) -> None:
    with reachable() as place, mounted(place / "data", SERVER_LIMIT):
        server = PostgresServer(place, durable=True)
        try:
            _fill_while_a_worker_runs(server, source, tmp_path)
        finally:
            server.stop()


def _fill_while_a_worker_runs(server: PostgresServer, source: Path, place: Path) -> None:
    sink, log, filler = place / "sink", place / "log", server.data / "filler"
    cli = Cli(place / "home", place, {"DATABASE_URL": server.create_ledger()})
    (created,) = cli.ok(
        *("jobs", "create", source, "--to", f"{sink}/", "-s", "copy"),
        *("--set", "limits.write_rate=50kB/s", "--json"),
    ).objects()
    worker = _started(cli, log, "worker")
    try:
        _wait_until(lambda: len(digests(sink)) > 0)
        fill(filler)
        _wait_until(lambda: "has no space left on its disk" in log.read_text())
        (refused,) = cli.ok("jobs", "list", "--json").objects()  # reading needs no room
        assert refused["counts"]["remaining"] > 0
        assert worker.poll() is None
        filler.unlink()
        _wait_until(lambda: f"job={created['id']} status=completed" in log.read_text())
    finally:
        worker.send_signal(signal.SIGTERM)
        worker.wait(PATIENCE_S)
    assert "takes writes again" in log.read_text()
    assert "Traceback" not in log.read_text()
    (job,) = cli.ok("jobs", "list", "--json").objects()
    assert job["counts"]["done"] == FILES
    assert digests(sink) == digests(source)
    assert litter(sink) == []


def _started(cli: Cli, log: Path, *arguments: str) -> subprocess.Popen[bytes]:
    with log.open("wb") as file:
        return subprocess.Popen(
            cli.command(*arguments),
            env=cli.env(),
            cwd=cli.directory,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )


def _wait_until(condition: Callable[[], bool]) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until_s
        time.sleep(0.05)
