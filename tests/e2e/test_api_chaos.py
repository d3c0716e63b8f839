"""Chaos through the API: clients of two teams submit while everything under them is killed.

A thousand jobs in full form (`make chaos`), eighty by default.
"""

from __future__ import annotations

import http.client
import json
import os
import queue
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pravah.errors import ServerError, StatusError
from pravah.remote.transport import Transport
from tests.e2e.cli.harness import Cli
from tests.e2e.trees import digests, litter
from tests.integration.api.serving import free_port
from tests.postgres import PostgresServer, served

JOBS = int(os.environ.get("PRAVAH_API_CHAOS_JOBS", "80"))
FULL = JOBS > 300
CLIENTS = 50
WORKERS = 2 if FULL else 1
# The jobs of the small team are a fourth, and come last: first come, first served would have
# them wait until all others are done.
LARGE_TEAM = JOBS * 3 // 4
# Orders are sent off evenly over so long, which is far less than the work takes.
SUBMITTED_S = 40.0 if FULL else 6.0
STRIKES = 20 if FULL else 6
# A file takes a thread of the engine while it waits: the rate bounds jobs a second, so many wait.
FILE_BYTES, RATE = 6_000, "20kB/s" if FULL else "8kB/s"
# What is left when the chaos ends is worked off in less than that.
END_S = 2_400.0 if FULL else 600.0


@dataclass
class Order:
    """A job that somebody wants, under one idempotency key."""

    number: int
    secret: str
    ids: list[str] = field(default_factory=list)

    @property
    def key(self) -> str:
        return f"order-{self.number}"


