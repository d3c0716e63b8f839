"""What the death of a runner means for the tasks it worked on (protocol, rule 22).

Entries in flight at a witnessed crash, or at a standstill, are suspects. Their task then runs
alone, and each suspect alone within it; one that dies so twice is poisoned. Ends that nobody can
explain make no suspects: the task runs alone in ever smaller slices, until what is innocent is
done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pravah.jobs.autopsy import Note
from pravah.model.ledger import Lease, Release, Suspect

if TYPE_CHECKING:
    from pravah.jobs.attempt import Attempt

# Deaths of a suspect, alone in its process, that make it poisoned.
FATAL_DEATHS = 2
# Unexplained ends of a task after which it runs alone, and in slices.
DEATHS = 2


@dataclass(frozen=True, slots=True)
class Crash:
    """Why a process had to end, and what it worked on then."""

    kind: str
    message: str
    notes: tuple[Note, ...]


def needs_to_be_alone(lease: Lease) -> bool:
    """Tell whether nothing else may run in the process that works on the task."""
    return bool(lease.suspects) or lease.deaths >= DEATHS


def is_hopeless(attempt: Attempt) -> bool:
    """Tell whether a task that was killed again has been down to one entry before."""
    lease = attempt.lease
    return not attempt.progressed and lease.deaths > DEATHS + lease.entries.bit_length()


def suspects_after(attempt: Attempt, crash: Crash) -> dict[int, Suspect] | None:
    """Give the suspects of a task after a crash; none where none of its entries was in flight."""
    lease = attempt.lease
    mine = [note.index for note in crash.notes if note.task_id == lease.task_id]
    if not mine:
        return None
    alone = attempt.alone and len(crash.notes) == 1 and mine[0] in lease.suspects
    suspects = dict(lease.suspects)
    for index in mine:
        before = suspects[index].deaths if index in suspects else 0
        suspects[index] = Suspect(before + int(alone), crash.kind, crash.message)
    return suspects


def release_after(attempt: Attempt, crash: Crash) -> Release:
    """Tell in what condition a task goes back after a crash that is not its entries' doing."""
    others = any(note.task_id != attempt.lease.task_id for note in crash.notes)
    return Release.UNCLEAN if others else Release.STRUCK


def poisoned(suspects: Mapping[int, Suspect]) -> list[tuple[int, str, str]]:
    """List the entries that are not tried again: position, kind and message."""
    return [
        (index, suspect.kind, f"it has ended its process twice, alone: {suspect.message}")
        for index, suspect in suspects.items()
        if suspect.deaths >= FATAL_DEATHS
    ]
