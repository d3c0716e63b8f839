"""Compares the names of all outputs of a job before any of them is made (protocol, rule 16).

Where outputs are made of several files, these are put together instead (rule 12). Leased work like
the rest. It reads manifests and writes in its one last transaction, so that a kill in the middle of
it changes nothing: the next worker begins anew, and comes to the same.
"""

from __future__ import annotations

import json
from pathlib import Path

from pravah import engine
from pravah.errors import LedgerError, PravahError, ours
from pravah.jobs.beating import while_beating
from pravah.jobs.supervisor import Beat
from pravah.model.job import Job
from pravah.model.ledger import Lease, Ledger
from pravah.registry import registry


class NameComparison:
    """Compares names; `scratch` takes what does not fit into memory."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch

    def __call__(self, ledger: Ledger, lease: Lease, beat: Beat) -> None:
        """Compare the names of a leased comparison's job, and store what was decided."""
        job = ledger.job(lease.job_id)
        try:
            if registry().reduces(job.plan["steps"]):
                taken, groups = while_beating(beat, lambda: group(ledger, job, self._scratch))
                ledger.group(lease, taken, groups)
            else:
                decisions = while_beating(beat, lambda: decide(ledger, job, self._scratch))
                ledger.decide_names(lease, decisions)
        except LedgerError:
            raise
        except (PravahError, OSError) as error:
            # Another try meets the same, and other jobs are none the worse for it.
            problem = ours(f"can't compare names in `{self._scratch}`", error)
            ledger.fail_task(lease, problem.to_dict())


def decide(ledger: Ledger, job: Job, scratch: Path) -> engine.NameDecisions:
    """Compare the names of all entries that a job has listed."""
    scratch.mkdir(parents=True, exist_ok=True)
    check = engine.NameCheck(json.dumps(job.plan), bytes(scratch))
    for task in ledger.blobs(job.id):
        check.add(task)
    return check.finish()


def group(ledger: Ledger, job: Job, scratch: Path) -> tuple[list[int], engine.Groups]:
    """Put together what a job has listed; give the tasks that others take the place of."""
    scratch.mkdir(parents=True, exist_ok=True)
    grouping = engine.Grouping(json.dumps(job.plan), bytes(scratch))
    taken = []
    for task in ledger.blobs(job.id):
        if task.windows:  # of an earlier round
            grouping.keep(task.manifest)
        elif grouping.add(task.manifest):
            taken.append(task.task_id)
    return taken, grouping.finish()
