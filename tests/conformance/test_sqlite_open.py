"""What is peculiar to the embedded ledger: its file, its schema, and damage to either."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from pravah.db import connect
from pravah.db.connect import library, sqlite_engine
from pravah.db.embedded import SqliteLedger
from pravah.db.open import HEAD, create_missing, migrate, open_engine, schema_version, sqlite_path
from pravah.db.queries import parse
from pravah.db.schema import metadata
from pravah.errors import (
    LedgerBusyError,
    LedgerDamagedError,
    LedgerError,
    LedgerVersionError,
    SettingError,
)
from tests.conformance.ledgers import submit


def _ledger(path: Path) -> SqliteLedger:
    return SqliteLedger(path, path.parent / "workers")


def _filled(path: Path) -> str:
    ledger = _ledger(path)
    job_id = submit(ledger)
    for _ in range(200):
        submit(ledger)
    ledger.dispose()
    return job_id


def test_library_has_no_wal_reset_bug() -> None:
    assert library().sqlite_version_info >= connect.WAL_SAFE_VERSION


@pytest.mark.parametrize(("version", "mode"), [((3, 51, 2), "truncate"), ((3, 51, 3), "wal")])
def test_journal_of_a_library_with_the_wal_reset_bug_is_truncate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: tuple[int, int, int], mode: str
) -> None:
    monkeypatch.setattr(library(), "sqlite_version_info", version)
    engine = sqlite_engine(tmp_path / "pravah.db")
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == mode
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    engine.dispose()


def test_open_of_a_missing_ledger_creates_it_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "pravah.db"
    open_engine(path).dispose()
    assert [entry.name for entry in path.parent.iterdir()] == ["pravah.db"]
    assert path.stat().st_size > 0


def test_open_of_an_empty_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pravah.db"
    path.touch()
    with pytest.raises(LedgerDamagedError, match="is damaged"):
        open_engine(path)


def test_open_of_garbage_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pravah.db"
    path.write_bytes(os.urandom(8192))
    with pytest.raises(LedgerDamagedError, match="is damaged"):
        open_engine(path)


def test_open_of_another_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pravah.db"
    connection = library().connect(path)
    connection.execute("CREATE TABLE other (id INTEGER)")
    connection.close()
    with pytest.raises(LedgerDamagedError) as caught:
        open_engine(path)
    assert caught.value.kind == "not_a_ledger"


def test_open_of_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pravah.db"
    create_missing(path)
    connection = library().connect(path)
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    with pytest.raises(LedgerVersionError, match="schema 9999") as caught:
        open_engine(path)
    assert caught.value.exit_code == 7


def test_open_of_a_cut_file_is_never_silently_empty(tmp_path: Path) -> None:
    path = tmp_path / "pravah.db"
    job_id = _filled(path)
    os.truncate(path, 4096 * 3)
    with pytest.raises(LedgerError) as caught:
        _ledger(path).job(job_id)
    assert caught.value.kind == "ledger_damaged"


def test_read_of_a_flipped_page_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "pravah.db"
    _filled(path)
    with path.open("r+b") as file:
        for page in range(1, path.stat().st_size // 4096):
            file.seek(page * 4096)
            file.write(b"\xff" * 64)
    with pytest.raises(LedgerDamagedError):
        _ledger(path).jobs(None, 500, None)


def test_cut_log_loses_only_what_it_held_last(tmp_path: Path) -> None:
    path = tmp_path / "pravah.db"
    ledger = _ledger(path)
    ids = [submit(ledger) for _ in range(20)]
    copy = tmp_path / "copy.db"
    log = (tmp_path / "pravah.db-wal").read_bytes()
    copy.write_bytes(path.read_bytes())
    (tmp_path / "copy.db-wal").write_bytes(log[: len(log) * 2 // 3])
    ledger.dispose()
    survivors = {job.id for job in _ledger(copy).jobs(None, 100, None)}
    assert 0 < len(survivors) < 20
    assert survivors == set(ids[: len(survivors)])


def test_write_lock_held_too_long_is_a_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect, "BUSY_TIMEOUT_MS", 50)
    path = tmp_path / "pravah.db"
    ledger = _ledger(path)
    other = library().connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerBusyError, match="another process has locked"):
        submit(ledger)
    other.execute("ROLLBACK")
    submit(ledger)
    other.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_read_only_ledger_is_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "pravah.db"
    _filled(path)
    path.chmod(0o400)
    tmp_path.chmod(0o500)
    with pytest.raises(LedgerError) as caught:
        submit(_ledger(path))
    tmp_path.chmod(0o700)
    assert caught.value.kind == "ledger_read_only"


def test_ledger_that_only_reads_says_so(tmp_path: Path) -> None:
    ledger = _ledger(tmp_path / "pravah.db")
    with ledger._transactions._engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA query_only=ON")
    with pytest.raises(LedgerError) as caught:
        submit(ledger)
    assert caught.value.kind == "ledger_read_only"


def test_migrations_lead_to_the_schema_of_a_new_ledger(tmp_path: Path) -> None:
    engine = sqlite_engine(tmp_path / "migrated.db")
    migrate(engine, "migrated.db")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    migrated = _definitions(engine)
    engine.dispose()
    created = open_engine(tmp_path / "created.db")
    assert migrated == _definitions(created)
    created.dispose()


def test_ledger_lies_where_its_path_says_whatever_that_holds(tmp_path: Path) -> None:
    path = tmp_path / "what?mode=ro&x%41#y" / "pravah.db"
    open_engine(path).dispose()
    assert path.stat().st_size > 0
    assert [each.name for each in tmp_path.iterdir()] == ["what?mode=ro&x%41#y"]


@pytest.mark.parametrize("home", ["/dev/null", "a" * 300])
def test_ledger_whose_place_can_not_be_used_is_an_error_that_names_it(
    tmp_path: Path, home: str
) -> None:
    path = tmp_path / home / "pravah.db"
    with pytest.raises(LedgerError, match="can't create the ledger"):
        open_engine(path)


def test_every_reference_to_other_rows_can_be_looked_up() -> None:
    """Else each row removed of the others' table has the database read all of this one's."""
    for table in metadata.tables.values():
        first = {next(iter(table.primary_key.columns)).name}
        first |= {next(iter(index.columns)).name for index in table.indexes}
        assert {key.parent.name for key in table.foreign_keys} <= first


def test_head_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", "pravah.db:migrations")
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_open_of_a_current_ledger_does_not_import_alembic(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from pravah.db.open import open_engine;"
        f"open_engine(pathlib.Path({str(tmp_path / 'pravah.db')!r})).dispose();"
        "sys.exit('alembic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_alembic_upgrade_creates_the_ledger_of_the_settings(tmp_path: Path) -> None:
    path = tmp_path / "pravah.db"
    environment = {**os.environ, "DATABASE_URL": f"sqlite:///{path}", "PRAVAH_ENV_FILE": ""}
    command = [sys.executable, "-m", "alembic", "upgrade", "head"]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, env=environment, cwd=root, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    engine = sqlite_engine(path)
    assert schema_version(engine, str(path)) == HEAD
    engine.dispose()


@pytest.mark.parametrize("url", ["mysql://x/y", "pravah.db", "sqlite:///"])
def test_url_of_no_known_ledger_is_refused(url: str) -> None:
    with pytest.raises(SettingError):
        sqlite_path(url)


def test_every_query_is_named_once_described_and_used() -> None:
    package = Path(connect.__file__).parent
    named = list(parse((package / "queries.sql").read_text("utf-8")))
    assert len({query.name for query in named}) == len(named)
    assert all(query.description and query.sql for query in named)
    code = "".join(path.read_text("utf-8") for path in package.glob("*.py"))
    dropped = {f"drop_{part}" for part in ("windows", "manifests", "tasks")}
    unused = [
        q.name
        for q in named
        if f'"{q.name.removesuffix(" for postgresql")}"' not in code and q.name not in dropped
    ]
    assert unused == []


def _definitions(engine: object) -> set[str]:
    with engine.connect() as connection:  # type: ignore[attr-defined]
        rows = connection.exec_driver_sql("SELECT name, type FROM sqlite_schema").all()
        return {f"{row.type} {row.name}" for row in rows}
