"""Settings become an application: the only place that knows which ledger there is.

Nothing heavy is imported before it is used: a runner that is started ahead loads the core while
this process loads the database library.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pravah import tracing
from pravah.errors import LedgerError, SettingError
from pravah.model.units import read_duration
from pravah.settings import Settings

if TYPE_CHECKING:
    from pravah.db.keyring import Keyring
    from pravah.db.ledger import DatabaseLedger
    from pravah.db.replies import Replies
    from pravah.db.worker_lock import WorkerLock
    from pravah.jobs.preview import Preview
    from pravah.jobs.runner_process import RunnerProcess
    from pravah.jobs.service import JobService
    from pravah.model.spec import JobSpec
    from pravah.remote.application import RemoteApplication


class Application:
    """Everything wired together, each part made when it is first used."""

    def __init__(self, settings: Settings, connections: int = 2) -> None:
        self.settings = settings
        self._connections = connections
        self._lock: WorkerLock | None = None
        self._runner: RunnerProcess | None = None

    def start_runner(self) -> None:
        """Start the runner now, beside the imports that follow; for commands that surely work."""
        from pravah.db.worker_lock import WorkerLock
        from pravah.jobs.runner_process import RunnerProcess

        if self._runner is not None:
            return
        if self.settings.database_url.startswith("postgres"):
            self._runner = RunnerProcess(())
        else:
            self._lock = WorkerLock.create(self._locks)
            self._runner = RunnerProcess((self._lock.fd,))

    @cached_property
    def jobs(self) -> JobService:
        """What can be asked of jobs."""
        from pravah.jobs.locality import Locality
        from pravah.jobs.service import JobService

        return JobService(
            self.ledger,
            self.settings.home / "scratch",
            threads=self.settings.threads,
            runner=self._runner,
            retention_s=_retention_s(self.settings),
            locality=Locality(self.ledger.host, self.settings.shared_roots),
        )

    def preview(self, spec: JobSpec) -> Preview:
        """Tell what a job of this spec would do; only names of a list need the ledger."""
        from pravah.jobs.preview import preview

        jobs = None if spec.source.files_from is None else self.jobs
        return preview(spec, threads=self.settings.threads, jobs=jobs)

    @cached_property
    def ledger(self) -> DatabaseLedger:
        """The ledger of the settings; an embedded one is created or migrated where needed."""
        from pravah.db.open import is_postgresql, sqlite_path

        if is_postgresql(self.settings.database_url):
            from pravah.db.shared import PostgresLedger

            host = self.settings.get("PRAVAH_HOST")
            return PostgresLedger(
                self.settings.database_url, str(host) if host else None, self._connections
            )
        from pravah.db.embedded import SqliteLedger

        path = sqlite_path(self.settings.database_url)
        return SqliteLedger(path, self._locks, self._lock)

    @cached_property
    def keys(self) -> Keyring:
        """The keys of the API."""
        from pravah.db.keyring import Keyring

        return Keyring(self.ledger.transactions)

    @cached_property
    def replies(self) -> Replies:
        """Answers to requests that may be sent again."""
        from pravah.db.replies import Replies

        return Replies(self.ledger.transactions)

    def close(self) -> None:
        """End what was started and close what was opened."""
        tracing.flush()
        if self._runner is not None:
            self._runner.end()
        if "ledger" in self.__dict__:
            self.ledger.dispose()
        if self._lock is not None:
            self._lock.remove()

    @property
    def _locks(self) -> Path:
        return self.settings.home / "workers"


@dataclass(frozen=True, slots=True)
class LedgerFacts:
    """What is known of a ledger without changing it."""

    database: str
    location: str
    schema: int
    current: bool
    jobs: int
    size_bytes: int


def application(settings: Settings | None = None, connections: int = 2) -> Application:
    """Wire the application of these settings; by default those of environment and `.env`.

    It keeps so many connections to a shared ledger, where it needs them: workers are many, and a
    database has room for a hundred.
    """
    chosen = settings or Settings()
    endpoint = chosen.get(tracing.ENDPOINT)
    if endpoint is not None and not tracing.configure(str(endpoint)):
        from pravah.jobs import log

        log.info("traces go nowhere: `pip install pravah[otel]`", endpoint=endpoint)
    return Application(chosen, connections)


def remote_application(settings: Settings) -> RemoteApplication | None:
    """Wire the application of the server that these settings name; None where they name none."""
    url = settings.get("PRAVAH_URL")
    if url is None:
        return None
    from pravah.remote.application import RemoteApplication

    return RemoteApplication(settings, str(url))


def settings_of(ledger: str | None) -> Settings:
    """Read the settings, with a ledger file or a database URL in place of theirs."""
    if ledger is None:
        return Settings()
    url = ledger if "://" in ledger else f"sqlite:///{Path(ledger).absolute()}"
    return Settings({**os.environ, "DATABASE_URL": url})


def _retention_s(settings: Settings) -> float | None:
    text = settings.get("PRAVAH_RETENTION")
    try:
        return None if text is None else read_duration(text)
    except ValueError as error:
        raise SettingError(
            f"PRAVAH_RETENTION {error}", hint="as in `30d`; unset: for ever"
        ) from None


def require_ledger(settings: Settings) -> None:
    """Refuse an embedded ledger that is not there, where somebody has named it."""
    from pravah.db.open import is_postgresql, is_there, sqlite_path

    url = settings.get("DATABASE_URL")
    if url is None or is_postgresql(str(url)):
        return
    path = sqlite_path(str(url))
    if not is_there(path):
        raise LedgerError(
            f"there is no ledger {path}",
            hint="check --ledger and DATABASE_URL; `pravah run` makes a ledger where there is none",
        )


def ledger_facts(settings: Settings) -> LedgerFacts:
    """Look at the ledger of the settings; one that is not there yet is empty and current."""
    from pravah.db.open import facts, is_postgresql, sqlite_path

    if is_postgresql(settings.database_url):
        from pravah.db.open_postgres import facts_postgres

        return LedgerFacts(*facts_postgres(settings.database_url))
    return LedgerFacts(*facts(sqlite_path(settings.database_url)))


def upgrade_ledger(settings: Settings) -> LedgerFacts:
    """Create the ledger of the settings, or bring its schema up to date."""
    from pravah.db.open import is_postgresql, open_engine, sqlite_path

    if is_postgresql(settings.database_url):
        from pravah.db.open_postgres import upgrade_postgres

        upgrade_postgres(settings.database_url)
        return ledger_facts(settings)
    open_engine(sqlite_path(settings.database_url)).dispose()
    return ledger_facts(settings)
