"""Who works: registering, showing life, and taking over from the dead and the hung."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row

from pravah import __version__
from pravah.db import claims, worker_lock
from pravah.db.queries import query
from pravah.db.transactions import Transactions
from pravah.db.worker_lock import SUFFIX, ProcessIdentity, WorkerLock, boot_clock_s
from pravah.model.ledger import Release, Worker

# A worker beats every few seconds; one silent for so long is stopped or hung (protocol, rule 2).
HUNG_AFTER_S = 30
# A machine that has slept wakes with old beats: a living worker gets this long to beat again.
SECOND_LOOK_S = 1.0


def join(connection: Connection, lock: WorkerLock) -> None:
    """Register this process as the worker that holds the lock."""
    identity = ProcessIdentity.of(os.getpid())
    connection.execute(
        query("add_worker"),
        {
            "id": lock.worker_id,
            "host": platform.node(),
            "pid": identity.pid,
            "started_ticks": identity.started_ticks,
            "boot_id": identity.boot_id,
            "beat_s": boot_clock_s(),
            "lock_path": str(lock.path),
            "version": __version__,
        },
    )


def shown(connection: Connection) -> list[Worker]:
    """List who works, with the time since each showed a sign of life."""
    return [
        Worker(
            id=row.id,
            host=row.host,
            pid=row.pid,
            tasks=row.tasks,
            jobs=row.jobs,
            silent_s=_silent_s(row),
            joined_us=row.joined_us,
            version=row.version,
        )
        for row in connection.execute(query("show_workers"))
    ]


def _silent_s(row: Row[Any]) -> int | None:
    if row.silent_s is not None:
        return int(max(0, row.silent_s))
    # Before the machine was started anew nobody can tell.
    own_boot = ProcessIdentity.of(os.getpid()).boot_id
    return int(max(0, boot_clock_s() - row.beat_s)) if row.boot_id == own_boot else None


def beat(connection: Connection, worker_id: str) -> None:
    """Show that this worker is alive."""
    connection.execute(query("beat"), {"id": worker_id, "beat_s": boot_clock_s()})


def leave(connection: Connection, worker_id: str) -> None:
    """Stop working; tasks that are still leased go back as unclean."""
    free_leases(connection, worker_id)


def free_leases(connection: Connection, worker_id: str) -> int:
    """Free what a worker held, and forget it."""
    leases = connection.execute(query("list_leases"), {"worker_id": worker_id}).all()
    for lease in leases:
        claims.free(connection, lease.job_id, lease.task_id, Release.DIED)
    connection.execute(query("drop_worker"), {"id": worker_id})
    return len(leases)


def take_over(transactions: Transactions, own_id: str, locks: Path) -> int:
    """Free the tasks of every worker whose lock can be gained; give how many."""
    others = transactions.read(_others, own_id)
    freed = sum(_take_over_from(transactions, worker) for worker in others)
    # A worker that died before it could register has left a file only.
    known = {own_id, *(worker.id for worker in others)}
    for path in locks.glob(f"*{SUFFIX}"):
        if path.stem not in known and (fd := worker_lock.gain(path)) is not None:
            freed += _bury(transactions, path.stem, path, fd)
    return freed


def _take_over_from(transactions: Transactions, worker: Row[Any]) -> int:
    path = Path(worker.lock_path)
    fd = worker_lock.gain(path)
    if fd is None and _hung(transactions, worker):
        worker_lock.kill(ProcessIdentity(worker.pid, worker.started_ticks, worker.boot_id))
        fd = worker_lock.gain_soon(path)
    return 0 if fd is None else _bury(transactions, worker.id, path, fd)


def _bury(transactions: Transactions, worker_id: str, path: Path, fd: int) -> int:
    """Free what a dead worker held, while its lock is held by the descriptor."""
    try:
        freed = transactions.write("take_over", free_leases, worker_id)
        path.unlink(missing_ok=True)
    finally:
        os.close(fd)
    return freed


def _hung(transactions: Transactions, worker: Row[Any]) -> bool:
    if boot_clock_s() - worker.beat_s < HUNG_AFTER_S:
        return False
    time.sleep(SECOND_LOOK_S)
    return bool(transactions.read(_beat_of, worker.id) == worker.beat_s)


def _others(connection: Connection, own_id: str) -> Sequence[Row[Any]]:
    return connection.execute(query("list_workers"), {"id": own_id}).all()


def _beat_of(connection: Connection, worker_id: str) -> int | None:
    beat_s: int | None = connection.execute(query("get_beat"), {"id": worker_id}).scalar()
    return beat_s
