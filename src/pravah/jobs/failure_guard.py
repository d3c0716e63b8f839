"""Stops a job whose failures exceed its budget, where its spec says so.

Looked at when failures are acknowledged: what is in flight then may still add some. The end status
of a job that nobody stopped is for closing to decide.
"""

from __future__ import annotations

from typing import Any

from pravah.errors import StatusError
from pravah.model.budget import exceeded
from pravah.model.ids import shown
from pravah.model.job import Counts, Job
from pravah.model.ledger import Ledger, Request


def stop_if_exceeded(ledger: Ledger, job: Job) -> bool:
    """Pause or give up a job with too many failures, as its spec says; tell whether it was."""
    rule = job.spec["on_error"]
    when_exceeded = rule.get("when_exceeded", "continue")
    if when_exceeded == "continue":
        return False
    glance = ledger.glance(job.id)
    counts, forgiven = glance.books.counts, glance.forgiven
    failed = counts.failed + counts.poisoned - forgiven
    if glance.draining or not exceeded(
        rule["budget"], failed, counts.chosen, scan_complete=glance.scan_complete
    ):
        return False
    if when_exceeded == "abort":
        ledger.give_up(job.id, _reason(job, counts, forgiven, "`pravah jobs retry` tries again"))
        return True
    hint = f"`pravah jobs resume {shown(job.id)}` goes on, and tolerates as many again"
    try:
        ledger.request(job.id, Request.PAUSE, _reason(job, counts, forgiven, hint))
    except StatusError:
        return False  # cancelled or ended meanwhile
    return True


def _reason(job: Job, counts: Counts, forgiven: int, hint: str) -> dict[str, Any]:
    budget = job.spec["on_error"]["budget"]
    before = f", {forgiven} of them before the last resume" if forgiven else ""
    return {
        "kind": "budget_exceeded",
        "message": f"{counts.failed + counts.poisoned} of {counts.chosen} files failed{before}; "
        f"the budget is {budget}",
        "hint": f"`pravah jobs failures {shown(job.id)}` shows why; {hint}",
    }
