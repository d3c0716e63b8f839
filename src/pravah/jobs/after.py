"""`source.after`, at the end of a job: sources whose outputs are safe are removed or moved away.

A source that has changed since it was read stays, and is no failure: a later job has it again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from pravah import engine
from pravah.model.job import Failure, Job
from pravah.model.ledger import Ledger
from pravah.model.report import failures

# Sentences about what was to be done with the sources.
_WORDS = {"delete": "removed", "move": "moved"}


@dataclass(slots=True)
class Aftermath:
    """How it went with the sources of a job."""

    action: str
    finished: int = 0
    changed: int = 0
    failed: int = 0
    failures: list[Failure] = field(default_factory=list)
    # The store removes whatever has a key: sources were looked at just before.
    weakly_fenced: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Give the form that the report has."""
        return {
            "action": self.action,
            "finished": self.finished,
            "changed": self.changed,
            "after_failed": self.failed,
            "failures": [failure.to_dict() for failure in self.failures],
            **({"fencing": "weak"} if self.weakly_fenced else {}),
        }

    def error(self) -> dict[str, Any] | None:
        """Give the error of a job some of whose sources are still where they were."""
        if not self.failed:
            return None
        first = self.failures[0]
        return {
            "kind": "after_failed",
            "message": f"{self.failed} sources could not be {_WORDS[self.action]}",
            "causes": [f"{f.count} × {f.kind}: {f.message}" for f in self.failures],
            "hint": f"look at `{first.examples[0]}`, then run the same command again",
        }


def concerns(job: Job) -> bool:
    """Tell whether anything is to become of the job's sources."""
    return bool(job.plan.get("in_place")) or job.plan.get("after", "keep") != "keep"


def finish_sources(ledger: Ledger, job: Job) -> Aftermath:
    """Deal with the sources of all acknowledged entries; may be done again after a kill."""
    moves = isinstance(job.plan.get("after"), dict)
    ended, plan, summaries = Aftermath("move" if moves else "delete"), json.dumps(job.plan), []
    for task in ledger.blobs(job.id):
        counts, summary = engine.finish_sources(plan, task)
        ended.finished += counts.done
        ended.changed += counts.skipped
        ended.failed += counts.failed
        summaries.append(json.loads(summary))
    ended.failures = failures(summaries)
    ended.weakly_fenced = any(summary.get("weak_fencing") for summary in summaries)
    return ended
