"""How many tasks a worker takes at once, and what becomes of them."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from pravah.errors import LedgerBusyError
from pravah.jobs.attempt import Attempt
from pravah.jobs.autopsy import Death
from pravah.jobs.crew import COMMIT_TRIES, SLOTS, SMALL_SLOTS, Crew, _Undead
from pravah.jobs.supervisor import Supervisor, Work
from pravah.model.ledger import Lease, Purpose, Release, TaskKind, Verdict


class Given:
    """A ledger that notes what is given back, and is locked for so many writes before."""

    def __init__(self, busy: int = 0) -> None:
        self._busy = busy
        self.given: list[tuple[int, Release]] = []

    def release(self, lease: Lease, how: Release, _suspects: object = None) -> Verdict:
        if self._busy:
            self._busy -= 1
            raise LedgerBusyError("somebody else holds the ledger's write lock")
        self.given.append((lease.task_id, how))
        return Verdict.COMMITTED


class Killed:
    """A runner that is gone, by a person's hand."""

    def end(self, _patience_s: float) -> Death:
        return Death(-signal.SIGKILL, "", out_of_memory=False)


def lease_of(task_id: int, *, small: bool = False, unclean: bool = False) -> Lease:
    kind = TaskKind.ENTRIES
    return Lease(task_id, "job", kind, Purpose.WORK, 1, 1, 0, 0, unclean=unclean, small=small)


def crew_with(number: int, *, small: bool) -> Crew:
    """Give a crew that works on so many tasks of entries."""
    ledger: Any = None  # nothing is asked of it
    crew = Crew(ledger, None, None)
    for task_id in range(number):
        crew._attempts[task_id] = Attempt(task_id, lease_of(task_id, small=small))
    return crew


def test_small_tasks_beyond_their_own_slots_take_those_of_others() -> None:
    """Else a worker goes on claiming, two at a time, whatever it holds already."""
    full = SMALL_SLOTS + SLOTS[TaskKind.ENTRIES]
    assert crew_with(full, small=True).wanted().get(TaskKind.ENTRIES, 0) == 0
    assert crew_with(full - 1, small=True).wanted()[TaskKind.ENTRIES] == 1
    assert crew_with(full, small=True).small_slots == 0


def test_small_tasks_within_their_slots_leave_those_of_others_free() -> None:
    few = crew_with(SMALL_SLOTS, small=True)
    assert few.wanted()[TaskKind.ENTRIES] == SLOTS[TaskKind.ENTRIES]
    assert crew_with(2, small=False).wanted().get(TaskKind.ENTRIES, 0) == 0
    assert crew_with(2, small=False).small_slots == SMALL_SLOTS


def test_tasks_of_a_dead_runner_are_each_given_back_once_the_ledger_takes_it() -> None:
    ledger: Any = Given(busy=COMMIT_TRIES)
    runner: Any = Killed()
    crew = Crew(ledger, None, None)
    crew._undead = [_Undead(runner, [Attempt(n, lease_of(n)) for n in (1, 2)])]
    with pytest.raises(LedgerBusyError):
        crew.check_stall()
    crew.check_stall()
    crew.check_stall()
    assert ledger.given == [(1, Release.DIED), (2, Release.DIED)]


@pytest.mark.parametrize(
    ("unclean", "how"), [(False, Release.CLEAN), (True, Release.UNCLEAN)], ids=["clean", "unclean"]
)
def test_drained_worker_gives_back_what_waits_and_begins_none_of_it(
    *, unclean: bool, how: Release
) -> None:
    ledger: Any = Given()
    nobody: Any = None  # it neither tells of progress nor closes anything
    supervisor = Supervisor(ledger, Work(None), nobody, nobody)
    supervisor._crew._waiting = [(lease_of(1, unclean=unclean), nobody)]
    supervisor._unbegun = [lease_of(2)]
    supervisor.drain()
    assert not supervisor._claim()
    assert ledger.given == [(2, Release.CLEAN), (1, how)]
    assert not supervisor._crew.busy
    for end in (supervisor._wake_read, supervisor._wake_write):
        os.close(end)
