"""Notices that a PostgreSQL ledger has lost commits, by a failover or a copy that was put back.

A promoted standby goes on under another timeline, a dump restored elsewhere in another cluster; the
ledger remembers both. A copy of the server's files put back under a running worker has neither: the
worker remembers how far the log was. What was lost nobody can tell, so every job that has not ended
is paused, and a person decides (protocol, rule 2). It never looks at outputs.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from pravah.db.postgres import CONFLICTS, is_away, sqlstate
from pravah.db.queries import query
from pravah.db.transitions import add_event
from pravah.model.ids import shown

KIND = "ledger_rolled_back"
# Attempts of one task that a standby may have missed: far more than are begun in a failover's
# minute, far fewer than the 8 million that a token's counter has room for.
LEAP = 1000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Whereabouts:
    cluster: str
    timeline: int
    position: int


class RollbackWatch:
    """Compares where a ledger is with where it was; one for all connections of a process."""

    def __init__(self) -> None:
        self._seen: _Whereabouts | None = None
        self._blind = False

    def look(self, connection: Connection) -> bool:
        """Look, in transactions of its own; pause jobs where commits may be lost.

        False where the server only follows another one: it may be promoted under this connection.
        """
        # Before the look: another thread may see more while this one looks.
        seen = self._seen
        found = self._whereabouts(connection)
        if found is None:
            return self._blind
        behind = _is_behind(found, seen)
        last = connection.execute(query("last_timeline")).first()
        moved = last is None or (last.cluster, last.timeline) != (found.cluster, found.timeline)
        if moved or behind:
            _note(connection, found, behind=behind)
        self._seen = found
        return True

    def follow(self, connection: Connection) -> None:
        """Note how far the log is by now."""
        seen = self._seen
        found = self._whereabouts(connection)
        if found is not None and not _is_behind(found, seen):
            self._seen = found

    def _whereabouts(self, connection: Connection) -> _Whereabouts | None:
        if self._blind:
            return None
        try:
            row = connection.execute(query("get_whereabouts")).first()
        except DBAPIError as error:
            if sqlstate(error) is None or is_away(error) or sqlstate(error) in CONFLICTS:
                raise
            # Some services hide their log and their control file: there is nothing to compare.
            _log.debug("this server does not tell its timeline: %s", error)
            self._blind = True
            return None
        return None if row is None else _Whereabouts(row.cluster, row.timeline, row.position)


def _is_behind(found: _Whereabouts, seen: _Whereabouts | None) -> bool:
    """Tell whether the log, flushed to disk so far once, is shorter now."""
    if seen is None or (seen.cluster, seen.timeline) != (found.cluster, found.timeline):
        return False
    return found.position < seen.position


def _note(connection: Connection, found: _Whereabouts, *, behind: bool) -> None:
    connection.exec_driver_sql("BEGIN")
    connection.execute(query("lock_timelines"))
    last = connection.execute(query("last_timeline")).first()
    if last is None:
        _remember(connection, found)
    elif (last.cluster, last.timeline) != (found.cluster, found.timeline):
        _remember(connection, found)
        _pause(connection, _difference(last.cluster, last.timeline, found))
    elif behind:
        _pause(connection, "its server was put back to an earlier state")
    connection.exec_driver_sql("COMMIT")


def _difference(cluster: str, timeline: int, found: _Whereabouts) -> str:
    if cluster != found.cluster:
        return "it was copied to another server"
    return f"its server went from timeline {timeline} to {found.timeline}"


def _remember(connection: Connection, found: _Whereabouts) -> None:
    values = {"cluster": found.cluster, "timeline": found.timeline}
    connection.execute(query("add_timeline"), values)


def _pause(connection: Connection, what: str) -> None:
    """Ask every job that has not ended for a pause; forgotten tokens never come again."""
    why = {"kind": KIND, "message": f"the ledger may have forgotten what it knew last: {what}"}
    connection.execute(query("leap_counters"), {"leap": LEAP})
    job_ids = connection.execute(query("lock_unfinished")).scalars().all()
    for job_id in job_ids:
        resume = f"`pravah jobs resume {shown(job_id)} --adopt`"
        hint = f"{resume} goes on, and takes files for its own that are equal to its outputs"
        values = {"id": job_id, "why": json.dumps({**why, "hint": hint})}
        connection.execute(query("pause_unfinished"), values)
        add_event(connection, job_id, KIND, why)
    if job_ids:
        _log.warning("%s; unfinished jobs are paused", why["message"])
