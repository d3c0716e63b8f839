"""Chaos: workers are killed and stopped, PostgreSQL restarts, and every job still ends right.

Ten minutes in full form (`make chaos`), half a minute by default.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.e2e.cli.harness import Cli
from tests.e2e.trees import digests, litter, make_source
from tests.postgres import PostgresServer, served

CHAOS_S = float(os.environ.get("PRAVAH_CHAOS_S", "30"))
JOBS = 20 if CHAOS_S > 300 else 6
FILES = 10_000 if CHAOS_S > 300 else 500
WORKERS = 4
# Longer than a lease holds without a sign of life.
STOPPED_S = 26.0
# What is left when the chaos ends is worked off in less than that.
END_S = 240.0


@dataclass
class Chaos:
    """Four workers on one ledger, and what has been done to them."""

    cli: Cli
    server: PostgresServer
    chance: random.Random
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    stopped: list[tuple[float, list[int]]] = field(default_factory=list)
    kills: int = 0
    stops: int = 0
    restarts: int = 0

    def strike(self) -> None:
        """Do something bad."""
        choice = self.chance.random()
        if choice < 0.5:
            self.kills += 1
            self.chance.choice(self.workers).kill()
        elif choice < 0.7 and not self.stopped:
            self.stops += 1
            self._stop(self.chance.choice(self.workers).pid)
        elif choice > 0.8:
            self.restarts += 1
            self.server.restart("immediate")
        self.keep_up()

    def keep_up(self) -> None:
        """Start workers in place of those that are gone; let the stopped go on in time."""
        now_s = time.monotonic()
        for since_s, pids in list(self.stopped):
            if now_s - since_s > STOPPED_S:
                self._continue(pids)
                self.stopped.remove((since_s, pids))
        self.workers = [worker for worker in self.workers if worker.poll() is None]
        while len(self.workers) < WORKERS:
            log = (self.cli.directory / "workers.log").open("ab")
            with log:
                started = subprocess.Popen(
                    self.cli.command("worker"),
                    env=self.cli.env(),
                    cwd=self.cli.directory,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            self.workers.append(started)

    def calm(self) -> None:
        """Let everybody go on."""
        for _, pids in self.stopped:
            self._continue(pids)
        self.stopped.clear()
        self.keep_up()

    def end(self) -> None:
        """End every process that was started here."""
        self.calm()
        for worker in self.workers:
            with suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()

    def _stop(self, pid: int) -> None:
        pids = [pid, *_children(pid)]
        for each in pids:
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGSTOP)
        self.stopped.append((time.monotonic(), pids))

    def _continue(self, pids: list[int]) -> None:
        for each in pids:
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGCONT)


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


@pytest.fixture
def chaos(tmp_path: Path) -> Iterator[Chaos]:
    with served(durable=True) as server:
        environment = {"DATABASE_URL": server.create_ledger()}
        cli = Cli(tmp_path / "home", tmp_path, environment)
        made = Chaos(cli, server, random.Random(int(os.environ.get("PRAVAH_SEED", "11"))))
        yield made
        made.end()


@pytest.mark.timeout(0 if CHAOS_S > 300 else 600)
def test_every_job_ends_right_whatever_happens_to_workers_and_database(
    chaos: Chaos, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    make_source(source, small_files=FILES, large_bytes=8_000_000)
    expected = digests(source)
    rate = "4MB/s" if CHAOS_S > 300 else "1MB/s"
    jobs = [
        chaos.cli.ok(
            *("jobs", "create", source, "--to", f"{tmp_path / 'sink' / str(number)}/"),
            *("-s", "copy", "--set", f"limits.write_rate={rate}", "--json"),
        ).objects()[0]["id"]
        for number in range(JOBS)
    ]
    chaos.keep_up()
    until_s = time.monotonic() + CHAOS_S
    while time.monotonic() < until_s:
        chaos.strike()
        time.sleep(chaos.chance.uniform(0.5, 5.0))
    chaos.calm()

    ended = _wait_for_the_end(chaos, jobs)

    log = (tmp_path / "workers.log").read_text(errors="replace")
    story = f"{chaos.kills} kills, {chaos.stops} stops, {chaos.restarts} restarts\n{log[-4000:]}"
    assert {job["status"] for job in ended} == {"completed"}, story
    for number in range(JOBS):
        assert digests(tmp_path / "sink" / str(number)) == expected, story
    assert litter(tmp_path / "sink") == [], story
    assert "Traceback" not in log, story
    database = chaos.cli.environment["DATABASE_URL"].rpartition("/")[2]
    held = chaos.server.execute(database, "SELECT COUNT(*) FROM leases")
    assert held == [[0]], story
    assert chaos.kills + chaos.stops + chaos.restarts > 0


def _wait_for_the_end(chaos: Chaos, jobs: list[str]) -> list[dict[str, object]]:
    until_s = time.monotonic() + max(END_S, CHAOS_S)
    while True:
        shown = [chaos.cli.ok("jobs", "show", job, "--json").objects()[0] for job in jobs]
        if all(job["status"] in ("completed", "failed", "cancelled") for job in shown):
            return shown
        assert time.monotonic() < until_s, [(job["status"], job["counts"]) for job in shown]
        chaos.keep_up()
        time.sleep(2)
