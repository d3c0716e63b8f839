"""How statements and transactions reach PostgreSQL: in few packets, with nothing lost of them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection

from pravah.db.shared import PostgresLedger
from tests.conformance.ledgers import submit
from tests.postgres import PostgresServer, served

ENCRYPTED = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
IN_TRANSACTION = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"


@pytest.fixture
def ledger(postgres_url: str) -> Iterator[PostgresLedger]:
    made = PostgresLedger(postgres_url)
    yield made
    made.dispose()


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    with served() as made:
        yield made


def _one(connection: Connection, statement: str) -> object:
    return connection.exec_driver_sql(statement).scalar()


def test_reads_of_one_transaction_see_one_moment(ledger: PostgresLedger) -> None:
    def look(connection: Connection) -> tuple[object, object]:
        before = _one(connection, "SELECT count(*) FROM jobs")
        submit(ledger)
        return before, _one(connection, "SELECT count(*) FROM jobs")

    assert ledger.transactions.read(look) == (0, 0)


def test_looks_see_what_is_committed_meanwhile(ledger: PostgresLedger) -> None:
    def look(connection: Connection) -> tuple[object, object]:
        before = _one(connection, "SELECT count(*) FROM jobs")
        submit(ledger)
        return before, _one(connection, "SELECT count(*) FROM jobs")

    assert ledger.transactions.look(look) == (0, 1)


def test_first_statement_of_a_transaction_is_rolled_back_with_it(ledger: PostgresLedger) -> None:
    submit(ledger)

    def fail(connection: Connection) -> None:
        connection.exec_driver_sql("UPDATE jobs SET name = %s", ("lost",))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ledger.transactions.write("test", fail)
    names = ledger.transactions.read(lambda connection: _one(connection, "SELECT name FROM jobs"))
    assert names != "lost"


def test_transaction_without_statements_leaves_none_open(
    ledger: PostgresLedger, postgres_server: PostgresServer, postgres_url: str
) -> None:
    database = postgres_url.rpartition("/")[2]
    ledger.transactions.write("test", lambda _connection: None)
    ledger.transactions.look(lambda connection: _one(connection, "SELECT 1"))
    here = f"{IN_TRANSACTION} AND datname = '{database}'"
    ((open_ones,),) = postgres_server.execute("postgres", here)
    assert open_ones == 0


@pytest.mark.parametrize(("offered", "mode"), [(True, ""), (True, "?sslmode=require"), (False, "")])
def test_connection_is_encrypted_where_the_server_can(
    server: PostgresServer, *, offered: bool, mode: str
) -> None:
    if offered:
        _encrypt(server)
    ledger = PostgresLedger(server.create_ledger() + mode)
    assert ledger.transactions.look(lambda connection: _one(connection, ENCRYPTED)) is offered
    ledger.dispose()


def _encrypt(server: PostgresServer) -> None:
    """Give a server a certificate of its own making."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is needed to make a certificate")
    key, certificate = server.data / "server.key", server.data / "server.crt"
    made = ("-keyout", key, "-out", certificate, "-subj", "/CN=pravah", "-days", "2")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *map(str, made)],
        check=True,
        capture_output=True,
    )
    owner = server.data.stat()
    for file in (key, certificate):
        file.chmod(0o600)
        shutil.chown(file, owner.st_uid, owner.st_gid)
    server.execute("postgres", "ALTER SYSTEM SET ssl = on")
    server.restart("fast")
