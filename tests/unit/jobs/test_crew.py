"""How many tasks a worker takes at once."""

from __future__ import annotations

from typing import Any

from pravah.jobs.attempt import Attempt
from pravah.jobs.crew import SLOTS, SMALL_SLOTS, Crew
from pravah.model.ledger import Lease, Purpose, TaskKind


def crew_with(number: int, *, small: bool) -> Crew:
    """Give a crew that works on so many tasks of entries."""
    ledger: Any = None  # nothing is asked of it
    crew = Crew(ledger, None, None)
    for task_id in range(number):
        kind = TaskKind.ENTRIES
        lease = Lease(task_id, "job", kind, Purpose.WORK, 1, 1, 0, 0, unclean=False, small=small)
        crew._attempts[task_id] = Attempt(task_id, lease)
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
