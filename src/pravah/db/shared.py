"""The ledger of many hosts: a PostgreSQL database, whose leases expire by its own clock.

A worker that is stopped past its leases finds its token gone with its next write; what it had
staged under names is unlinked by whoever took over (protocol, rule 6).
"""

from __future__ import annotations

import os
import platform
from collections.abc import Collection, Mapping

from sqlalchemy import Connection

from pravah import __version__
from pravah.db import claims, workers
from pravah.db.ledger import DatabaseLedger
from pravah.db.open_postgres import open_postgres
from pravah.db.postgres import PATIENCE_S, PostgresTransactions
from pravah.db.queries import query
from pravah.db.rollback import RollbackWatch
from pravah.db.worker_lock import ProcessIdentity
from pravah.model.ids import new_id
from pravah.model.ledger import Lease, Release, TaskKind

# Leases that are freed in one transaction.
_FREED_AT_ONCE = 100
# How long somebody who only asks waits for a database that is away.
_ASKING_S = 10.0
# A worker that holds nothing and has been silent for so long is not listed any more.
_SILENT_S = 600


class PostgresLedger(DatabaseLedger):
    """Jobs, tasks, outcomes and events in one PostgreSQL database."""

    kernel_leases = False

    def __init__(self, url: str, host: str | None = None, connections: int = 2) -> None:
        self.host = host or platform.node()
        engine, location = open_postgres(url, connections)
        self._rollbacks = RollbackWatch()
        self._persistent = PostgresTransactions(
            engine, location, patience_s=_ASKING_S, on_connected=self._rollbacks.look
        )
        super().__init__(self._persistent)
        self._id: str | None = None

    def join(self) -> str:
        """Begin to work: register under a new id. Work is worth waiting for."""
        self._persistent.patience_s = PATIENCE_S
        self._id = new_id()
        self._write("join", _show_life, self._claimer, ())
        return self._id

    def beat(self, held: Collection[int] = ()) -> None:
        """Show that this worker is alive, and renew its leases of these tasks."""
        self._write("beat", _show_life, self._claimer, held)
        self._read(self._rollbacks.follow)

    def leave(self) -> None:
        """Stop working; leases still held count as lost."""
        if self._id is not None:
            self._write("leave", workers.free_leases, self._id)
            self._id = None

    def inherited_fds(self) -> tuple[int, ...]:
        """Give none: no descriptor holds these leases."""
        return ()

    def take_over(self) -> int:
        """Free the tasks whose leases have expired."""
        freed = 0
        while part := self._write("take_over", _free_expired):
            freed += part
        return freed

    def claim(
        self, job_id: str | None, wanted: Mapping[TaskKind, int], *, small: int = 0
    ) -> list[Lease]:
        """Lease tasks; also after a silence in which this worker was forgotten."""
        return self._write("claim", _claim, self._claimer, job_id, wanted, small=small)

    @property
    def _worker_id(self) -> str:
        if self._id is None:
            raise RuntimeError("a worker joins the ledger before it claims")
        return self._id


def _claim(
    connection: Connection,
    me: claims.Claimer,
    job_id: str | None,
    wanted: Mapping[TaskKind, int],
    *,
    small: int,
) -> list[Lease]:
    """Claim as a worker that stays registered at least until the end of the transaction."""
    heard = {"id": me.worker_id, "silent_s": _SILENT_S // 2}
    if connection.execute(query("was_heard"), heard).first() is None:
        _show_life(connection, me, ())
    return claims.claim(connection, me, job_id, wanted, small=small)


def _show_life(connection: Connection, me: claims.Claimer, held: Collection[int]) -> None:
    identity = ProcessIdentity.of(os.getpid())
    connection.execute(
        query("show_life"),
        {
            "id": me.worker_id,
            "host": me.host,
            "pid": identity.pid,
            "started_ticks": identity.started_ticks,
            "boot_id": identity.boot_id,
            "version": __version__,
        },
    )
    if held:
        values = {"worker_id": me.worker_id, "ids": sorted(held), "ttl_us": claims.LEASE_TTL_US}
        connection.execute(query("renew_leases"), values)


def _free_expired(connection: Connection) -> int:
    expired = connection.execute(query("expired_leases"), {"wanted": _FREED_AT_ONCE}).all()
    for lease in expired:
        claims.free(connection, lease.job_id, lease.task_id, Release.DIED)
    connection.execute(query("drop_silent_workers"), {"silent_s": _SILENT_S})
    return len(expired)
