"""`jobs undo`: takes back what an ended job has created, as far as it is as the job left it.

Refused where something was replaced, or where sources are gone: nobody has the other files any
more. Everything can be done again after a kill. The ledger's account of the job stays as it
is, with the time of the undo.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from pravah import engine
from pravah.errors import StatusError
from pravah.jobs.dataset import remove_dataset
from pravah.model.ids import shown
from pravah.model.job import Failure, Job
from pravah.model.ledger import Ledger, TaskCounts
from pravah.model.report import failures


@dataclass(slots=True)
class Undone:
    """What an undo removed, or would remove; the dataset of inspect steps is one of the outputs."""

    removed: int = 0
    changed: int = 0  # they are not the files that the job made any more: they stay
    gone: int = 0
    failed: int = 0
    replaced: int = 0
    failures: list[Failure] = field(default_factory=list)

    def take(self, counts: TaskCounts, replaced: int) -> None:
        """Count the outputs of a task, or the dataset."""
        self.removed += counts.done
        self.changed += counts.skipped
        self.gone += counts.vanished
        self.failed += counts.failed
        self.replaced += replaced

    def to_dict(self) -> dict[str, Any]:
        """Give the wire form."""
        return {**asdict(self), "failures": [failure.to_dict() for failure in self.failures]}


def undo(ledger: Ledger, job: Job, *, dry_run: bool) -> Undone:
    """Take back a job's outputs, or only count them; StatusError where that can't be done."""
    _refuse(job)
    looked = _each_output(ledger, job, remove=False)
    if looked.replaced:
        raise StatusError(
            f"can't undo {shown(job.id)}: {looked.replaced} of its outputs took the place of other "
            "files, which nobody can bring back",
            kind="undo_refused",
            hint=f"`pravah jobs files {shown(job.id)}` lists the outputs",
        )
    if dry_run:
        return looked
    undone = _each_output(ledger, job, remove=True)
    detail = {k: v for k, v in undone.to_dict().items() if k != "failures"}
    ledger.set_undone(job.id, detail)
    return undone


def _refuse(job: Job) -> None:
    name = shown(job.id)
    if not job.status.ended:
        raise StatusError(
            f"can't undo {name}: it is {job.status}, not ended",
            hint=f"`pravah jobs cancel {name}` ends it",
        )
    gone = "replaced its sources" if job.plan["in_place"] else "removed or moved its sources"
    if job.plan["in_place"] or job.plan["after"] != "keep":
        raise StatusError(
            f"can't undo {name}: it {gone}, and its outputs are all that is left of them",
            kind="undo_refused",
        )


def _each_output(ledger: Ledger, job: Job, *, remove: bool) -> Undone:
    undone, plan, summaries = Undone(), json.dumps(job.plan), []
    for task in ledger.blobs(job.id):
        counts, summary, replaced = engine.undo(plan, task, remove=remove)
        undone.take(counts, replaced)
        summaries.append(json.loads(summary))
    undone.take(remove_dataset(job, remove=remove), 0)
    undone.failures = failures(summaries)
    return undone