class Service:
    """A server, workers and a database, and what has been done to them."""

    def __init__(self, cli: Cli, database: PostgresServer, port: int) -> None:
        self.cli = cli
        self.database = database
        self.name = cli.environment["DATABASE_URL"].rpartition("/")[2]
        self.url = f"http://127.0.0.1:{port}"
        self.port = port
        self.strikes: Counter[str] = Counter()
        self._chance = random.Random(int(os.environ.get("PRAVAH_SEED", "5")))
        self._server = self._started("serve", "--workers", "0", "--port", str(port))
        self._workers = [self._started("worker") for _ in range(WORKERS)]

    def strike(self) -> None:
        """Do something bad: each thing once, then what chance says."""
        kinds: dict[str, Callable[[], None]] = {
            "server": lambda: self._kill(self._server),
            "database": lambda: self.database.restart("immediate"),
            "worker": lambda: self._kill(self._chance.choice(self._workers)),
        }
        missing = [kind for kind in kinds if not self.strikes[kind]]
        kind = missing[0] if missing else self._chance.choice(list(kinds))
        self.strikes[kind] += 1
        kinds[kind]()

    def recover(self, rest_s: float) -> None:
        """Wait until the server answers, and a little longer; who starts badly is started again."""
        until_s = time.monotonic() + END_S
        while not self._is_ready():
            assert time.monotonic() < until_s, self.log()[-4000:]
            self.keep_up()
            time.sleep(0.2)
        time.sleep(rest_s)
        self.keep_up()

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def keep_up(self) -> None:
        """Start again what is gone."""
        if self._server.poll() is not None:
            self._server = self._started("serve", "--workers", "0", "--port", str(self.port))
        for place, worker in enumerate(self._workers):
            if worker.poll() is not None:
                self._workers[place] = self._started("worker")

    def statuses(self) -> Counter[str]:
        """Count the ledger's jobs by their status."""
        rows = self.ask("SELECT status, COUNT(*) FROM jobs GROUP BY status")
        return Counter({str(status): int(str(count)) for status, count in rows})

    def ask(self, statement: str) -> list[tuple[object, ...]]:
        """Ask the ledger's database."""
        return self.database.execute(self.name, statement)

    def log(self) -> str:
        """Give what server and workers have logged."""
        return (self.cli.directory / "service.log").read_text(errors="replace")

    def end(self) -> None:
        """End every process that was started here."""
        for process in (self._server, *self._workers):
            self._kill(process)

    def _started(self, *words: str) -> subprocess.Popen[bytes]:
        with (self.cli.directory / "service.log").open("ab") as log:
            return subprocess.Popen(
                self.cli.command(*words),
                env=self.cli.env(),
                cwd=self.cli.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @staticmethod
    def _kill(process: subprocess.Popen[bytes]) -> None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class Client(threading.Thread):
    """Sends orders until each has its 201; some are sent again, as if the answer had been lost."""

    def __init__(self, service: Service, orders: queue.SimpleQueue[Order], begun_s: float) -> None:
        super().__init__(daemon=True)
        self._service = service
        self._orders = orders
        self._begun_s = begun_s
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            with suppress(queue.Empty):
                while True:
                    self._serve(self._orders.get_nowait())
        except BaseException as error:  # noqa: BLE001 - the test tells it
            self.error = error

    def _serve(self, order: Order) -> None:
        due_s = self._begun_s + order.number / JOBS * SUBMITTED_S
        time.sleep(max(0.0, due_s - time.monotonic()))
        if order.number % 5 == 0:
            self._send_and_hang_up(order)
        for _ in range(1 + (order.number % 4 == 0)):
            order.ids.append(self._accepted(order))

    def _accepted(self, order: Order) -> str:
        """Send an order until it is accepted; the transport does so for a while by itself."""
        transport = Transport(self._service.url, order.secret)
        until_s = time.monotonic() + END_S
        try:
            while True:
                try:
                    answer = transport.send(
                        "POST", "/jobs", body=self._spec(order), idempotency_key=order.key
                    )
                except (ServerError, StatusError):
                    if time.monotonic() > until_s:
                        raise
                    time.sleep(0.2)
                else:
                    assert answer.status == 201
                    return str(answer.form["id"])
        finally:
            transport.close()

    def _send_and_hang_up(self, order: Order) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._service.port, timeout=10)
        headers = {
            "Authorization": f"Bearer {order.secret}",
            "Content-Type": "application/json",
            "Idempotency-Key": order.key,
        }
        with suppress(OSError):
            connection.request("POST", "/jobs", json.dumps(self._spec(order)), headers)
        connection.close()

    def _spec(self, order: Order) -> dict[str, object]:
        root = self._service.cli.directory
        return {
            "source": str(root / "source"),
            "sink": str(root / "sink" / str(order.number)),
            "steps": ["copy"],
            "limits": {"read_rate": RATE},
        }


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with served(durable=True) as database:
        environment = {
            "DATABASE_URL": database.create_ledger(),
            "PRAVAH_ALLOWED_ROOTS": str(tmp_path),
            "PRAVAH_ADMIN_KEY": "admin-key-of-the-chaos",
        }
        made = Service(Cli(tmp_path / "home", tmp_path, environment), database, free_port())
        yield made
        made.end()


