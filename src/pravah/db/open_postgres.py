"""Opens a PostgreSQL ledger: checked, never migrated by the way; an operator does that.

`pravah db upgrade` and `alembic upgrade head` create and migrate it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from pravah.db.open import HEAD
from pravah.db.postgres import ledger_error, location_of, postgres_engine, postgresql_url, sqlstate
from pravah.errors import LedgerError, LedgerVersionError

# Any number: whoever migrates holds this advisory lock.
_MIGRATION_LOCK = 7_261_004
_UNDEFINED_TABLE = "42P01"


def open_postgres(url: str, connections: int) -> tuple[Engine, str]:
    """Open the ledger of a URL, to keep so many connections; give it with its name for people."""
    read = postgresql_url(url)
    location = location_of(read)
    engine = postgres_engine(read, connections=connections)
    try:
        check_version(schema_version(engine, location), location)
    except BaseException:
        engine.dispose()
        raise
    return engine, location


def schema_version(engine: Engine, location: str) -> int:
    """Read the version of a ledger's schema; 0 where there is none."""
    try:
        with engine.connect() as connection:
            found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    except (DBAPIError, OSError) as error:
        if sqlstate(error) == _UNDEFINED_TABLE:
            return 0
        raise ledger_error(error, location) from error
    return int(found or 0)


def check_version(version: int, location: str) -> None:
    """Refuse a schema that this release does not work with."""
    if version > int(HEAD):
        raise LedgerVersionError(
            f"the ledger {location} has schema {version}, this release knows schemas up to {HEAD}",
            hint="use the newer Pravah that wrote it, or set DATABASE_URL to another ledger",
        )
    if version < int(HEAD):
        raise LedgerError(
            f"the ledger {location} has schema {version}, this release needs {int(HEAD)}",
            kind="ledger_not_migrated",
            hint="`pravah db upgrade` or `alembic upgrade head` brings it up to date",
        )


def upgrade_postgres(url: str) -> None:
    """Create the ledger of a URL, or bring its schema up to date."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "pravah.db:migrations")
    with migrating(url) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


@contextmanager
def migrating(url: str) -> Iterator[Connection]:
    """Hold the one transaction that may migrate a ledger at a time; refuse a newer schema."""
    read = postgresql_url(url)
    location = location_of(read)
    engine = postgres_engine(read, autocommit=False)
    try:
        if (version := schema_version(engine, location)) > int(HEAD):
            check_version(version, location)
        with engine.begin() as connection:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
            yield connection
    except (DBAPIError, OSError) as error:
        raise ledger_error(error, location) from error
    finally:
        engine.dispose()


def facts_postgres(url: str) -> tuple[str, str, int, bool, int, int]:
    """Give server, place, schema, whether that is current, jobs and bytes; changes nothing."""
    read = postgresql_url(url)
    location = location_of(read)
    engine = postgres_engine(read)
    try:
        version = schema_version(engine, location)
        with engine.connect() as connection:
            server = connection.exec_driver_sql("SHOW server_version").scalar_one()
            jobs = 0
            if version:
                jobs = connection.exec_driver_sql("SELECT COUNT(*) FROM jobs").scalar_one()
            size = connection.exec_driver_sql(
                "SELECT pg_database_size(current_database())"
            ).scalar_one()
    except (DBAPIError, OSError) as error:
        raise ledger_error(error, location) from error
    finally:
        engine.dispose()
    return f"PostgreSQL {server}", location, version, version == int(HEAD), jobs, size
