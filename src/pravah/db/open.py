"""Opens an embedded ledger: created whole, checked, and migrated when it is older.

Alembic is imported only when the schema is behind: it costs a third of a second.
A file that is there but empty or foreign is refused, never taken for a new ledger.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from pravah.db.connect import damaged, ledger_error, library, sqlite_engine, translated
from pravah.errors import (
    LedgerDamagedError,
    LedgerError,
    LedgerVersionError,
    SettingError,
)
from pravah.model.ids import new_id
from pravah.settings import masked_url

# The newest migration; a test compares it with Alembic's head.
HEAD = "0005"


def is_postgresql(url: str) -> bool:
    """Whether a URL names a PostgreSQL database."""
    return url.startswith(("postgresql://", "postgresql+", "postgres://"))


def sqlite_path(url: str) -> Path:
    """Give the file of a `sqlite:///` URL."""
    if not url.startswith("sqlite:///") or url == "sqlite:///":
        raise SettingError(
            f"DATABASE_URL is `{masked_url(url)}`, no ledger that Pravah knows",
            hint="`sqlite:////absolute/path/pravah.db` or `postgresql://user:password@host:5432/name`",
        )
    return Path(url.removeprefix("sqlite:///")).absolute()


def open_engine(path: Path) -> Engine:
    """Open the ledger at `path`: create it where there is none, migrate it where it is older."""
    create_missing(path)
    engine = sqlite_engine(path)
    try:
        _bring_up_to_date(engine, path)
    except BaseException:
        engine.dispose()
        raise
    return engine


def create_missing(path: Path) -> None:
    """Create a ledger where there is none: written aside, linked whole; an empty file is damage."""
    fresh = path.with_name(f"{path.name}.{new_id()}.new")
    try:
        if path.exists():
            if path.stat().st_size == 0:
                raise damaged(str(path), ("the file is empty",))
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_schema(fresh)
        with suppress(FileExistsError):  # Another process was faster; its ledger is as good.
            os.link(fresh, path)
    except OSError as error:
        raise _unusable("create", path, error) from error
    finally:
        for leftover in (
            fresh,
            fresh.with_name(fresh.name + "-wal"),
            fresh.with_name(fresh.name + "-shm"),
        ):
            with suppress(OSError):
                leftover.unlink(missing_ok=True)


def is_there(path: Path) -> bool:
    """Tell whether there is a ledger at a path; LedgerError where nobody can look."""
    try:
        return path.exists()
    except OSError as error:
        raise _unusable("look at", path, error) from error


def schema_version(engine: Engine, location: str) -> str:
    """Read the version of a ledger's schema."""
    try:
        with engine.connect() as connection:
            found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    except DBAPIError as error:
        if "no such table" in str(error.orig):
            raise _foreign(location) from error
        raise ledger_error(error, location) from error
    if found is None or not str(found).isdecimal():
        raise _foreign(location)
    return str(found)


def facts(path: Path) -> tuple[str, str, int, bool, int, int]:
    """Give library, place, schema, whether that is current, jobs and bytes; changes nothing."""
    name = f"SQLite {library().sqlite_version}"
    if not is_there(path):
        return name, str(path), int(HEAD), True, 0, 0
    engine = sqlite_engine(path)
    try:
        version = int(schema_version(engine, str(path)))
        with translated(str(path)), engine.connect() as connection:
            jobs = connection.exec_driver_sql("SELECT COUNT(*) FROM jobs").scalar_one()
    finally:
        engine.dispose()
    return name, str(path), version, version == int(HEAD), jobs, path.stat().st_size


def migrate(engine: Engine, location: str) -> None:
    """Bring an older ledger's schema up to date, in one transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "pravah.db:migrations")
    with translated(location), engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _bring_up_to_date(engine: Engine, path: Path) -> None:
    version = schema_version(engine, str(path))
    if int(version) > int(HEAD):
        raise _too_new(path, version)
    if version != HEAD:
        migrate(engine, str(path))


def _write_schema(path: Path) -> None:
    # Only a new ledger needs the tables' definitions.
    from pravah.db.schema import metadata

    engine = sqlite_engine(path)
    try:
        with translated(str(path)), engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            metadata.create_all(connection, checkfirst=False)  # the file is new
            connection.exec_driver_sql(
                "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
                "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
            )
            connection.exec_driver_sql("INSERT INTO alembic_version VALUES (?)", (HEAD,))
            connection.exec_driver_sql("COMMIT")
    finally:
        # The last connection to close moves the write-ahead log into the file.
        engine.dispose()


def _unusable(verb: str, path: Path, error: OSError) -> LedgerError:
    return LedgerError(
        f"can't {verb} the ledger {path}",
        causes=(f"{error.strerror} (errno {error.errno})",),
        hint="PRAVAH_HOME or DATABASE_URL choose another place",
    )


def _too_new(path: Path, version: str) -> LedgerVersionError:
    return LedgerVersionError(
        f"the ledger {path} has schema {version}, this release knows schemas up to {HEAD}",
        hint="use the newer Pravah that wrote it, or set DATABASE_URL to another ledger",
    )


def _foreign(location: str) -> LedgerDamagedError:
    return LedgerDamagedError(
        f"{location} is no ledger of Pravah",
        kind="not_a_ledger",
        hint="set DATABASE_URL or PRAVAH_HOME to another place",
    )