@pytest.mark.timeout(0 if FULL else 900)
def test_every_accepted_job_ends_once_whatever_happens_to_server_workers_and_database(
    service: Service, tmp_path: Path
) -> None:
    chance = random.Random(3)
    (tmp_path / "source").mkdir()
    for name in ("a", "b", "c"):
        (tmp_path / "source" / name).write_bytes(chance.randbytes(FILE_BYTES // 3))
    orders = _orders(service)
    clients = _clients(service, orders)
    begun_s = time.monotonic()
    while any(client.is_alive() for client in clients) or service.strikes.total() < STRIKES:
        service.strike()
        # What was struck comes back before the next blow: nothing gets on otherwise.
        service.recover(chance.uniform(1.0, 4.0))
        assert time.monotonic() - begun_s < END_S, service.statuses()
    for client in clients:
        client.join()
    accepted_s = time.monotonic() - begun_s

    _wait_for_the_end(service)

    took_s = time.monotonic() - begun_s
    struck = f"{dict(service.strikes)} in {accepted_s:.0f} of {took_s:.0f} s"
    story = f"{struck}\n{service.log()[-4000:]}"
    assert [client.error for client in clients if client.error] == [], story
    assert len(service.strikes) == 3, story
    _assert_each_order_is_one_job(service, orders, story)
    expected = digests(tmp_path / "source")
    for order in orders:
        assert digests(tmp_path / "sink" / str(order.number)) == expected, story
    assert litter(tmp_path / "sink") == [], story
    assert "Traceback" not in service.log(), story
    share = _assert_teams_get_their_share(service)
    print(f"{JOBS} jobs: {struck}; {share}")  # noqa: T201 - what `make chaos` tells


def _orders(service: Service) -> list[Order]:
    """Make three keys of two teams, and an order for each job, in turn for the keys of a team."""
    large, other, small = (
        service.cli.ok("keys", "create", name, "--team", team, "--json").objects()[0]["key"]
        for name, team in (("one", "large"), ("other", "large"), ("third", "small"))
    )
    return [
        Order(number, small if number >= LARGE_TEAM else (large, other)[number % 2])
        for number in range(JOBS)
    ]


def _clients(service: Service, orders: list[Order]) -> list[Client]:
    waiting: queue.SimpleQueue[Order] = queue.SimpleQueue()
    for order in orders:
        waiting.put(order)
    clients = [Client(service, waiting, time.monotonic()) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    return clients


def _wait_for_the_end(service: Service) -> None:
    until_s = time.monotonic() + END_S
    while service.statuses()["completed"] < JOBS:
        assert time.monotonic() < until_s, (service.statuses(), service.log()[-4000:])
        service.keep_up()
        time.sleep(1)


def _assert_each_order_is_one_job(service: Service, orders: list[Order], story: str) -> None:
    """Every answer to an order names one job, no job is nobody's, and each has ended once."""
    answered = [set(order.ids) for order in orders]
    assert {len(ids) for ids in answered} == {1}, story
    seen = {job_id.removeprefix("job_") for ids in answered for job_id in ids}
    assert len(seen) == JOBS, story
    assert {str(row[0]) for row in service.ask("SELECT id FROM jobs")} == seen, story
    ends = service.ask("SELECT job_id FROM events WHERE kind = 'job_complete'")
    assert Counter(str(row[0]) for row in ends) == Counter(seen), story
    assert service.statuses() == {"completed": JOBS}, story
    assert service.ask("SELECT COUNT(*) FROM leases") == [[0]], story


def _assert_teams_get_their_share(service: Service) -> str:
    """Judge in which order jobs were begun, of those there were when half of the small team's were.

    Those of the large team are older, and some still wait at this moment. Served in turn, every
    other one that is begun next is the small team's; first come, first served, none would be. Ends
    tell less: what a killed worker held waits for its lease, and runs alone later.
    """
    half = "percentile_disc(0.5) WITHIN GROUP (ORDER BY created_us)"
    ((moment,),) = service.ask(f"SELECT {half} FROM jobs WHERE share = 'small'")
    rows = service.ask(
        "SELECT j.share FROM jobs AS j JOIN events AS e ON e.job_id = j.id "
        f"WHERE j.created_us <= {moment} AND e.kind = 'task_claim' "
        """AND strpos(e.detail, '"entries"') > 0 """
        f"GROUP BY j.id HAVING MIN(e.at_us) > {moment} ORDER BY MIN(e.id)"
    )
    begun = [str(share) for (share,) in rows]
    large, small = begun.count("large"), begun.count("small")
    assert min(large, small) > JOBS // 20, f"too few waited to judge by: {large}, {small}"
    next_ones = Counter(begun[:large])["small"]
    told = f"of the {large} begun next {next_ones} were the small team's, which had {small}"
    assert next_ones >= min(large / 2, small) / 2, told
    return told
